"""A good request, and another, for each POST about people, what they write, and a tenant as a whole."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from tests.fixtures_api import OWNER_PASSWORD
from tests.populated import PLAYBOOK, TEMPORAL_RULE, command
from tests.signed_in import someone

from fettle.identity import links
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.ids import new_id

POLICY = "id: ours\nversion: 1.0.0\nschema_version: 1\ntitle: Ours\nautonomy: approve\n"

Cases = dict[str, tuple[Any, Any, dict[str, str]]]


async def people_once(api, partner_id: str) -> Cases:
    """Return body, another body and the path's values of what concerns people; for the platform's owner."""
    owner = api.owner(api.alder)
    into_tenant = await command(api, "POST", "/invitations", _person(), owner)
    into_partner = await command(api, "POST", f"/partners/{partner_id}/invitations", _person(), owner)
    tokens = [_token(await command(api, "POST", "/invitations", _person(), owner)) for _ in range(2)]
    known = await someone(api)
    async with api.platform.database.system() as session:
        later = await session.scalar(text("SELECT now() + interval '10 minutes'"))
        resets = await links.mint(session, user_id=known.id, expires_at=later)
    joins = {"token": tokens[0], "name": "Once", "password": OWNER_PASSWORD}
    wishes = {"token": resets, "new_password": "some other phrase"}
    key = await command(api, "POST", "/api-keys", {"name": "turned", "scopes": ["incidents:read"]})
    role = {"name": f"once-{uuid4().hex[:8]}", "description": "Once", "permissions": ["incidents:read"]}
    partner = {"name": "Once", "slug": f"once-{uuid4().hex[:8]}"}
    slug = f"over-{uuid4().hex[:8]}"
    over = await command(api, "POST", "/tenants", {"name": "Over", "slug": slug}, api.owner())
    return {
        "/invitations": (_person(), _person(), {}),
        "/invitations/{invitation_id}/resend": (None, None, {"invitation_id": into_tenant["id"]}),
        "/partners": (partner, partner | {"slug": f"twice-{uuid4().hex[:8]}"}, {}),
        "/partners/{partner_id}/members": (_person("A"), _person("B"), {}),
        "/partners/{partner_id}/invitations": (_person(), _person(), {}),
        "/partners/{partner_id}/invitations/{invitation_id}/resend": (
            None,
            None,
            {"invitation_id": into_partner["id"]},
        ),
        "/roles": (role, role | {"description": "Twice"}, {}),
        "/api-keys/{key_id}/rotate": ({"overlap_hours": 1}, {"overlap_hours": 2}, {"key_id": key["id"]}),
        "/users/{user_id}/second-factors/reset": ({"reason": "tried"}, {"reason": "otherwise"}, {}),
        "/auth/invitations/look": ({"token": tokens[1]}, {"token": tokens[0]}, {}),
        "/auth/invitations/accept": (joins, joins | {"name": "Twice"}, {}),
        "/auth/password/forgot": ({"email": known.email}, {"email": "nobody@example.org"}, {}),
        "/auth/password/reset": (wishes, wishes | {"new_password": "yet another phrase"}, {}),
        "/tenants/{tenant_id}/export": (None, None, {}),
        "/tenants/{tenant_id}/erase": (
            {"confirm": slug},
            {"confirm": slug, "password": OWNER_PASSWORD},
            {"tenant_id": over["id"]},
        ),
    }


async def written_once(api, incident_id: str, rule: dict[str, Any]) -> Cases:
    """Return body, another body and the path's values of what people write and try; for an administrator."""
    headers = api.alder.headers()
    own = {"yaml": PLAYBOOK.replace("PB-OWN", "PB-ONCE")}
    kept = {**rule, "id": f"L1-KEPT-{uuid4().hex[:8].upper()}"}
    saved = await command(api, "POST", "/rules", kept)
    turned = {"enabled": False, "version": 1}
    await command(api, "PATCH", f"/rules/{saved['id']}", turned)
    again = {"yaml": PLAYBOOK.replace("steps", "description: Again.\nsteps"), "version": 1}
    await command(api, "PUT", "/playbooks/PB-OWN", again)
    policy = (await api.client.get("/api/v1/policy", headers=headers)).json()
    version = policy["version"]
    for title in ("One", "Two"):
        body = {"policy": {**policy["policy"], "title": title}, "expected_version": version}
        version = int((await command(api, "PUT", "/policy", body))["id"])
    runs = {"incident_id": incident_id, "reason": "tried"}
    return {
        "/playbooks": (own, {"yaml": own["yaml"] + "description: Other.\n"}, {}),
        "/playbooks/check": (own, {"yaml": PLAYBOOK}, {}),
        "/playbooks/dry-run": (own, own | {"incident": {"host": "b"}}, {}),
        "/playbooks/{playbook_id}/restore": ({"to": 1, "version": 2}, {"to": 2, "version": 2}, {}),
        "/playbooks/{playbook_id}/run": (runs, runs | {"reason": "other"}, {}),
        "/tools/{name}/test": ({"input": {}}, {"input": {}, "dry_run": True}, {"name": "noop"}),
        "/runs/{run_id}/cancel": ({"reason": "tried"}, {"reason": "other"}, {"run_id": await _waits(api)}),
        "/rules/{rule_id}/restore": (
            {"to": 1, "version": 2},
            {"to": 2, "version": 2},
            {"rule_id": saved["id"]},
        ),
        **await _over_time(api),
        "/rules/dry-run/incidents": ({"rule": rule}, {"rule": rule, "limit": 1}, {}),
        "/policy/check": ({"yaml": POLICY}, {"yaml": POLICY + "description: Other.\n"}, {}),
        "/policy/preview": ({"policy": policy["policy"]}, {"policy": {**policy["policy"], "title": "B"}}, {}),
        "/policy/restore": (
            {"to": version - 1, "expected_version": version},
            {"to": version, "expected_version": version},
            {},
        ),
    }


async def _over_time(api) -> Cases:
    rule = {**TEMPORAL_RULE, "id": "T-ONCE"}
    kept = {**TEMPORAL_RULE, "id": "T-KEPT"}
    await command(api, "POST", "/temporal-rules", kept)
    await command(api, "PATCH", "/temporal-rules/T-KEPT", {"enabled": False, "version": 1})
    return {
        "/temporal-rules": (rule, rule | {"id": "T-TWICE"}, {}),
        "/temporal-rules/dry-run": ({"rule": rule}, {"rule": rule | {"id": "T-TWICE"}}, {}),
        "/temporal-rules/{temporal_rule_id}/restore": (
            {"to": 1, "version": 2},
            {"to": 2, "version": 2},
            {"temporal_rule_id": "T-KEPT"},
        ),
    }


def _person(name: str | None = None) -> dict[str, str]:
    asked = {"email": f"{uuid4().hex}@example.org", "role": "viewer"}
    return asked if name is None else asked | {"name": name}


def _token(issued: dict[str, Any]) -> str:
    return str(issued["link"].partition("token=")[2])


async def _waits(api) -> str:
    """Put in a run that waits for an hour."""
    run_id: UUID = new_id()
    other = {
        "id": str(run_id),
        "state": "waiting",
        "causation_id": str(new_id()),
        "outcome": None,
        "finished_at": None,
        "cancelled_at": None,
        "due_at": rfc3339(utcnow() + timedelta(hours=1)),
    }
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO playbook_runs SELECT (jsonb_populate_record(r, $2::text::jsonb)).* "
            "FROM playbook_runs r WHERE tenant_id = $1 LIMIT 1",
            api.alder.id,
            json.dumps(other),
        )
    return str(run_id)
