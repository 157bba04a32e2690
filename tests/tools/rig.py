"""Puts runs into a real database and executes them with tools that a test scripts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fettle.kernel import events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.tools.catalogue import make_registry
from fettle.tools.consumers import start
from fettle.tools.registry import Tool, ToolCall, ToolRegistry
from fettle.tools.runner import RunExecutor

ANYTHING = {"type": "object"}


@dataclass
class Rig:
    platform: Platform
    tenant: UUID
    registry: ToolRegistry = field(default_factory=make_registry)
    calls: list[ToolCall] = field(default_factory=list)

    def tool(
        self, name: str, answer: Callable[[ToolCall], Awaitable[dict[str, Any]]] | None = None, **more
    ) -> None:
        async def call(given: ToolCall) -> dict[str, Any]:
            self.calls.append(given)
            return {} if answer is None else await answer(given)

        more.setdefault("idempotent", True)
        self.registry.register(
            Tool(name=name, version="1", title=name, description=name, input_schema=ANYTHING,
                 output_schema=ANYTHING, call=call, **more)
        )  # fmt: skip

    async def approve(self, *plans: dict[str, Any], incident_id: UUID | None = None) -> list[UUID]:
        """Append plan.approved for each plan and start their runs as the consumer does."""
        incidents = [incident_id or await self.incident() for _ in plans]
        new = [
            NewEvent(
                stream_type="incident",
                stream_id=incident,
                type="plan.approved",
                data={
                    "plan": {"incident": {"id": str(incident), "host": "web-1", "title": "t"}, **plan},
                    "plan_hash": "0" * 64,
                    "rule_id": "L1-T",
                },
                actor="test",
                correlation_id=incident,
            )
            for incident, plan in zip(incidents, plans, strict=True)
        ]
        async with self.platform.database.tenant(self.tenant) as session:
            await events.append(session, self.tenant, new)
            stored = [await self._stored(session, event) for event in new]
            await start(TenantBatch(self.platform, session, self.tenant, stored))
        return [await self.scalar("SELECT id FROM playbook_runs WHERE causation_id = $1", e.id) for e in new]

    async def _stored(self, session: Any, event: NewEvent) -> Event:
        stream = await events.read_stream(session, self.tenant, event.stream_type, event.stream_id)
        return next(item for item in stream if item.id == event.id)

    async def incident(self, state: str = "healing") -> UUID:
        incident = new_id()
        async with self.platform.database.raw_tenant(self.tenant) as connection:
            await connection.execute(
                "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, "
                "labels, details, occurrences, opened_at, last_seen_at, version) VALUES ($1, $2, $3, 't', $4, "
                "'high', 'demo', $5, '{}', '{}', 1, now(), now(), 1)",
                incident, self.tenant, int.from_bytes(incident.bytes[8:14], "big"), state, incident.hex,
            )  # fmt: skip
        return incident

    def executor(self, **more: Any) -> RunExecutor:
        return RunExecutor(self.platform, self.registry, **more)

    async def execute(self) -> None:
        """Execute until nothing is due."""
        while await self.executor().run_once():
            pass

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.platform.database.raw_tenant(self.tenant) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def scalar(self, query: str, *arguments: Any) -> Any:
        rows = await self.rows(query, *arguments)
        return next(iter(rows[0].values())) if rows else None

    async def run(self, run_id: UUID) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM playbook_runs WHERE id = $1", run_id))[0]

    async def steps(self, run_id: UUID) -> dict[str, dict[str, Any]]:
        rows = await self.rows("SELECT * FROM run_steps WHERE run_id = $1", run_id)
        return {row["path"]: row for row in rows}

    async def told(self, run_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        async with self.platform.database.tenant(self.tenant) as session:
            stream = await events.read_stream(session, self.tenant, "run", run_id)
        return [(event.type, event.data) for event in stream]


def plan(*steps: dict[str, Any], verify: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    document = {"id": "PB-T", "version": 3, "title": "T", "steps": list(steps)}
    if verify is not None:
        document["verify"] = verify
    document.update(more.pop("playbook", {}))
    return {"playbook": document, "library": {}, "parameters": {}, **more}
