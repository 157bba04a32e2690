"""Accepts exceptions: one event each, in one transaction with whatever else is due, answered after its commit."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import metrics
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DriverConnection
from fettle.kernel.errors import Conflict, FieldError, TooLarge, Unavailable
from fettle.kernel.events import NewEvent, append_new_streams
from fettle.kernel.group_commit import GroupCommitter
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps, dumps_str
from fettle.kernel.platform import Platform
from fettle.kernel.redaction import Redactor
from fettle.packs.service import active_packs

MAX_EXCEPTION_BYTES = 64_000
HREF = "/api/v1/exceptions/"
_SCOPE = "exceptions"
_IN_MEMORY = "fettle.incidents.acceptor"

_CLAIM = """
INSERT INTO idempotency_keys (tenant_id, scope, key_hash, body_hash, status, response)
SELECT $1, $2, k.key_hash, k.body_hash, 202, k.response::jsonb
FROM unnest($3::bytea[], $4::bytea[], $5::text[]) AS k(key_hash, body_hash, response)
ON CONFLICT (tenant_id, scope, key_hash) DO NOTHING RETURNING key_hash
"""

_RECALL = """
SELECT key_hash, body_hash, response FROM idempotency_keys
WHERE tenant_id = $1 AND scope = $2 AND key_hash = ANY($3)
"""


@dataclass(slots=True)
class Submission:
    """One request's exceptions, accepted all or none.

    Attributes:
        tenant_id: From the caller's credential, never from the body.
        bodies: Redacted exceptions.
        actor: Who sent them.
        key: SHA-256 of the Idempotency-Key, where one was sent.
        body_hash: SHA-256 of the body that came with it.
    """

    tenant_id: UUID
    bodies: list[dict[str, Any]]
    actor: str
    request_id: str | None
    key: bytes | None = None
    body_hash: bytes = b""
    ids: list[UUID] = field(default_factory=list)

    def events(self) -> list[NewEvent]:
        """Return the events that accept it."""
        now = utcnow()
        return [
            NewEvent(
                stream_type="exception",
                stream_id=exception_id,
                type="exception.ingested",
                data={"exception": body, "received_at": now},
                actor=self.actor,
                request_id=self.request_id,
                id=exception_id,
                occurred_at=now,
            )
            for exception_id, body in zip(self.ids, self.bodies, strict=True)
        ]


class Acceptor:
    """Redacts, then commits together with other requests."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._committer: GroupCommitter[Submission, list[UUID]] = GroupCommitter(self._flush)
        self._redactors: dict[str, Redactor] = {}

    async def accept(
        self,
        tenant_id: UUID,
        exceptions: Sequence[ExceptionIn],
        *,
        actor: str,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        body: bytes = b"",
    ) -> list[UUID]:
        """Store exceptions; returns when they are committed.

        Args:
            tenant_id: Of the caller's credential.
            exceptions: Validated.
            actor: Who sends them.
            request_id: The request's id.
            idempotency_key: The sender's own key, checked; the same key gets the same ids for 24 h.
            body: The request's body, which must be the same when the key is.

        Returns:
            The exceptions' ids, in order.

        Raises:
            Conflict: The key was used with another body.
            TooLarge: An exception is larger than 64,000 bytes.
        """
        redactor = await self._redactor(tenant_id)
        submission = Submission(
            tenant_id,
            [self._body(redactor, exception, index) for index, exception in enumerate(exceptions)],
            actor,
            request_id,
            ids=[new_id() for _ in exceptions],
        )
        if idempotency_key is not None:
            submission.key = hashlib.sha256(idempotency_key.encode()).digest()
            submission.body_hash = hashlib.sha256(body).digest()
        return await self._committer.submit(submission)

    async def _redactor(self, tenant_id: UUID) -> Redactor:
        packs = await active_packs(self._platform, tenant_id)
        redactor = self._redactors.get(packs.version)
        if redactor is None:
            if len(self._redactors) > 100:  # noqa: PLR2004 - far more versions than are in use at once
                self._redactors.clear()
            redactor = self._redactors[packs.version] = Redactor(packs.redaction)
        return redactor

    @staticmethod
    def _body(redactor: Redactor, exception: ExceptionIn, index: int) -> dict[str, Any]:
        body = exception.model_dump(exclude_none=True)
        if len(dumps(body)) > MAX_EXCEPTION_BYTES:
            raise TooLarge(
                f"An exception may have at most {MAX_EXCEPTION_BYTES} bytes. Leave out what nobody needs.",
                errors=[FieldError(f"/items/{index}", f"larger than {MAX_EXCEPTION_BYTES} bytes")],
            )
        cleaned: dict[str, Any]
        cleaned, findings = redactor.redact(body)
        for finding in findings:
            metrics.REDACTIONS.labels(finding.kind).inc()
        return cleaned

    async def _flush(self, batch: list[Submission]) -> list[list[UUID] | BaseException]:
        by_tenant: dict[UUID, list[int]] = defaultdict(list)
        for index, submission in enumerate(batch):
            by_tenant[submission.tenant_id].append(index)
        results: list[list[UUID] | BaseException] = [submission.ids for submission in batch]
        for tenant_id, indexes in by_tenant.items():
            written = await self._write_tenant(tenant_id, [batch[index] for index in indexes])
            for index, result in zip(indexes, written, strict=True):
                results[index] = result
        self._platform.database.poke()
        return results

    async def _write_tenant(
        self, tenant_id: UUID, submissions: list[Submission]
    ) -> list[list[UUID] | BaseException]:
        try:
            async with self._platform.database.raw_tenant(tenant_id) as connection:
                return await _write(connection, tenant_id, submissions)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            # Whether it was committed is not known; the caller is told to try again, with its key.
            return [
                Unavailable("The database does not answer. Send it again with the same Idempotency-Key.")
            ] * len(submissions)
        except asyncpg.PostgresError as error:
            if len(submissions) == 1:
                return [error]
            return [(await self._write_tenant(tenant_id, [submission]))[0] for submission in submissions]


async def _write(
    connection: DriverConnection, tenant_id: UUID, submissions: list[Submission]
) -> list[list[UUID] | BaseException]:
    remembered = await _claim(connection, tenant_id, [s for s in submissions if s.key is not None])
    results: list[list[UUID] | BaseException] = []
    fresh: list[NewEvent] = []
    for submission in submissions:
        earlier = remembered.get(submission.key) if submission.key is not None else None
        if earlier is None or earlier[1] == submission.ids:
            fresh.extend(submission.events())
            results.append(submission.ids)
        elif earlier[0] == submission.body_hash:
            results.append(earlier[1])
        else:
            results.append(
                Conflict("This Idempotency-Key was used with another body. Use a new key for a new request.")
            )
    if fresh:
        await append_new_streams(connection, tenant_id, fresh)
    return results


async def _claim(
    connection: DriverConnection, tenant_id: UUID, keyed: list[Submission]
) -> dict[bytes, tuple[bytes, list[UUID]]]:
    """Return, for each key, the body and the ids that hold it: this submission's own, or an earlier one's."""
    holders: dict[bytes, tuple[bytes, list[UUID]]] = {}
    for submission in keyed:
        assert submission.key is not None
        holders.setdefault(submission.key, (submission.body_hash, submission.ids))
    if not holders:
        return holders
    ordered = sorted(holders)
    claimed = await connection.fetch(
        _CLAIM,
        tenant_id,
        _SCOPE,
        ordered,
        [holders[key][0] for key in ordered],
        [dumps_str({"ids": holders[key][1]}) for key in ordered],
    )
    taken = {row["key_hash"] for row in claimed}
    older = [key for key in ordered if key not in taken]
    if older:
        for row in await connection.fetch(_RECALL, tenant_id, _SCOPE, older):
            holders[row["key_hash"]] = (row["body_hash"], [UUID(value) for value in row["response"]["ids"]])
    return holders


def acceptor(platform: Platform) -> Acceptor:
    """Return the process's acceptor, so that all routes share one group commit."""
    found = platform.parts.get(_IN_MEMORY)
    if not isinstance(found, Acceptor):
        found = platform.parts[_IN_MEMORY] = Acceptor(platform)
    return found
