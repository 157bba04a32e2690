"""Asks the API as somebody of one tenant, and opens incidents there."""

from uuid import uuid4

from fettle.incidents import history
from fettle.incidents.service import lock
from fettle.kernel import events


class Desk:
    """Somebody at work in the tenant alder."""

    def __init__(self, api):
        self.api = api

    async def ask(self, method, path, body=None, *, role="tenant_admin", owner=False, headers=None):
        given = self.api.owner(self.api.alder) if owner else self.api.alder.headers(role)
        return await self.api.client.request(method, f"/api/v1{path}", json=body, headers=headers or given)

    async def done(self, method, path, body=None, **options):
        answer = await self.ask(method, path, body, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def report(self, times=1, **fields):
        body = {"check_type": f"work_{uuid4().hex[:8]}", "host": f"h-{uuid4().hex[:8]}", **fields}
        return [(await self.done("POST", "/exceptions", body))["id"] for _ in range(times)], body

    async def opened(self, times=1, **fields):
        """Report something that no rule knows, and return the incident once a person is asked."""
        ids, body = await self.report(times, **fields)
        told = await self.api.eventually(
            f"/api/v1/exceptions/{ids[-1]}",
            self.api.alder.headers(),
            lambda answer: answer.get("incident_id") is not None,
        )
        incident = await self.api.eventually(
            f"/api/v1/incidents/{told['incident_id']}",
            self.api.alder.headers(),
            lambda answer: answer["state"] == "escalated",
        )
        return {**incident, "exception_ids": ids, "body": body}

    async def show(self, incident_id):
        return await self.done("GET", f"/incidents/{incident_id}")

    async def timeline(self, incident_id):
        page = await self.done("GET", f"/incidents/{incident_id}/timeline?limit=200")
        return [event["type"] for event in page["items"]]

    async def assert_folds(self, *incident_ids):
        """Hold each row against the fold of its stream."""
        tenant = self.api.alder.id
        async with self.api.platform.database.tenant(tenant) as session:
            rows = await lock(session, tenant, list(incident_ids))
            for incident_id, row in rows.items():
                stream = await events.read_stream(session, tenant, "incident", incident_id)
                assert history.fold((e.type, e.data, e.occurred_at) for e in stream) == row


async def member(desk, role):
    """Make an account that is a member of alder."""
    person = {"id": str(uuid4()), "name": f"Person {uuid4().hex[:6]}"}
    async with desk.api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, 'none')",
            person["id"],
            f"{uuid4().hex}@example.org",
            person["name"],
        )
        await connection.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)",
            desk.api.alder.id,
            person["id"],
            role,
        )
    return person
