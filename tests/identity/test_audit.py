"""The audit as people use it: found by filter and words, exported safely, and sensitive reads told."""

import csv
import io
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.identity.api_keys import key_headers

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.kernel.clock import rfc3339, utcnow

ANN, BEN = Who("user:ann", "192.0.2.7"), Who("key:ben")


@pytest.fixture
async def admin(platform, tenant):
    """Headers of a tenant's administrator."""
    return await key_headers(platform, tenant)


async def put(platform, tenant, who, action, target, before=None, after=None):
    async with platform.database.tenant(tenant) as session:
        await audit.record(session, who, action, tenant_id=tenant, target=target, before=before, after=after)


async def found(client, headers, **params):
    answer = await client.get("/api/v1/audit", headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.fixture
async def recorded(platform, tenant, other_tenant):
    """Some records of two tenants."""
    await put(platform, tenant, ANN, "rule.created", ("rule", "R-1"), after={"title": "Größe prüfen"})
    on, off = {"enabled": True, "priority": 10}, {"enabled": False, "priority": 10}
    await put(platform, tenant, BEN, "rule.updated", ("rule", "R-1"), on, off)
    await put(platform, tenant, ANN, "host.declared", ("host", "web-01.alder.example"))
    await put(platform, other_tenant, ANN, "rule.created", ("rule", "R-1"), after={"title": "birch"})


@pytest.mark.parametrize(
    ("asked", "actions"),
    [
        ({"actor": "user:ann"}, ["host.declared", "rule.created"]),
        ({"action": "rule.updated"}, ["rule.updated"]),
        ({"target_type": "rule", "target_id": "R-1"}, ["rule.updated", "rule.created"]),
        ({"q": "größ"}, ["rule.created"]),
        ({"q": "web-01 DECLARED"}, ["host.declared"]),
        ({"q": "192.0.2.7 rule"}, ["rule.created"]),
        ({"q": "'; DROP TABLE x --"}, []),
        ({"q": "!!! & | ( ) :*"}, []),
        ({"q": "birch"}, []),
        ({"actor": "user:ann", "q": "rule", "target_type": "rule"}, ["rule.created"]),
    ],
)
async def test_records_are_found_by_filter_and_by_words(client, admin, recorded, asked, actions):
    assert [item["action"] for item in await found(client, admin, **asked)] == actions


async def test_a_time_span_is_from_and_before(client, platform, tenant, admin):
    moments = []
    for number in range(3):
        moments.append(utcnow())
        await put(platform, tenant, ANN, "thing.done", ("thing", number))
    asked = {"from": rfc3339(moments[1]), "to": rfc3339(moments[2]), "action": "thing.done"}
    assert [item["target_id"] for item in await found(client, admin, **asked)] == ["1"]
    later = {"from": rfc3339(utcnow() + timedelta(hours=1))}
    assert await found(client, admin, **later) == []
    refused = await client.get("/api/v1/audit", headers=admin, params={"from": "yesterday"})
    assert refused.status_code == 422


async def test_pages_join_without_a_gap_under_a_filter(client, platform, tenant, admin):
    for number in range(7):
        await put(platform, tenant, ANN if number % 2 else BEN, "thing.done", ("thing", number))
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "q": "thing"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/v1/audit", headers=admin, params=params)).json()
        seen += [item["target_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


async def test_a_change_is_told_by_its_fields_and_without_what_is_secret(client, platform, tenant, admin):
    was = {"client_secret": "hunter2hunter2", "name": "a", "same": 1}
    now = {"client_secret": "tr0ub4dor&3", "name": "b", "same": 1}
    await put(platform, tenant, ANN, "provider.updated", ("provider", "p"), was, now)
    [item] = await found(client, admin, action="provider.updated")
    assert {"field": "name", "before": "a", "after": "b"} in item["changes"]
    assert "hunter2hunter2" not in json.dumps(item)
    assert all(change["field"] != "same" for change in item["changes"])
    async with platform.database.raw_system() as connection:
        [told] = await connection.fetch(
            "SELECT data::text FROM events WHERE tenant_id = $1 AND type = 'audit.recorded' "
            "AND data ->> 'action' = 'provider.updated'",
            tenant,
        )
    assert "before" not in told["data"]


async def test_the_csv_holds_no_formula_and_the_lines_are_json(client, platform, tenant, admin):
    await put(platform, tenant, Who("=cmd|'/C calc'!A0"), "thing.done", ("thing", "+1"), after={"a": "=1+1"})
    await put(platform, tenant, Who("@SUM(A1)"), "thing.done", ("thing", "-2"), after={"a": 'x,y\n"z"'})
    answer = await client.get("/api/v1/audit/export?format=csv&action=thing.done", headers=admin)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["actor"] for row in rows] == ["'@SUM(A1)", "'=cmd|'/C calc'!A0"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert json.loads(rows[0]["after"]) == {"a": 'x,y\n"z"'}
    answer = await client.get("/api/v1/audit/export?format=json&action=thing.done", headers=admin)
    assert [json.loads(line)["target_id"] for line in answer.text.splitlines()] == ["-2", "+1"]


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/users", "users.listed"),
        ("/api-keys", "api_keys.listed"),
        ("/audit/export?q=x", "audit.exported"),
    ],
)
async def test_a_sensitive_read_is_in_the_audit_once_with_who_and_from_where(client, admin, path, action):
    answer = await client.get(f"/api/v1{path}", headers=admin)
    assert answer.status_code == 200
    [item] = await found(client, admin, action=action)
    assert item["actor"].startswith("key:")
    assert item["address"]
    if "?" in path:
        assert item["after"] == {"asked": {"q": "x"}}


async def test_a_read_that_is_refused_is_not_told_as_one(client, platform, tenant, admin):
    viewer = await key_headers(platform, tenant, "viewer")
    assert (await client.get("/api/v1/users", headers=viewer)).status_code == 403
    assert await found(client, admin, action="users.listed") == []


async def test_nobody_reads_another_tenants_audit(client, platform, recorded, other_tenant):
    auditor = await key_headers(platform, other_tenant, "auditor")
    items = await found(client, auditor)
    assert {item["after"]["title"] for item in items if item["action"] == "rule.created"} == {"birch"}
    exported = await client.get("/api/v1/audit/export", headers=auditor)
    assert "web-01" not in exported.text
    nothing = await client.get("/api/v1/audit", headers=auditor | {"X-Tenant-ID": str(uuid4())})
    assert nothing.status_code == 404
