"""What must hold of the store after any number of crashes, against what the senders know was acknowledged."""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.crash.sending import Ledger

from fettle.evidence.export import verify_export
from fettle.evidence.service import export_lines
from fettle.incidents.history import fold
from fettle.incidents.service import STANDING_COLUMNS, standing_of
from fettle.kernel.platform import Platform

_SHOWN = 5


class Examination:
    """Looks at one tenant's rows and collects what is wrong with them."""

    def __init__(self, platform: Platform, tenant_id: UUID, world: Path) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._world = world
        self.wrong: list[str] = []

    async def run(self, ledger: Ledger) -> list[str]:
        await self._exceptions(ledger.ids(self._tenant_id))
        await self._incidents()
        await self._runs()
        await self._evidence()
        return self.wrong

    async def _rows(self, query: str) -> list[Any]:
        async with self._platform.database.raw_tenant(self._tenant_id) as connection:
            rows: list[Any] = await connection.fetch(query)
        return rows

    def _expect(self, what: str, offenders: list[Any]) -> None:
        if offenders:
            self.wrong.append(f"{what}: {len(offenders)}, such as {offenders[:_SHOWN]}")

    async def _exceptions(self, acknowledged: list[str]) -> None:
        ingested = await self._rows("SELECT stream_id FROM events WHERE type = 'exception.ingested'")
        stored = Counter(str(row["stream_id"]) for row in ingested)
        known = Counter(acknowledged)
        self._expect("one id for two requests", [key for key, count in known.items() if count > 1])
        self._expect("acknowledged and lost", [key for key in known if key not in stored])
        self._expect("stored twice", [key for key, count in stored.items() if count > 1])
        self._expect(
            "stored, though each was repeated under its key", [key for key in stored if key not in known]
        )
        counted = Counter(
            str(r["exception_id"])
            for r in await self._rows(
                "SELECT exception_id FROM incident_exceptions WHERE incident_id IS NOT NULL"
            )
        )
        self._expect("counted in no incident", [key for key in known if key not in counted])
        self._expect("counted more than once", [key for key, count in counted.items() if count > 1])

    async def _incidents(self) -> None:
        histories: dict[Any, list[Any]] = defaultdict(list)
        for row in await self._rows(
            "SELECT stream_id, version, type, data, occurred_at FROM events WHERE stream_type = 'incident' "
            "ORDER BY stream_id, version"
        ):
            histories[row["stream_id"]].append(row)
        rows = await self._rows(f"SELECT id, fingerprint, decision, {STANDING_COLUMNS} FROM incidents")
        held = Counter(
            r["incident_id"] for r in await self._rows("SELECT incident_id FROM incident_exceptions")
        )
        self._expect("incidents without a history", [r["id"] for r in rows if r["id"] not in histories])
        gaps = [
            key for key, told in histories.items() if [r["version"] for r in told] != list(range(1, len(told) + 1))
        ]  # fmt: skip
        self._expect("streams with gaps", gaps)
        told_otherwise = [
            r["id"] for r in rows
            if fold((e["type"], e["data"], e["occurred_at"]) for e in histories[r["id"]])
            != standing_of(r)._replace(decision=r["decision"])
        ]  # fmt: skip
        self._expect("incidents that are not what their stream adds up to", told_otherwise)
        self._expect("miscounted", [r["id"] for r in rows if r["occurrences"] != held[r["id"]]])
        unsettled = [
            (r["id"], r["state"]) for r in rows if r["state"] not in {"resolved", "closed", "escalated"}
        ]
        self._expect("stuck incidents", unsettled)
        twice = [
            key
            for key, count in Counter(r["fingerprint"] for r in rows if r["state"] != "closed").items()
            if count > 1
        ]
        self._expect("two open incidents of one fingerprint", twice)

    async def _runs(self) -> None:
        runs = await self._rows(
            "SELECT r.id, r.playbook_id, r.outcome, r.state, r.reason, i.state AS incident FROM playbook_runs r "
            "JOIN incidents i ON i.id = r.incident_id"
        )
        self._expect("stuck runs", [r["id"] for r in runs if r["state"] != "finished"])
        approved = await self._rows("SELECT id FROM events WHERE type = 'plan.approved'")
        self._expect("plans without a run of their own", [0] * abs(len(approved) - len(runs)))
        ended = Counter(
            r["stream_id"]
            for r in await self._rows("SELECT stream_id FROM events WHERE type = 'playbook.completed'")
        )
        self._expect("runs not told to have ended once", [r["id"] for r in runs if ended[r["id"]] != 1])
        safe = [r for r in runs if r["playbook_id"] == "PB-CRASH-SAFE"]
        failed = [(r["outcome"], r["reason"]) for r in safe if r["outcome"] != "verified"]
        self._expect("runs that a crash made fail", failed)
        effects = {path.name for path in (self._world / "effects").iterdir()}
        undone = [
            r["id"] for r in safe if hashlib.sha256(f"{r['id']}:fix".encode()).hexdigest() not in effects
        ]
        self._expect("verified without an effect", undone)
        await self._unsafe_effects([r for r in runs if r["playbook_id"] == "PB-CRASH-UNSAFE"])

    async def _unsafe_effects(self, runs: list[Any]) -> None:
        file = self._world / "knocks"
        knocks = Counter(file.read_text().split() if file.exists() else ())
        self._expect("effects done twice", [key for key, count in knocks.items() if count > 1])
        guessed = [
            (r["id"], r["outcome"]) for r in runs if r["outcome"] == "verified" and knocks[f"{r['id']}:fix"] != 1
        ]  # fmt: skip
        self._expect("said to have happened, and did not", guessed)
        denied = [
            (r["id"], r["outcome"], r["reason"]) for r in runs if r["outcome"] not in {"verified", "unknown"}
        ]
        self._expect("neither known nor said to be unknown", denied)

    async def _evidence(self) -> None:
        unsealed = await self._rows(
            "SELECT i.id FROM incidents i WHERE i.state = 'resolved' AND NOT EXISTS (SELECT 1 FROM evidence_bundles b "
            "WHERE b.incident_id = i.id AND b.covers_position >= (SELECT max(e.position) FROM events e "
            "WHERE e.tenant_id = i.tenant_id AND e.stream_id = i.id AND e.type = 'incident.resolved'))"
        )
        self._expect("resolved without evidence", [r["id"] for r in unsealed])
        export = self._world / f"{self._tenant_id}.jsonl"
        with export.open("wb") as file:
            async for lines in export_lines(self._platform, self._tenant_id):
                file.write(lines)
        report = verify_export(export).report
        if not report.ok:
            self.wrong.append(f"the chain of evidence is broken: {report.failure}")
        bundles = await self._rows("SELECT count(*) AS number FROM evidence_bundles")
        if report.checked != bundles[0]["number"]:
            self.wrong.append(f"{bundles[0]['number']} bundles, but a chain of {report.checked}")


async def letters(platform: Platform) -> list[str]:
    """Return the events that consumers could not handle."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT consumer_group, type, state, attempts, last_error FROM parked_events"
        )
    return [f"parked: {dict(row)}" for row in rows]
