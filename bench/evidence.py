"""The evidence chain against its floors: verification against bare hashing, append against a bare insert.

The bundles are those of incidents healed at L1, with their decision, steps, check and timeline: some 5 KB each.
Floor of verification: canonical JSON and two hashes for each bundle, and nothing checked. Floor of append:
the same bundles, already made, inserted as many at a time.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from bench.environment import environment, main, row
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fettle.evidence.chain import GENESIS, Sealed, seal, verify
from fettle.evidence.content import bundle_content
from fettle.evidence.signing import Signer, make_checkpoint
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.events import Event
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps

BATCH = 300
"""As many as the bus hands over at a time."""

Contents = list[tuple[str, dict[str, Any]]]

_BARE = """
CREATE TABLE bare_bundles (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, sequence bigint NOT NULL,
  incident_id uuid NOT NULL, covers_position bigint NOT NULL, hash text NOT NULL, bundle text NOT NULL,
  sealed_at timestamptz NOT NULL, UNIQUE (tenant_id, sequence));
CREATE INDEX ON bare_bundles (tenant_id, incident_id, sequence);
"""
_INSERT_BARE = """
INSERT INTO bare_bundles (id, tenant_id, sequence, incident_id, covers_position, hash, bundle, sealed_at)
SELECT n.id, $1, n.sequence, n.incident_id, 1, n.hash, n.bundle, $7
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[]) AS n(id, sequence, incident_id, hash, bundle)
"""
_INSERT = """
INSERT INTO evidence_bundles (id, tenant_id, sequence, incident_id, covers_position, hash, bundle, sealed_at,
                              previous_hash, signature, key_id)
SELECT n.id, $1, n.sequence, n.incident_id, 1, n.hash, n.bundle, $7, n.previous_hash, n.signature, n.key_id
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $8::text[], $9::text[], $10::text[])
  AS n(id, sequence, incident_id, hash, bundle, previous_hash, signature, key_id)
"""


def run(short: bool) -> dict[str, Any]:
    """Measure the chain; `short` takes a few seconds."""
    seconds = 1.0 if short else 5.0
    signer = Signer(Ed25519PrivateKey.generate())
    bundles = _chain(4 if short else 20, signer)
    size = sum(len(dumps(bundle)) for bundle in bundles) / len(bundles)
    rows = [_verification(bundles, signer, seconds), asyncio.run(_append(signer, 2 * seconds))]
    extra = {
        "bundle_bytes": round(size),
        "one_signature_each": _signatures(signer, seconds),
        **_content(seconds),
    }
    return {"benchmark": "evidence", "batch": BATCH, **extra, "rows": rows}


def _verification(bundles: list[dict[str, Any]], signer: Signer, seconds: float) -> dict[str, Any]:
    checkpoint = make_checkpoint(bundles[0]["tenant_id"], len(bundles), bundles[-1]["hash"], "now", signer)
    keys = {signer.key_id: signer.public_key}

    def bare() -> None:
        previous = b""
        for bundle in bundles:
            form = orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS)
            previous = hashlib.sha256(previous + hashlib.sha256(form).digest()).digest()

    def checked() -> None:
        assert verify(bundles, keys, checkpoint=checkpoint).ok

    floor, ours = _alternately(bare, checked, seconds)
    return row(
        "verify", floor=len(bundles) / floor, measured=len(bundles) / ours, unit="bundles/s", goal=0.5,
        microseconds=round(1e6 * ours / len(bundles), 1),
    )  # fmt: skip


def _signatures(signer: Signer, seconds: float) -> dict[str, Any]:
    """How much a signature of its own for each bundle would cost: why one stands over a batch."""
    alone = [bundle for _ in range(50) for bundle in _chain(1, signer, size=1)]
    together = _chain(1, signer, size=50)
    keys = {signer.key_id: signer.public_key}

    def one_each() -> None:
        for bundle in alone:
            assert verify([bundle], keys).ok

    shared, own = _alternately(lambda: verify(together, keys), one_each, seconds)
    return {"bundles_per_second": round(50 / own), "with_one_for_50": round(50 / shared)}


def _content(seconds: float) -> dict[str, Any]:
    """How long it takes to put together what a bundle says."""
    timelines = [_healed() for _ in range(50)]
    taken, _ = _alternately(
        lambda: [bundle_content(timeline) for timeline in timelines], lambda: None, seconds
    )
    return {"content_microseconds": round(1e6 * taken / 50)}


async def _append(signer: Signer, seconds: float) -> dict[str, Any]:
    contents = [(str(new_id()), bundle_content(_healed())) for _ in range(BATCH)]
    async with environment() as here:
        owner = await asyncpg.connect(here.variables["FETTLE_DATABASE_URL"])
        await owner.execute(_BARE)
        await owner.execute("GRANT ALL ON bare_bundles TO fettle_app")
        await owner.close()
        made = _sealed(here.tenant_id, contents, GENESIS, 1, signer)
        async with here.platform.database.raw_app() as connection:
            floors, ours = [], []
            deadline, sequence = time.perf_counter() + seconds, 1
            head = GENESIS
            while time.perf_counter() < deadline:
                began = time.perf_counter()
                async with connection.transaction():
                    await connection.execute(_INSERT_BARE, *_values(here.tenant_id, made, sequence))
                floors.append(time.perf_counter() - began)
                began = time.perf_counter()
                head = await _append_batch(connection, here.tenant_id, contents, head, sequence, signer)
                ours.append(time.perf_counter() - began)
                sequence += BATCH
    floor, measured = BATCH / _median(floors), BATCH / _median(ours)
    return row("append, batched", floor=floor, measured=measured, unit="bundles/s", goal=0.5)


async def _append_batch(
    connection: Any, tenant_id: UUID, contents: Contents, head: str, sequence: int, signer: Signer
) -> str:
    async with connection.transaction():
        await connection.execute("SELECT set_config('fettle.tenant_id', $1, true)", str(tenant_id))
        await connection.fetchrow(
            "INSERT INTO evidence_chains (tenant_id, size, head) VALUES ($1, 0, $2) "
            "ON CONFLICT (tenant_id) DO UPDATE SET size = evidence_chains.size RETURNING size, head",
            tenant_id,
            GENESIS,
        )
        sealed = _sealed(tenant_id, contents, head, sequence, signer)
        bundles = [one.bundle for one in sealed]
        await connection.execute(
            _INSERT,
            *_values(tenant_id, sealed, sequence),
            [bundle["previous"] for bundle in bundles],
            [bundle["proof"]["signature"] for bundle in bundles],
            [bundle["proof"]["key_id"] for bundle in bundles],
        )
        await connection.execute(
            "UPDATE evidence_chains SET size = $2, head = $3 WHERE tenant_id = $1",
            tenant_id, bundles[-1]["sequence"], bundles[-1]["hash"],
        )  # fmt: skip
    return str(bundles[-1]["hash"])


def _values(tenant_id: UUID, sealed: list[Sealed], sequence: int) -> list[Any]:
    return [
        tenant_id,
        [new_id() for _ in sealed],
        [sequence + n for n in range(len(sealed))],
        [new_id() for _ in sealed],
        [one.bundle["hash"] for one in sealed],
        [one.text.decode() for one in sealed],
        utcnow(),
    ]


def _chain(batches: int, signer: Signer, size: int = BATCH) -> list[dict[str, Any]]:
    tenant_id = new_id()
    made: list[dict[str, Any]] = []
    for _ in range(batches):
        head = made[-1]["hash"] if made else GENESIS
        contents = [(str(new_id()), bundle_content(_healed())) for _ in range(size)]
        made += [one.bundle for one in _sealed(tenant_id, contents, head, len(made) + 1, signer)]
    read: list[dict[str, Any]] = orjson.loads(dumps(made))
    return read


def _sealed(tenant_id: UUID, contents: Contents, head: str, sequence: int, signer: Signer) -> list[Sealed]:
    return seal(
        str(tenant_id), contents, previous=head, next_sequence=sequence, sealed_at=rfc3339(utcnow()), signer=signer
    )  # fmt: skip


def _healed() -> list[Event]:
    """The timeline of an incident healed at L1."""
    tenant_id, incident_id, run_id = new_id(), new_id(), new_id()
    incident = {
        "number": 4711, "title": "A managed file was changed", "check_type": "managed_file", "host": "front-desk-3",
        "site": "main-street", "platform": "linux", "severity": "high", "fingerprint": "5f0c" * 16,
        "pack_id": "compliance-it", "labels": {"owner": "practice"}, "details": {"path": "etc/app.conf", "mode": 420},
        "summary": "The file is not as it was declared",
    }  # fmt: skip
    plan = {"playbook": {"id": "PB-RESTORE", "version": 1}, "parameters": {"host": "front-desk-3"}}
    decision = {
        "level": "L1", "rule_id": "L1-LNX-FILE-001", "action": "execute_runbook", "plan_hash": "ab" * 32,
        "explanation": ["check_type eq managed_file", "platform eq linux"], "autonomy": "act", "plan": plan,
    }  # fmt: skip
    step = {"run_id": str(run_id), "title": "Restore", "phase": "act", "tool": "runbook.run", "attempt": 1}
    check = {**step, "title": "Check again", "phase": "verify", "tool": "check.run"}
    told: list[tuple[str, UUID, str, dict[str, Any]]] = [
        ("incident", incident_id, "incident.opened", {**incident, "count": 1}),
        ("incident", incident_id, "incident.triaged", {"state": "triaged", "incident": incident}),
        ("incident", incident_id, "plan.proposed", decision),
        ("incident", incident_id, "plan.approved", {"state": "healing", "gate": {"decision": "pass", "reasons": []}}),
        ("run", run_id, "step.started", {**step, "input": {"runbook_id": "RB-LNX-FILE", "host": "front-desk-3"}}),
        ("run", run_id, "step.succeeded", {**step, "output": {"changed": True, "commands": 1}}),
        ("run", run_id, "step.started", {**check, "input": {"host": "front-desk-3"}}),
        ("run", run_id, "step.succeeded", {**check, "output": {"result": "pass", "observed": {"mode": 416}}}),
        ("run", run_id, "playbook.completed", {"run_id": str(run_id), "outcome": "verified", "seconds": 1.203}),
        ("incident", incident_id, "incident.resolved", {"state": "resolved", "resolution": "Healed and verified"}),
    ]  # fmt: skip
    moment = utcnow()
    return [
        Event(
            id=new_id(), tenant_id=tenant_id, stream_type=kind, stream_id=stream, version=number, type=name,
            schema_version=1, data=data, occurred_at=moment + timedelta(milliseconds=number), position=number,
            metadata={"actor": "system:bench", "correlation_id": str(incident_id)},
        )
        for number, (kind, stream, name, data) in enumerate(told, 1)
    ]  # fmt: skip


def _alternately(
    one: Callable[[], object], other: Callable[[], object], seconds: float
) -> tuple[float, float]:
    """Median seconds of two actions, in turns, so that whatever else the machine does meets both."""
    ones, others = [], []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(ones) < 3:
        for action, taken in ((one, ones), (other, others)):
            began = time.perf_counter()
            action()
            taken.append(time.perf_counter() - began)
    return _median(ones), _median(others)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main(run)
