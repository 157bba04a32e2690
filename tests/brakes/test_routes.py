"""Brakes over HTTP: what each role may, two tenants, and what is shown of who did what, and why."""

from datetime import timedelta
from uuid import uuid4

from fettle.healing.brakes.guard import BrakeGuard
from fettle.kernel.clock import rfc3339, utcnow
from fettle.tools.step_guard import guard_of

WHY = {"reason": "tried"}


async def ask(api, method, path, role="operator", body=None, *, tenant=None, expect=None):
    headers = (tenant or api.alder).headers(role) if role != "owner" else api.owner(tenant or api.alder)
    answer = await api.client.request(method, f"/api/v1{path}", headers=headers, json=body)
    assert expect is None or answer.status_code == expect, answer.text
    return answer.json()


async def now_of(api, tenant=None):
    return await ask(api, "GET", "/brakes", "viewer", tenant=tenant, expect=200)


async def test_the_stop_switch_by_who_may(api):
    await ask(api, "POST", "/brakes/stop", "analyst", WHY, expect=403)
    await ask(api, "POST", "/brakes/stop", "operator", {"reason": " "}, expect=422)
    await ask(api, "POST", "/brakes/stop", "operator", WHY, expect=202)
    await ask(api, "POST", "/brakes/stop", "operator", WHY, expect=409)
    shown = await now_of(api)
    assert (shown["tenant"]["reason"], shown["platform"]) == ("tried", None)
    assert shown["tenant"]["stopped_by_name"] is not None
    assert (await now_of(api, api.birch))["tenant"] is None
    await ask(api, "POST", "/brakes/resume", "operator", WHY, tenant=api.birch, expect=409)
    await ask(api, "POST", "/brakes/resume", "operator", {"reason": "over"}, expect=202)
    [stop] = (await ask(api, "GET", "/brakes/stops", "viewer", expect=200))["items"]
    assert (stop["lift_reason"], stop["lifted_by_name"] is not None) == ("over", True)
    assert (await ask(api, "GET", "/brakes/stops", tenant=api.birch, expect=200))["items"] == []


async def test_the_installations_switch_is_the_platforms(api):
    await ask(api, "POST", "/platform/stop", "tenant_admin", WHY, expect=403)
    await ask(api, "POST", "/platform/stop", "owner", WHY, expect=202)
    for tenant in (api.alder, api.birch):
        assert (await now_of(api, tenant))["platform"]["reason"] == "tried"
    await ask(api, "POST", "/platform/resume", "owner", WHY, expect=202)
    assert (await now_of(api))["platform"] is None
    async with api.platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT action FROM audit_records WHERE tenant_id IS NULL AND action LIKE 'stop%'"
        )
    assert {row["action"] for row in rows} == {"stop.pressed", "stop.lifted"}


async def test_breakers_are_opened_listed_page_by_page_and_reset(api):
    for key in ("B", "c", "A"):
        await ask(api, "POST", "/brakes/breakers/open", body={"kind": "host", "key": key, **WHY}, expect=202)
    await ask(api, "POST", "/brakes/breakers/open", body={"kind": "tenant", "seconds": 60, **WHY}, expect=202)
    await ask(api, "POST", "/brakes/breakers/open", body={"kind": "tenant", "key": "x", **WHY}, expect=422)
    await ask(api, "POST", "/brakes/breakers/open", body={"kind": "host", **WHY}, expect=422)
    await ask(api, "POST", "/brakes/breakers/open", "viewer", {"kind": "host", "key": "d", **WHY}, expect=403)
    first = await ask(api, "GET", "/brakes/breakers?limit=2", expect=200)
    rest = await ask(api, "GET", f"/brakes/breakers?limit=2&cursor={first['next_cursor']}", expect=200)
    found = [(one["kind"], one["key"]) for page in (first, rest) for one in page["items"]]
    assert found == [("host", "a"), ("host", "b"), ("host", "c"), ("tenant", "")]
    assert rest["next_cursor"] is None
    assert (await ask(api, "GET", "/brakes/breakers", tenant=api.birch))["items"] == []
    assert (await now_of(api))["breakers"] == 4
    for key in ("a", "b", "c"):
        await ask(api, "POST", "/brakes/breakers/reset", body={"kind": "host", "key": key, **WHY}, expect=202)
    await ask(api, "POST", "/brakes/breakers/reset", body={"kind": "tenant", **WHY}, expect=202)
    shown = await ask(api, "GET", "/brakes/breakers?state=open", expect=200)
    assert shown["items"] == []


async def test_what_is_not_there_is_not_found(api):
    await ask(api, "POST", f"/brakes/flaps/{uuid4()}/clear", body=WHY, expect=404)
    await ask(api, "POST", f"/delegations/{uuid4()}/end", expect=404)
    for path in ("/brakes/flaps?state=suppressed&q=x", "/brakes/held", "/delegations?active=true"):
        assert (await ask(api, "GET", path, "viewer", expect=200))["items"] == []


async def test_a_deputy_is_appointed_by_an_administrator_and_ends(api):
    made = [
        await ask(
            api,
            "POST",
            "/users",
            "owner",
            {"email": f"{uuid4().hex}@example.org", "name": name, "role": "operator"},
        )
        for name in ("Ann", "Bob")
    ]
    wanted = {
        "from_user": made[0]["id"],
        "to_user": made[1]["id"],
        "begins_at": rfc3339(utcnow()),
        "ends_at": rfc3339(utcnow() + timedelta(days=3)),
        "reason": "On leave.",
    }
    await ask(api, "POST", "/delegations", "operator", wanted, expect=403)
    await ask(api, "POST", "/delegations", "operator", {**wanted, "from_user": None}, expect=422)
    given = await ask(api, "POST", "/delegations", "tenant_admin", wanted, expect=202)
    [one] = (await ask(api, "GET", "/delegations", "viewer", expect=200))["items"]
    assert (one["from_name"], one["to_name"], one["is_active"]) == ("Ann", "Bob", True)
    await ask(api, "POST", f"/delegations/{given['id']}/end", "tenant_admin", tenant=api.birch, expect=404)
    await ask(api, "POST", f"/delegations/{given['id']}/end", "tenant_admin", expect=202)
    await ask(api, "POST", f"/delegations/{given['id']}/end", "tenant_admin", expect=409)


async def test_what_if_without_incidents(api):
    found = await ask(api, "GET", "/autonomy/what-if", "viewer", expect=200)
    assert (found["considered"], found["levels"]["act"]["acted"], found["raised"]["acting"]) == (0, 0, 0)
    page = await ask(
        api, "GET", "/autonomy/what-if/incidents?level=suggest&changed=true", "viewer", expect=200
    )
    assert page == {"items": [], "next_cursor": None}
    await ask(api, "GET", "/autonomy/what-if", "agent", expect=403)


async def test_a_process_of_the_platform_asks_the_brakes_before_each_step(api):
    assert isinstance(guard_of(api.platform), BrakeGuard)
