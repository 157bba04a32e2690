"""What becomes of a delivery that was proved: mapped, accepted once, and written down."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from fettle.incidents.accepting import acceptor
from fettle.incidents.hooks.standing import Source
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import jsonio, metrics
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.errors import FieldError, Invalid, NotFound, Problem
from fettle.kernel.platform import Platform
from fettle.kernel.redaction import redactor_of
from fettle.packs.check_sources import mapping_of
from fettle.packs.moments import moment_of
from fettle.packs.service import active_packs
from fettle.packs.sources import MappingError, Reading, SourceMapping

KEPT_PAYLOADS: Final = 50
"""How many of the last payloads of a source are kept."""

LONGEST_KEPT: Final = 100_000
"""A larger payload is counted and not kept."""

_KNOWN_AGAIN: Final = timedelta(days=30)
_KNOWN_AGAIN_WITHOUT_TIME: Final = timedelta(days=400)
_IN_A_THREAD: Final = 30_000
_MOST_COMPILED: Final = 500
_PART: Final = "hooks.mappings"
_LONGEST_REASON: Final = 500

_WAS_TAKEN = """
SELECT 1 AS found FROM hook_receipts r WHERE r.tenant_id = bound.tenant_id AND r.source_id = $2 AND r.key = $3
"""
_COUNT = """
UPDATE hook_figures SET received_at = greatest(received_at, $3),
  accepted = accepted + ($4 = 'accepted')::int, passed_over = passed_over + ($4 = 'passed_over')::int,
  repeated = repeated + ($4 = 'repeated')::int, refused = refused + ($4 = 'refused')::int,
  accepted_at = CASE WHEN $4 = 'accepted' THEN greatest(accepted_at, $3) ELSE accepted_at END,
  refused_at = CASE WHEN $4 = 'refused' THEN greatest(refused_at, $3) ELSE refused_at END,
  refusal = CASE WHEN $4 = 'refused' THEN $5 ELSE refusal END
WHERE tenant_id = $1 AND source_id = $2
"""
_RECEIPT = """
INSERT INTO hook_receipts (tenant_id, source_id, key, ends_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_KEEP = """
INSERT INTO hook_payloads (id, tenant_id, source_id, received_at, outcome, reason, size, headers, payload, exceptions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""
_TRIM = """
DELETE FROM hook_payloads WHERE tenant_id = $1 AND source_id = $2 AND id <= (
  SELECT id FROM hook_payloads WHERE tenant_id = $1 AND source_id = $2 ORDER BY id DESC OFFSET $3 LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that was sent to a source, proved and opened.

    Attributes:
        key: What tells it from every other; None where its sender gives nothing that does.
        headers: Those that a mapping may read.
        payload: What a mapping reads.
        size: Of the body, in bytes.
    """

    id: UUID
    tenant_id: UUID
    source_id: UUID
    received_at: datetime
    key: str | None
    headers: Mapping[str, str]
    payload: Any
    size: int
    request_id: str | None

    @property
    def once(self) -> str:
        """The key under which its exceptions are accepted, however often that is tried."""
        return f"hook:{self.source_id}:{self.key or self.id}"

    def record(self) -> bytes:
        """Return it as it waits on the disk."""
        return jsonio.dumps(
            {name: getattr(self, name) for name in self.__slots__}
            | {"received_at": rfc3339(self.received_at)}
        )

    @classmethod
    def of_record(cls, record: bytes) -> "Delivery":
        """Return what was written by `record`."""
        said = jsonio.parse(record)
        ids = {name: UUID(said[name]) for name in ("id", "tenant_id", "source_id")}
        return cls(**{**said, **ids, "received_at": moment_of(said["received_at"]) or utcnow()})


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a delivery.

    Attributes:
        outcome: ``accepted``, ``passed_over`` or ``repeated``.
        exceptions: Ids of the exceptions that it became.
    """

    outcome: str
    exceptions: list[UUID]


async def take(platform: Platform, source: Source, delivery: Delivery, *, waited: bool = False) -> Taken:
    """Take a delivery in, once.

    Args:
        platform: The process's parts.
        source: Whose it is.
        delivery: What was sent.
        waited: Whether it had to wait on the disk.

    Raises:
        Invalid: The source's mapping cannot read it; it is kept, so that a person can mend the mapping.
        Problem: It cannot be accepted.
    """
    if delivery.key is not None and await _was_taken(platform, delivery):
        await _note(platform, source, delivery, Taken("repeated", []))
        return Taken("repeated", [])
    try:
        exceptions = exceptions_of(await read(platform, source, delivery))
        ids = await _accepted(platform, source, delivery, exceptions) if exceptions else []
    except MappingError as error:
        await _note(platform, source, delivery, Taken("refused", []), str(error))
        raise Invalid(
            f"The source's mapping cannot read this: {error.message}.",
            errors=[FieldError(error.place, error.message)],
        ) from None
    except Problem as problem:
        if problem.status < 500 and problem.status != 429:  # noqa: PLR2004 - of the sender's making
            await _note(platform, source, delivery, Taken("refused", []), problem.detail)
        raise
    taken = Taken("accepted" if ids else "passed_over", ids)
    if ids:
        delay = utcnow() - delivery.received_at
        metrics.HOOK_SECONDS.labels("yes" if waited else "no").observe(max(0.0, delay.total_seconds()))
    await _note(platform, source, delivery, taken)
    return taken


async def read(platform: Platform, source: Source, delivery: Delivery) -> Reading:
    """Return what a source's mapping makes of a delivery.

    Raises:
        MappingError: It cannot read it.
        NotFound: No active pack has the source's kind, and it has no mapping of its own.
    """
    mapping = await mapping_for(platform, source)

    def mapped() -> Reading:
        return mapping.read(delivery.payload, delivery.headers, source=source.origin)

    # What a tenant wrote may use all the steps that there are on a few bytes.
    is_long = delivery.size > _IN_A_THREAD or source.mapping is not None
    return await asyncio.to_thread(mapped) if is_long else mapped()


def exceptions_of(reading: Reading) -> list[ExceptionIn]:
    """Return what a mapping made, as it is accepted.

    Raises:
        MappingError: It does not have the form of an exception.
    """
    exceptions = []
    for number, made in enumerate(reading.exceptions):
        try:
            exceptions.append(ExceptionIn.model_validate(made))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = fault["loc"][0] if fault["loc"] else ""
            raise MappingError(f"/set/{field}", f"{fault['msg']} (exception {number})") from None
    return exceptions


async def mapping_for(platform: Platform, source: Source) -> SourceMapping:
    """Return a source's compiled mapping: the tenant's own, or that of the pack which is active now.

    Raises:
        NotFound: There is none.
    """
    kept: OrderedDict[tuple[object, ...], SourceMapping] = platform.parts.setdefault(_PART, OrderedDict())
    if source.mapping is not None:
        place: tuple[object, ...] = (source.id, source.mapping_version)
        document = source.mapping
    else:
        packs = await active_packs(platform, source.tenant_id)
        kind = packs.sources.get(source.kind)
        if kind is None:
            raise NotFound(
                f"No active pack has the kind {source.kind}. Activate the pack that has it, or give the source "
                "a mapping of its own."
            )
        place, document = (packs.packs.version, source.kind), mapping_of(kind)
    mapping = kept.get(place)
    if mapping is None:
        mapping = kept[place] = SourceMapping(document)
        while len(kept) > _MOST_COMPILED:
            kept.popitem(last=False)
    return mapping


async def refuse(platform: Platform, source: Source, delivery: Delivery, reason: str) -> None:
    """Write down that a delivery which had waited could not be taken after all."""
    await _note(platform, source, delivery, Taken("refused", []), reason)


async def _accepted(
    platform: Platform, source: Source, delivery: Delivery, exceptions: list[ExceptionIn]
) -> list[UUID]:
    ids = await acceptor(platform).accept(
        delivery.tenant_id,
        exceptions,
        actor=f"source:{source.id}",
        request_id=delivery.request_id,
        idempotency_key=delivery.once,
    )
    return [UUID(value) for value in ids]


async def _was_taken(platform: Platform, delivery: Delivery) -> bool:
    return bool(
        await platform.database.fetch_bound(
            delivery.tenant_id, _WAS_TAKEN, delivery.source_id, _hashed(delivery.key or "")
        )
    )


async def _note(
    platform: Platform, source: Source, delivery: Delivery, taken: Taken, reason: str | None = None
) -> None:
    """Count a delivery, remember its key, and keep it redacted; all of it, or nothing."""
    tenant_id, source_id, now = delivery.tenant_id, delivery.source_id, delivery.received_at
    reason = reason[:_LONGEST_REASON] if reason else None
    async with platform.database.raw_tenant(tenant_id) as connection:
        await connection.execute(_COUNT, tenant_id, source_id, now, taken.outcome, reason)
        if taken.outcome == "repeated":
            return
        if delivery.key is not None and taken.outcome != "refused":
            ends = utcnow() + (
                _KNOWN_AGAIN_WITHOUT_TIME if delivery.key.startswith("body:") else _KNOWN_AGAIN
            )
            await connection.execute(_RECEIPT, tenant_id, source_id, _hashed(delivery.key), ends)
        if source.keep_days == 0:
            return
        headers, payload = redacted(tenant_id, delivery)
        await connection.execute(
            _KEEP, delivery.id, tenant_id, source_id, now, taken.outcome, reason, delivery.size, headers,
            payload, taken.exceptions,
        )  # fmt: skip
        await connection.execute(_TRIM, tenant_id, source_id, KEPT_PAYLOADS)


def redacted(tenant_id: UUID, delivery: Delivery) -> tuple[str, str | None]:
    """Return headers and payload as they may be kept, as JSON; no payload where it is too large."""
    redactor = redactor_of(tenant_id)
    headers = jsonio.dumps_str(redactor.redact(dict(delivery.headers))[0])
    if delivery.size > LONGEST_KEPT:
        return headers, None
    payload, _ = redactor.redact(delivery.payload)
    text = jsonio.dumps_str(payload)
    return headers, text if len(text) <= LONGEST_KEPT else None


def _hashed(key: str) -> bytes:
    return sha256(key.encode("utf-8", "replace")).digest()
