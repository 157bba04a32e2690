"""What the overviews say: of one tenant, and of all that somebody looks after."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from tests.conftest import insert_tenant

from fettle.identity.sign_in_policy import shut_to
from fettle.incidents.overview import overview, overview_of_tenants
from fettle.kernel.ids import new_id


async def put(database, tenant, count=1, **fields):
    given = {"state": "triaged", "severity": "low", "level": None, "run_id": None, "age": "1 hour"} | fields
    async with database.raw_system() as connection:
        for _ in range(count):
            incident = new_id()
            await connection.execute(
                "INSERT INTO incidents (id, tenant_id, number, title, state, severity, level, run_id, check_type, "
                "fingerprint, labels, details, occurrences, opened_at, last_seen_at, resolved_at, version) "
                "VALUES ($1, $2, $3, 't', $4, $5, $6, $7, 'demo', $8, '{}', '{}', 1, now() - $9::text::interval, "
                "now(), CASE WHEN $4 IN ('resolved', 'closed') THEN now() - $9::text::interval + interval '1 minute' "
                "END, 1)",
                incident, tenant, int.from_bytes(incident.bytes[8:14], "big"), given["state"], given["severity"],
                given["level"], given["run_id"], incident.hex, given["age"],
            )  # fmt: skip


async def test_one_tenant_sees_its_states_its_levels_and_what_was_saved(database, tenant, other_tenant):
    await put(database, tenant, 7, state="closed", level="L1", run_id=new_id())
    await put(database, tenant, 2, state="resolved", level="L2", run_id=new_id())
    await put(database, tenant, 1, state="escalated", severity="high", level="L3")
    await put(database, tenant, 1, state="closed", level="L1", run_id=new_id(), age="40 days")
    await put(database, other_tenant, 5, severity="critical")
    seen = await overview(database, tenant, minutes_per_incident=30)
    assert seen.by_state == {"closed": 8, "resolved": 2, "escalated": 1}
    assert seen.open == {"high": 1}
    assert seen.levels == {"L1": 7, "L2": 2, "L3": 1}
    one = seen.level_shares["L1"]
    assert (one.count, one.share, one.target_from, one.target_to) == (7, 0.7, 0.7, 0.8)
    assert seen.level_shares["L3"].target_to == 0.1
    assert (seen.saved.incidents, seen.saved.minutes_per_incident, seen.saved.hours) == (9, 30, 4.5)
    assert seen.median_heal_seconds == pytest.approx(60, abs=1)


async def test_an_empty_tenant_has_no_shares_and_saved_nothing(database, tenant):
    seen = await overview(database, tenant, minutes_per_incident=30)
    assert {level.share for level in seen.level_shares.values()} == {None}
    assert (seen.saved.hours, seen.noise_removed_share, seen.noise_removed_24h) == (0, None, 0)


async def test_tenants_come_in_the_order_of_their_need_page_after_page(database):
    calm, busy, high, critical = [await insert_tenant(database, name) for name in ("a", "b", "c", "d")]
    await put(database, busy, 20, severity="medium")
    await put(database, high, 1, severity="high", state="escalated", level="L3")
    await put(database, critical, 1, severity="critical")
    await put(database, critical, 3, state="closed", level="L1")
    mine, found, after = [calm, busy, high, critical], [], None
    for _ in mine:
        (row,) = await overview_of_tenants(database, mine, after=after, limit=1)
        found.append(row[1])
        after = (row[0], row[1].tenant_id)
    assert [item.tenant_id for item in found] == [critical, high, busy, calm]
    assert await overview_of_tenants(database, mine, after=after, limit=1) == []
    assert found[0].open == {"critical": 1, "high": 0, "medium": 0, "low": 0, "info": 0}
    assert found[0].median_heal_seconds == pytest.approx(60, abs=1)
    assert found[0].level_shares["L1"].share == 1.0
    assert (found[1].needs_attention, found[3].needs_attention) == (1, 0)
    assert found[3].median_heal_seconds is None


async def test_only_tenants_that_are_named_are_read(database):
    mine, theirs = await insert_tenant(database, "mine"), await insert_tenant(database, "theirs")
    await put(database, theirs, 3, severity="critical")
    assert [
        item.tenant_id for _, item in await overview_of_tenants(database, [mine], after=None, limit=9)
    ] == [mine]
    assert await overview_of_tenants(database, [], after=None, limit=9) == []
    all_of_them = await overview_of_tenants(database, None, after=None, limit=200)
    assert {mine, theirs} <= {item.tenant_id for _, item in all_of_them}


async def test_each_caller_sees_the_tenants_whose_incidents_it_may_see(api_at_work):
    api = api_at_work
    path = "/api/v1/overview/tenants"
    own = (await api.client.get(path, headers=api.alder.headers("viewer"))).json()["items"]
    assert [item["tenant_id"] for item in own] == [str(api.alder.id)]
    assert (await api.client.get(path, headers=api.alder.headers("agent"))).json()["items"] == []
    of_owner = (await api.client.get(path, headers=api.owner())).json()["items"]
    assert {str(api.alder.id), str(api.birch.id)} <= {item["tenant_id"] for item in of_owner}
    assert (await api.client.get(path)).status_code == 401
    strange = await api.client.get(f"{path}?cursor=nonsense", headers=api.owner())
    assert strange.status_code == 422


@pytest.mark.parametrize(
    ("policy", "is_there"),
    [({"require_mfa": True}, False), ({"allowed_sign_in": ["oidc"]}, True), ({}, True)],
    ids=["second factor", "a way, which binds members alone", "nothing"],
)
async def test_a_tenant_that_does_not_let_the_sign_in_in_is_not_among_them(api_at_work, policy, is_there):
    api = api_at_work
    client, headers = api.client, api.owner()
    named = {"name": "Cedar", "slug": f"cedar-{uuid4().hex[:12]}"}
    made = (await client.post("/api/v1/tenants", json=named, headers=headers)).json()["id"]
    wanted = {"require_mfa": False, "session_hours": None, "allowed_sign_in": ["password"], **policy}
    there = {**headers, "X-Tenant-ID": made}
    answer = await client.put(f"/api/v1/tenants/{made}/security", json=wanted, headers=there)
    assert answer.status_code == 200, answer.text
    shown = (await client.get("/api/v1/overview/tenants?limit=200", headers=headers)).json()["items"]
    assert (made in {item["tenant_id"] for item in shown}) is is_there


async def test_a_member_does_not_see_a_tenant_that_allows_other_ways_to_sign_in(platform, tenant):
    async with platform.database.tenant(tenant) as session:
        await session.execute(
            text(
                "INSERT INTO sign_in_policies (tenant_id, require_mfa, allowed_sign_in, updated_at) "
                "VALUES (:tenant, false, '{oidc}', now())"
            ),
            {"tenant": tenant},
        )
    assert tenant in await shut_to(platform, ["password", "totp"], partners=(), is_admin=False)
    assert tenant not in await shut_to(platform, ["oidc"], partners=(), is_admin=False)
    assert tenant not in await shut_to(platform, ["password"], partners=(), is_admin=True)


async def test_the_timeline_begins_with_the_exceptions_that_made_the_incident(api_at_work):
    api = api_at_work
    headers = api.alder.headers()
    body = {"items": [{"check_type": "unheard_of", "host": "told-0"}] * 3}
    accepted = (await api.client.post("/api/v1/exceptions/batch", json=body, headers=headers)).json()["items"]
    await api.settle()
    (incident,) = (await api.client.get("/api/v1/incidents?host=told-0", headers=headers)).json()["items"]
    path = f"/api/v1/incidents/{incident['id']}/timeline"
    whole = (await api.client.get(path, headers=headers)).json()["items"]
    told = [event["stream"]["id"] for event in whole if event["type"] == "exception.ingested"]
    assert sorted(told) == sorted(item["id"] for item in accepted)
    assert whole[0]["type"] == "exception.ingested"
    positions = [event["position"] for event in whole]
    assert positions == sorted(set(positions))
    paged, cursor = [], ""
    while cursor is not None:
        answer = (await api.client.get(f"{path}?limit=2{cursor}", headers=headers)).json()
        paged += [event["position"] for event in answer["items"]]
        cursor = f"&cursor={answer['next_cursor']}" if answer["next_cursor"] else None
    assert paged == positions
