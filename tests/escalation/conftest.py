"""Two tenants, people on call, and a world on loopback that messages may leave to."""

import base64
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from tests.conftest import insert_tenant
from tests.escalation.world import World

from fettle.healing.escalation.consumers import follow_incidents
from fettle.healing.escalation.sending import Sender
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel.bus import TenantBatch
from fettle.kernel.events import read_stream
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.tools.vault import bound_to, box

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"planted-webhook-secret-0").decode()
SECRETS = {
    "slack-signing": "planted-slack-signing",
    "pd-routing": "planted-routing-key",
    "pd-webhook": "planted-pagerduty-webhook",
    "sendgrid": "planted-sendgrid-key",
    "webhook": WEBHOOK_SECRET,
}
SETTINGS = {
    "slack": {"url_secret": "slack-url", "signing_secret": "slack-signing"},
    "teams": {"url_secret": "teams-url"},
    "pagerduty": {"routing_key_secret": "pd-routing", "webhook_secret": "pd-webhook"},
    "sendgrid": {"api_key_secret": "sendgrid", "sender": "fettle@example.org", "to": ["ops@example.org"]},
    "webhook": {"signing_secret": "webhook"},
    "email": {"to": ["ops@example.org"]},
    "sms": {"to": ["+4930123456"]},
}


@dataclass
class Rig:
    """One tenant, and whatever its tests do."""

    platform: Platform
    world: World
    tenant: UUID
    sender: Sender

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        async with self.platform.database.raw_system() as connection:
            return await connection.fetch(query, *arguments)

    async def person(self, name: str, role: str = "operator", **contact: str) -> UUID:
        user = new_id()
        async with self.platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, 'x')",
                user,
                f"{name.lower()}-{user.hex[-6:]}@example.org",
                name,
            )
            await connection.execute(
                "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)",
                self.tenant,
                user,
                role,
            )
            await connection.execute(
                "INSERT INTO oncall_contacts (tenant_id, user_id, document, updated_by) VALUES ($1, $2, $3, 't')",
                self.tenant,
                user,
                json.dumps(contact),
            )
        return user

    async def channel(self, kind: str, **more: Any) -> UUID:
        document = {**SETTINGS[kind], **more}
        if kind in {"pagerduty", "sendgrid", "webhook"}:
            document.setdefault("url", self.world.url(f"/{kind}"))
        channel = new_id()
        async with self.platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO escalation_channels (id, tenant_id, name, kind, document, updated_by) "
                "VALUES ($1, $2, $3, $4, $5, 't')",
                channel,
                self.tenant,
                f"{kind}-{channel}",
                kind,
                json.dumps(document),
            )
        return channel

    async def policy(self, *steps: tuple[list[dict[str, Any]], int], **more: Any) -> UUID:
        document = {
            "match": {"severities": [], "check_types": [], "sites": []},
            "steps": [
                {"targets": [_target(one) for one in targets], "wait_seconds": wait}
                for targets, wait in steps
            ],
            "repeats": 0,
            "fallback": [],
            "quiet_hours": [],
            "storm": {"threshold": 1000, "window_seconds": 300, "update_seconds": 300},
            **more,
        }
        policy = new_id()
        async with self.platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO escalation_policies (id, tenant_id, name, position, document, updated_by) "
                "VALUES ($1, $2, $3, 1, $4, 't')",
                policy,
                self.tenant,
                str(policy),
                json.dumps(document),
            )
        return policy

    async def incident(self, title: str = "Firewall is off", **more: Any) -> UUID:
        """Put an incident in and escalate it, as the pipeline does."""
        incident = new_id()
        async with self.platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, host, fingerprint, "
                "labels, details, occurrences, opened_at, last_seen_at, version, summary) VALUES ($1, $2, $3, $4, "
                "'triaged', $5, 'firewall_status', 'ws-01', $6, '{}', '{}', 2, now(), now(), 1, $7)",
                incident,
                self.tenant,
                uuid4().int % 1_000_000,
                title,
                more.get("severity", "high"),
                str(incident),
                more.get("summary", "The firewall was switched off."),
            )
        data = {"level": "L3", "reason": "no_rule_matched", "detail": "No rule matches; a person decides."}
        await self.happen(incident, "incident.escalated", State.ESCALATED, data)
        return incident

    async def happen(self, incident, kind, to=None, data=None, actor="system:test"):
        """Let something happen to an incident, and the consumer hear of it."""
        async with self.platform.database.tenant(self.tenant) as session:
            move = Transition(incident_id=incident, type=kind, to=to, data=data or {}, actor=actor)
            await transition(session, self.tenant, [move])
            last = (await read_stream(session, self.tenant, "incident", incident))[-1]
            await follow_incidents(TenantBatch(self.platform, session, self.tenant, [last]))

    async def resolve(self, incident):
        await self.happen(
            incident, "incident.resolved", State.RESOLVED, {"resolution": "The check passes again."}
        )

    async def hurry(self):
        """Let what waits be due now: clocks and repeated attempts."""
        async with self.platform.database.raw_system() as connection:
            await connection.execute("UPDATE escalations SET due_at = now() WHERE due_at IS NOT NULL")
            await connection.execute("UPDATE escalations SET update_at = now() WHERE update_at IS NOT NULL")
        await self.retry()

    async def retry(self):
        """Let repeated attempts be due now."""
        async with self.platform.database.raw_system() as connection:
            await connection.execute("UPDATE escalation_deliveries SET due_at = now() WHERE state = 'queued'")

    async def send(self):
        """Send whatever is due."""
        while await self.sender.run_once():
            pass

    async def log(self, incident):
        return await self.rows(
            "SELECT kind, state, channel_kind, attempts, error_code, error, due_at, recipient, step, may_have_arrived "
            "FROM escalation_deliveries WHERE incident_id = $1 ORDER BY position",
            incident,
        )

    async def clock(self, incident):
        return (
            await self.rows(
                "SELECT * FROM escalations WHERE incident_id = $1 ORDER BY opened_at DESC", incident
            )
        )[0]


def _target(one: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if one.get(name) is None else str(one[name])
        for name in ("channel_id", "schedule_id", "user_id")
    }


async def put_secrets(platform, tenant, world):
    values = {
        **SECRETS,
        "slack-url": world.url("/slack/planted-token"),
        "teams-url": world.url("/teams/planted-token"),
    }
    async with platform.database.raw_system() as connection:
        for name, value in values.items():
            await connection.execute(
                "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES ($1, $2, $3, 't')",
                tenant,
                name,
                box(platform).encrypt(value.encode(), bound_to(tenant, name)),
            )


def over(platform, *worlds):
    """Return a platform whose messages may leave to the worlds alone."""
    settings = platform.settings.model_copy(
        update={
            "egress_allow": [f"127.0.0.1:{world.port}" for world in worlds],
            "public_url": "https://fettle.example.org",
        }
    )
    return Platform(settings=settings, database=platform.database, redis=platform.redis)


@pytest_asyncio.fixture
async def world():
    async with World(webhook_secret=WEBHOOK_SECRET).open() as opened:
        yield opened


@pytest_asyncio.fixture
async def rig(platform, world):
    mine = over(platform, world)
    tenant = await insert_tenant(platform.database, "alder-clinic")
    await put_secrets(mine, tenant, world)
    yield Rig(mine, world, tenant, Sender(mine))
    async with platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM escalation_deliveries")
        await connection.execute("DELETE FROM escalations")
