"""Accepts exceptions: one event each, in one transaction with whatever else is due, answered after its commit."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg

from fettle.incidents.pacing import Pacing
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import metrics
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database
from fettle.kernel.errors import Conflict, FieldError, TooLarge, Unavailable
from fettle.kernel.events import (
    OPENINGS,
    OPENINGS_CLAIMED,
    Opening,
    arguments_of_openings,
    joined_json,
    metadata_of,
)
from fettle.kernel.group_commit import GroupCommitter
from fettle.kernel.ids import new_id_text
from fettle.kernel.jsonio import dumps, dumps_str
from fettle.kernel.platform import Platform
from fettle.kernel.redaction import Redactor
from fettle.packs.service import active_packs

MAX_EXCEPTION_BYTES = 64_000
HREF = "/api/v1/exceptions/"
_SCOPE = "exceptions"
_LARGE = 100
_LARGE_AT_ONCE = 3
_IN_MEMORY = "fettle.incidents.acceptor"

# A key is claimed in the statement that writes its events, which are written only where it was free. The
# statement waits for another that is just about to take the same key.
_WRITE_CLAIMED = f"""
, claimed AS (
  INSERT INTO idempotency_keys (tenant_id, scope, key_hash, body_hash, status, response)
  SELECT bound.tenant_id, '{_SCOPE}', decode(k.claim, 'hex'), decode(k.body_hash, 'hex'), 202, k.response::jsonb
  FROM bound CROSS JOIN unnest(string_to_array($10, ' '), string_to_array($11, ' '), string_to_array($12, E'\\x1f'))
    AS k(claim, body_hash, response)
  ON CONFLICT (tenant_id, scope, key_hash) DO NOTHING RETURNING encode(key_hash, 'hex') AS claim
), written AS ({OPENINGS_CLAIMED})
SELECT claim FROM claimed
"""  # noqa: S608 - constants
_RECALL = f"""
SELECT encode(key_hash, 'hex') AS claim, encode(body_hash, 'hex') AS body_hash, response FROM idempotency_keys
WHERE tenant_id = bound.tenant_id AND scope = '{_SCOPE}' AND key_hash = ANY($2)
"""  # noqa: S608 - constants

Accepted = list[str]
Results = list[Accepted | BaseException]


@dataclass(slots=True)
class Submission:
    """One request's exceptions, accepted all or none.

    Attributes:
        tenant_id: From the caller's credential, never from the body.
        given: The exceptions; what was not said is left out.
        bodies: The same as JSON, without what must not be kept once `_clean` was there.
        redactor: What knows that of this tenant.
        actor: Who sent them.
        key: SHA-256 of the Idempotency-Key in hexadecimal, where one was sent.
        body_hash: SHA-256 of the body that came with it.
    """

    tenant_id: UUID
    given: list[dict[str, Any]]
    bodies: list[bytes]
    redactor: Redactor
    actor: str
    request_id: str | None
    key: str | None = None
    body_hash: str = ""
    ids: list[str] = field(default_factory=list)

    def events(self, received_at: str) -> list[Opening]:
        """Return the events that accept it, for a moment given in JSON."""
        metadata = dumps_str(metadata_of(actor=self.actor, request_id=self.request_id))
        return [
            Opening(
                exception_id,
                f'{{"exception":{body.decode()},"received_at":{received_at}}}',
                metadata,
                self.key,
            )
            for exception_id, body in zip(self.ids, self.bodies, strict=True)
        ]


class Acceptor:
    """Redacts, then commits together with other requests."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._small: GroupCommitter[Submission, Accepted] = GroupCommitter(self._flush)
        # A large batch is a group by itself; while the database writes one, the next is read and redacted.
        self._large: GroupCommitter[Submission, Accepted] = GroupCommitter(
            self._flush, max_batch=1, lanes=_LARGE_AT_ONCE
        )
        self._pacing = Pacing()
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
    ) -> list[str]:
        """Store exceptions; returns when they are committed.

        Args:
            tenant_id: Of the caller's credential.
            exceptions: Validated.
            actor: Who sends them.
            request_id: The request's id.
            idempotency_key: The sender's own key, checked; the same key gets the same ids for 24 h.
            body: The request's body, which must be the same when the key is.

        Returns:
            The exceptions' ids as text, in order.

        Raises:
            Conflict: The key was used with another body.
            TooLarge: An exception is larger than 64,000 bytes.
        """
        redactor = await self._redactor(tenant_id)
        given = [
            {name: value for name, value in exception.__dict__.items() if value is not None}
            for exception in exceptions
        ]
        submission = Submission(
            tenant_id,
            given,
            _bodies(given),
            redactor,
            actor,
            request_id,
            ids=[new_id_text() for _ in exceptions],
        )
        if idempotency_key is not None:
            submission.key = hashlib.sha256(idempotency_key.encode()).hexdigest()
            submission.body_hash = hashlib.sha256(body).hexdigest()
        self._pacing.note(tenant_id)
        if len(exceptions) < _LARGE:
            return await self._small.submit(submission)
        async with self._pacing.turn(tenant_id):
            return await self._large.submit(submission)

    async def _redactor(self, tenant_id: UUID) -> Redactor:
        packs = await active_packs(self._platform, tenant_id)
        redactor = self._redactors.get(packs.version)
        if redactor is None:
            if len(self._redactors) > 100:  # noqa: PLR2004 - far more versions than are in use at once
                self._redactors.clear()
            redactor = self._redactors[packs.version] = Redactor(packs.redaction)
        return redactor

    async def _flush(self, batch: list[Submission]) -> Results:
        _clean(batch)
        by_tenant: dict[UUID, list[int]] = defaultdict(list)
        for index, submission in enumerate(batch):
            by_tenant[submission.tenant_id].append(index)
        results: Results = [submission.ids for submission in batch]
        for tenant_id, indexes in by_tenant.items():
            written = await self._write_tenant(tenant_id, [batch[index] for index in indexes])
            for index, result in zip(indexes, written, strict=True):
                results[index] = result
        self._platform.database.poke()
        return results

    async def _write_tenant(self, tenant_id: UUID, submissions: list[Submission]) -> Results:
        try:
            return await _write(self._platform.database, tenant_id, submissions)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            # Whether it was committed is not known; the caller is told to try again, with its key.
            return [
                Unavailable("The database does not answer. Send it again with the same Idempotency-Key.")
            ] * len(submissions)
        except asyncpg.PostgresError as error:
            if len(submissions) == 1:
                return [error]
            return [(await self._write_tenant(tenant_id, [submission]))[0] for submission in submissions]


def _bodies(given: Sequence[Mapping[str, Any]]) -> list[bytes]:
    bodies = [dumps(body) for body in given]
    for index, body in enumerate(bodies):
        if len(body) > MAX_EXCEPTION_BYTES:
            raise TooLarge(
                f"An exception may have at most {MAX_EXCEPTION_BYTES} bytes. Leave out what nobody needs.",
                errors=[FieldError(f"/items/{index}", f"larger than {MAX_EXCEPTION_BYTES} bytes")],
            )
    return bodies


def _clean(batch: Sequence[Submission]) -> None:
    """Take out what must not be kept; all of one redactor together, which costs little more than one alone."""
    by_redactor: dict[Redactor, list[Submission]] = defaultdict(list)
    for submission in batch:
        by_redactor[submission.redactor].append(submission)
    for redactor, submissions in by_redactor.items():
        redacted = iter(redactor.redact_each([given for each in submissions for given in each.given]))
        for submission in submissions:
            of_it = islice(redacted, len(submission.given))
            for index, (cleaned, findings) in enumerate(of_it):
                if findings:
                    submission.bodies[index] = dumps(cleaned)
                for finding in findings:
                    metrics.REDACTIONS.labels(finding.kind).inc()


async def _write(database: Database, tenant_id: UUID, submissions: list[Submission]) -> Results:
    """Write what is new in one statement; what repeats a key gets what its first request got."""
    now = utcnow()
    holders: dict[str, Submission] = {}
    for submission in submissions:
        if submission.key is not None:
            holders.setdefault(submission.key, submission)
    received_at = dumps_str(now)
    fresh = [
        opening
        for submission in submissions
        if submission.key is None or holders[submission.key] is submission
        for opening in submission.events(received_at)
    ]
    events = arguments_of_openings(tenant_id, "exception", "exception.ingested", fresh, now)
    if not holders:
        await database.write_bound(tenant_id, OPENINGS, *events)
        return [submission.ids for submission in submissions]
    keys = sorted(holders)
    claimed = await database.write_bound(
        tenant_id,
        _WRITE_CLAIMED,
        *events,
        " ".join(keys),
        " ".join([holders[key].body_hash for key in keys]),
        joined_json([dumps_str({"ids": holders[key].ids}) for key in keys]),
    )
    known = {row["claim"]: (holders[row["claim"]].body_hash, holders[row["claim"]].ids) for row in claimed}
    if len(known) < len(keys):
        older = [bytes.fromhex(key) for key in keys if key not in known]
        for row in await database.fetch_bound(tenant_id, _RECALL, older):
            known[row["claim"]] = (row["body_hash"], row["response"]["ids"])
    return [_result(submission, known) for submission in submissions]


def _result(submission: Submission, known: Mapping[str, tuple[str, Accepted]]) -> Accepted | BaseException:
    if submission.key is None:
        return submission.ids
    body_hash, ids = known.get(submission.key, (None, []))
    if body_hash is None:
        return Conflict("The first request with this Idempotency-Key was just forgotten. Send it again.")
    if body_hash != submission.body_hash:
        return Conflict("This Idempotency-Key was used with another body. Use a new key for a new request.")
    return ids


def acceptor(platform: Platform) -> Acceptor:
    """Return the process's acceptor, so that all routes share one group commit."""
    found = platform.parts.get(_IN_MEMORY)
    if not isinstance(found, Acceptor):
        found = platform.parts[_IN_MEMORY] = Acceptor(platform)
    return found
