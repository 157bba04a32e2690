"""A tenant whose things can be made to hang."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest_asyncio
from tests.conftest import insert_tenant

from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id


class Hanging:
    """One tenant, and what hangs there."""

    def __init__(self, platform, tenant):
        self.platform = platform
        self.tenant = tenant

    async def rows(self, query, *arguments):
        async with self.platform.database.raw_system() as connection:
            return await connection.fetch(query, *arguments)

    async def incident(self, state, ago=timedelta(days=40), **more) -> UUID:
        """Put an incident in that came into its state long ago."""
        incident = new_id()
        moment = utcnow() - ago
        await self.rows(
            "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, "
            "details, occurrences, opened_at, last_seen_at, version, assignee) VALUES ($1, $2, $3, 'It hangs', $4, "
            "'high', $6, $7, '{}', '{}', 1, $5, now(), 1, $8)",
            incident,
            self.tenant,
            uuid4().int % 10**9,
            state,
            moment,
            more.get("check_type", "firewall_status"),
            str(incident),
            more.get("assignee"),
        )
        return incident

    async def run(self, incident, state="running", ago=timedelta(hours=1)) -> UUID:
        run = new_id()
        await self.rows(
            "INSERT INTO playbook_runs (id, tenant_id, incident_id, playbook_id, playbook_version, definition_hash, "
            "parameters, incident, state, due_at, created_at) VALUES ($1, $2, $3, 'PB', 1, 'x', '{}', '{}', $4, $5, "
            "least($5, now()))",
            run,
            self.tenant,
            incident,
            state,
            utcnow() - ago,
        )
        return run

    async def approval(self, incident, ago=timedelta(hours=1)) -> UUID:
        approval = new_id()
        await self.rows(
            "INSERT INTO approvals (id, tenant_id, incident_id, kind, plan, plan_hash, reason, approvers, expires_at, "
            "requested_at) VALUES ($1, $2, $3, 'approval', '{}', 'x', 'x', '{}', $4, least($4, now()))",
            approval,
            self.tenant,
            incident,
            utcnow() - ago,
        )
        return approval

    async def plan_request(self, incident, ago=timedelta(hours=1)) -> UUID:
        request = new_id()
        await self.rows(
            "INSERT INTO plan_requests (tenant_id, incident_id, id, incident, due_at, created_at) "
            "VALUES ($1, $2, $3, '{}', $4, least($4, now()))",
            self.tenant,
            incident,
            request,
            utcnow() - ago,
        )
        return request

    async def clock(self, incident, state="active", ago=timedelta(hours=2), **more) -> UUID:
        clock = new_id()
        moment = utcnow() - ago
        await self.rows(
            "INSERT INTO escalations (id, tenant_id, incident_id, policy_id, policy, state, severity, reason, due_at, "
            "acknowledged_at, opened_at, storm_id) VALUES ($1, $2, $3, $1, '{}', $4, 'high', 'x', $5, $6, $7, $8)",
            clock,
            self.tenant,
            incident,
            state,
            moment if state == "active" else None,
            moment if state == "acknowledged" else None,
            moment,
            more.get("storm_id"),
        )
        return clock

    async def message(self, incident, state="sending", ago=timedelta(hours=1)) -> UUID:
        message = new_id()
        await self.rows(
            "INSERT INTO escalation_deliveries (id, tenant_id, incident_id, channel_id, channel_kind, lane, kind, "
            "state, due_at, created_at) VALUES ($1, $2, $3, $1, 'slack', 'x', 'firing', $4, $5, least($5, now()))",
            message,
            self.tenant,
            incident,
            state,
            utcnow() - ago,
        )
        return message

    async def policy(self, **due_within):
        document = json.dumps({"due_within": due_within})
        await self.rows(
            "INSERT INTO policy_packs (tenant_id, version, content, changed_by) VALUES ($1, 1, $2, 't')",
            self.tenant,
            document,
        )

    async def overdue(self):
        return await self.rows(
            "SELECT kind, state, subject_id, incident_id, moved_at, is_for_person FROM overdue_items "
            "WHERE tenant_id = $1 ORDER BY id",
            self.tenant,
        )

    async def told(self):
        """The auditor's own incidents."""
        return await self.rows(
            "SELECT id, state, title, occurrences, level FROM incidents WHERE tenant_id = $1 "
            "AND check_type = 'fettle_overdue' ORDER BY number",
            self.tenant,
        )


@pytest_asyncio.fixture
async def alder(platform, database):
    yield Hanging(platform, await insert_tenant(database, "alder-clinic"))
    async with database.raw_system() as connection:
        for table in ("playbook_runs", "approvals", "plan_requests", "escalations", "escalation_deliveries"):
            await connection.execute(f"DELETE FROM {table}")
        await connection.execute("UPDATE overdue_items SET moved_at = now() WHERE moved_at IS NULL")
        await connection.execute("DELETE FROM incidents")


@pytest_asyncio.fixture
async def birch(platform, database):
    return Hanging(platform, await insert_tenant(database, "birch-dental"))
