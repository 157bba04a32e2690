"""Tools, playbooks, runs and secrets over HTTP, each for its tenant alone."""

from tests.tools.rig import Rig, plan

from fettle.packs.service import ensure_shipped
from fettle.tools.catalogue import registry_of
from fettle.tools.registry import ToolError


async def test_a_tool_is_switched_off_for_one_tenant_alone(api):
    listed = (await api.client.get("/api/v1/tools", headers=api.alder.headers("viewer"))).json()["items"]
    names = {tool["name"] for tool in listed}
    assert {"http.request", "notify", "wait", "runbook.run", "runbook.rollback", "noop"} <= names
    assert all(tool["enabled"] for tool in listed)
    url = "/api/v1/tools/noop"
    assert (
        await api.client.patch(url, json={"enabled": False}, headers=api.alder.headers("viewer"))
    ).status_code == 403
    assert (
        await api.client.patch(url, json={"enabled": False}, headers=api.alder.headers())
    ).status_code == 202
    assert (
        await api.client.patch("/api/v1/tools/no.such", json={"enabled": True}, headers=api.alder.headers())
    ).status_code == 404
    assert (
        await api.client.patch(url, json={"enabled": "yes"}, headers=api.alder.headers())
    ).status_code == 422
    for tenant, expected in ((api.alder, False), (api.birch, True)):
        listed = (await api.client.get("/api/v1/tools", headers=tenant.headers())).json()["items"]
        assert {tool["enabled"] for tool in listed if tool["name"] == "noop"} == {expected}
    for tenant, outcome in ((api.alder, "failed"), (api.birch, "completed")):
        rig = Rig(api.platform, tenant.id, registry=registry_of(api.platform))
        (run_id,) = await rig.approve(plan({"id": "s", "tool": "noop"}))
        await rig.execute()
        assert (await rig.run(run_id))["outcome"] == outcome


async def test_shipped_playbooks_are_listed_shown_and_tried(api):
    await ensure_shipped(api.platform)
    headers = api.alder.headers("operator")
    listed = (await api.client.get("/api/v1/playbooks", headers=headers)).json()["items"]
    assert listed
    for item in listed:
        shown = (await api.client.get(f"/api/v1/playbooks/{item['id']}", headers=headers)).json()
        assert shown["faults"] == []
        assert shown["definition"]["id"] == item["id"]
        tried = await api.client.post(
            f"/api/v1/playbooks/{item['id']}/dry-run",
            headers=headers,
            json={
                "incident": {
                    "host": "web-1",
                    "check_type": "x",
                    "severity": "high",
                    "title": "t",
                    "details": {},
                }
            },
        )
        assert tried.status_code in (200, 422), tried.text
        if tried.status_code == 200:
            assert tried.json()["steps"]
    assert (await api.client.get("/api/v1/playbooks/PB-NONE", headers=headers)).status_code == 404
    assert (
        await api.client.post("/api/v1/playbooks/PB-NONE/dry-run", json={}, headers=headers)
    ).status_code == 404
    assert (
        await api.client.post(
            "/api/v1/playbooks/PB-NONE/dry-run", json={}, headers=api.alder.headers("viewer")
        )
    ).status_code == 403


async def test_runs_are_listed_and_shown_to_their_tenant_alone(api):
    rig = Rig(api.platform, api.alder.id, registry=registry_of(api.platform))
    rig.tool("demo.shown")
    ids = await rig.approve(*(plan({"id": "s", "tool": "demo.shown", "with": {"n": 1}}) for _ in range(3)))
    await rig.execute()
    incident = (await rig.run(ids[0]))["incident_id"]
    headers = api.alder.headers("viewer")
    found = (
        await api.client.get("/api/v1/runs", params={"incident_id": str(incident)}, headers=headers)
    ).json()
    assert [run["id"] for run in found["items"]] == [str(ids[0])]
    page = (await api.client.get("/api/v1/runs", params={"limit": 2}, headers=headers)).json()
    rest = (
        await api.client.get(
            "/api/v1/runs", params={"limit": 2, "cursor": page["next_cursor"]}, headers=headers
        )
    ).json()
    seen = [run["id"] for run in page["items"] + rest["items"]]
    assert seen[:3] == [str(run_id) for run_id in sorted(ids, reverse=True)]
    shown = (await api.client.get(f"/api/v1/runs/{ids[0]}", headers=headers)).json()
    assert (shown["outcome"], shown["steps"][0]["path"], shown["steps"][0]["input"]) == (
        "completed",
        "s",
        {"n": 1},
    )
    other = api.birch.headers()
    assert (await api.client.get(f"/api/v1/runs/{ids[0]}", headers=other)).status_code == 404
    mine = (await api.client.get("/api/v1/runs", params={"incident_id": str(incident)}, headers=other)).json()
    assert mine["items"] == []


async def test_a_secret_goes_in_is_used_and_never_comes_out(api, capsys):
    """Attack 14: a canary, searched for in every place where a secret could come to light."""
    canary = "hunter2-canary-7f3a"
    headers = api.alder.headers()
    url = "/api/v1/secrets/demo_token"
    assert (
        await api.client.put(url, json={"value": canary}, headers=api.alder.headers("operator"))
    ).status_code == 403
    answers = [await api.client.put(url, json={"value": canary}, headers=headers)]
    rig = Rig(api.platform, api.alder.id, registry=registry_of(api.platform))
    seen = []

    async def leak(call):
        seen.append(call.input["token"])
        return {"echo": f"Bearer {call.input['token']}", "list": [{call.input["token"]: 1}]}

    async def blurt(call):
        raise ToolError("refused", f"401 for {call.input['token']}")

    async def crash(call):
        raise ValueError(call.input["token"])

    for name, tool in (("leak.output", leak), ("leak.error", blurt), ("leak.crash", crash)):
        rig.tool(name, tool)
    given = {"with": {"token": {"$secret": "demo_token"}}}
    ids = await rig.approve(
        *(plan({"id": "s", "tool": name, **given}) for name in ("leak.output", "leak.error", "leak.crash"))
    )
    await rig.execute()
    assert seen == [canary]
    answers += [await api.client.get(f"/api/v1/runs/{run_id}", headers=headers) for run_id in ids]
    answers += [
        await api.client.get(path, headers=headers)
        for path in ("/api/v1/secrets", "/api/v1/runs", "/api/v1/tools")
    ]
    assert all(canary not in answer.text for answer in answers)
    assert answers[4].json()["items"][0]["name"] == "demo_token"
    assert (await rig.steps(ids[0]))["s"]["input"] == {"token": {"$secret": "demo_token"}}
    assert canary not in await everything(api)
    assert canary not in "".join(capsys.readouterr())
    assert (await api.client.get("/api/v1/secrets", headers=api.birch.headers())).json()["items"] == []
    assert (await api.client.delete(url, headers=headers)).status_code == 202
    assert (await api.client.delete(url, headers=headers)).status_code == 404


async def everything(api):
    """Return every row of every table as text."""
    async with api.platform.database.raw_system() as connection:
        names = [row["relname"] for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND has_table_privilege(oid, 'SELECT')"
        )]  # fmt: skip
        assert "tenant_secrets" in names
        texts = []
        for name in names:
            rows = await connection.fetch(
                f"SELECT t::text AS row, encode(convert_to(t::text, 'UTF8'), 'escape') FROM {name} t"
            )
            texts += [row["row"] for row in rows]
        sealed = await connection.fetch("SELECT sealed FROM tenant_secrets")
        texts += [row["sealed"].decode("latin-1") for row in sealed]
    return "\n".join(texts)


async def test_a_sealed_secret_opens_for_no_other_tenant_and_under_no_other_name(api):
    await api.client.put(
        "/api/v1/secrets/mine", json={"value": "to-each-their-own"}, headers=api.alder.headers()
    )
    async with api.platform.database.raw_system() as connection:
        for tenant, name in ((api.birch.id, "mine"), (api.alder.id, "other")):
            await connection.execute(
                "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) "
                "SELECT $1, $2, sealed, 'thief' FROM tenant_secrets WHERE name = 'mine' AND tenant_id = $3",
                tenant, name, api.alder.id,
            )  # fmt: skip
    for tenant, name in ((api.birch, "mine"), (api.alder, "other")):
        rig = Rig(api.platform, tenant.id, registry=registry_of(api.platform))
        (run_id,) = await rig.approve(
            plan({"id": "s", "tool": "notify", "with": {"subject": {"$secret": name}}})
        )
        await rig.execute()
        run = await rig.run(run_id)
        assert run["outcome"] == "failed"
        assert "cannot be opened" in run["reason"]
