"""Two tenants on every operation of the OpenAPI document, so that a new operation cannot be forgotten."""

import hashlib
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.isolation.catalog import tenant_tables
from tests.populated import CANARY, PLAYBOOK, RULE, SHARED, TEMPORAL_RULE, Alder, populate

OF_PLATFORM = {"tenant_id", "partner_id", "account_id"}
"""What the platform's owner reaches whichever tenant they name."""
LISTS_OF_PLATFORM = {
    f"/api/v1/{name}" for name in ("me", "me/tenants", "tenants", "partners", "accounts", "overview/tenants")
}
"""What shows the platform's owner all that there is, whichever tenant they name."""

METHODS = ("get", "post", "put", "patch", "delete")

OTHER = uuid4()
ROTA = {"name": "mine now", "time_zone": "UTC", "layers": []}
MUTE = {
    "kind": "silence",
    "title": "mine now",
    "matchers": [{"name": "host", "op": "=", "value": "nowhere"}],
    "ends_at": "2099-01-01T00:00:00Z",
}
BODIES = {
    ("post", "/api/v1/tenants/{tenant_id}/erase"): {"confirm": "mine-now"},
    ("patch", "/api/v1/api-keys/{key_id}"): {"name": "mine now"},
    ("post", "/api/v1/api-keys/{key_id}/rotate"): {"overlap_hours": 1},
    ("patch", "/api/v1/users/{user_id}"): {"role": "viewer"},
    ("post", "/api/v1/users/{user_id}/second-factors/reset"): {"reason": "mine now"},
    ("put", "/api/v1/roles/{name}"): {"description": "mine now", "permissions": ["incidents:read"]},
    ("patch", "/api/v1/tenants/{tenant_id}"): {"name": CANARY},
    ("patch", "/api/v1/partners/{partner_id}"): {"name": CANARY},
    ("post", "/api/v1/partners/{partner_id}/members"): {
        "email": "new@example.org",
        "name": "New",
        "role": "viewer",
    },
    ("post", "/api/v1/partners/{partner_id}/invitations"): {"email": "new@example.org", "role": "viewer"},
    ("patch", "/api/v1/partners/{partner_id}/members/{user_id}"): {"role": "partner_admin"},
    ("patch", "/api/v1/accounts/{account_id}"): {"disabled": False},
    ("post", "/api/v1/packs/{pack_id}/activate"): {"version": "1.0.0"},
    ("post", "/api/v1/incidents/{incident_id}/resolve"): {"reason": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/close"): {"reason": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/reopen"): {"reason": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/assign"): {"assignee": str(OTHER)},
    ("post", "/api/v1/incidents/{incident_id}/unassign"): {},
    ("post", "/api/v1/incidents/{incident_id}/comments"): {"body": "mine now"},
    ("patch", "/api/v1/incidents/{incident_id}/comments/{comment_id}"): {"body": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/links"): {"kind": "caused_by", "incident_id": str(OTHER)},
    ("post", "/api/v1/incidents/{incident_id}/merge"): {"into": str(OTHER), "reason": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/unmerge"): {"reason": "mine now"},
    ("post", "/api/v1/incidents/{incident_id}/split"): {"exception_ids": [str(OTHER)], "reason": "mine now"},
    ("patch", "/api/v1/incidents/views/{view_id}"): {"name": "mine now", "version": 1},
    ("post", "/api/v1/incidents/{incident_id}/acknowledge"): {},
    ("post", "/api/v1/incidents/{incident_id}/hand-over"): {"to": str(OTHER), "reason": "mine now"},
    ("put", "/api/v1/escalation/schedules/{schedule_id}"): {**ROTA, "version": 1},
    ("post", "/api/v1/escalation/schedules/{schedule_id}/calendar"): {"ics": "BEGIN:VCALENDAR", "version": 1},
    ("put", "/api/v1/escalation/channels/{channel_id}"): {
        "name": "mine now",
        "settings": {"kind": "email"},
        "version": 1,
    },
    ("put", "/api/v1/escalation/policies/{policy_id}"): {
        "name": "mine now",
        "steps": [{"targets": [{"channel_id": str(OTHER)}]}],
        "version": 1,
    },
    ("put", "/api/v1/escalation/contacts/{user_id}"): {"slack": "U0MINENOW"},
    ("post", "/api/v1/mutes"): {"mute": MUTE},
    ("post", "/api/v1/mutes/preview"): {"mute": MUTE},
    ("post", "/api/v1/correlations/{correlation_id}/confirm"): {"version": 1},
    ("post", "/api/v1/correlations/{correlation_id}/dismiss"): {"version": 1},
    ("put", "/api/v1/mutes/{mute_id}"): {"mute": MUTE, "version": 2},
    ("post", "/api/v1/mutes/{mute_id}/end"): {"version": 2},
    ("post", "/api/v1/mutes/{mute_id}/undo"): {"version": 2},
    ("post", "/api/v1/flywheel/promotions/{promotion_id}/promote"): {"reason": "mine now", "version": 1},
    ("post", "/api/v1/flywheel/promotions/{promotion_id}/retire"): {"reason": "mine now", "version": 1},
    ("post", "/api/v1/flywheel/promotions/{promotion_id}/restore"): {"reason": "mine now", "version": 1},
    ("post", "/api/v1/hooks/{source_id}"): {"title": "mine now"},
    ("post", "/api/v1/hooks/{source_id}/{token}"): {"title": "mine now"},
    ("patch", "/api/v1/hook-sources/{source_id}"): {"name": "mine now", "version": 1},
    ("post", "/api/v1/hook-sources/{source_id}/secret"): {"overlap_hours": 0},
    ("post", "/api/v1/hook-sources/{source_id}/test"): {},
    ("put", "/api/v1/hook-sources/{source_id}/mapping"): {"mapping": None, "mapping_version": 1},
    ("post", "/api/v1/hook-sources/{source_id}/mapping/undo"): {"mapping_version": 1},
    ("post", "/api/v1/hook-sources/{source_id}/mapping/preview"): {"mapping": None},
    ("post", "/api/v1/brakes/flaps/{suppression_id}/clear"): {"reason": "mine now"},
    ("patch", "/api/v1/rules/{rule_id}"): {"enabled": False, "version": 1},
    ("post", "/api/v1/rules/{rule_id}/restore"): {"to": 1, "version": 1},
    ("put", "/api/v1/rules/{rule_id}"): {**RULE, "title": "mine now", "version": 1},
    ("patch", "/api/v1/temporal-rules/{temporal_rule_id}"): {"enabled": False, "version": 1},
    ("post", "/api/v1/temporal-rules/{temporal_rule_id}/restore"): {"to": 1, "version": 1},
    ("put", "/api/v1/temporal-rules/{temporal_rule_id}"): {
        **TEMPORAL_RULE,
        "title": "mine now",
        "version": 1,
    },
    ("post", "/api/v1/approvals/{approval_id}/approve"): {"reason": "mine now", "plan_hash": "0" * 64},
    ("post", "/api/v1/approvals/{approval_id}/reject"): {"reason": "mine now", "plan_hash": "0" * 64},
    ("patch", "/api/v1/tools/{name}"): {"enabled": False},
    ("post", "/api/v1/playbooks/{playbook_id}/dry-run"): {},
    ("post", "/api/v1/playbooks/{playbook_id}/restore"): {"to": 1, "version": 1},
    ("put", "/api/v1/playbooks/{playbook_id}"): {"yaml": PLAYBOOK, "version": 1},
    ("post", "/api/v1/playbooks/{playbook_id}/run"): {"incident_id": str(uuid4()), "reason": "mine now"},
    ("post", "/api/v1/tools/{name}/test"): {"input": {}},
    ("post", "/api/v1/runs/{run_id}/cancel"): {"reason": "mine now"},
    ("post", "/api/v1/runs/{run_id}/approve"): {"step": "fix", "reason": "mine now"},
    ("post", "/api/v1/runs/{run_id}/reject"): {"step": "fix", "reason": "mine now"},
    ("put", "/api/v1/tenants/{tenant_id}/security"): {"require_mfa": False, "allowed_sign_in": ["oidc"]},
    ("patch", "/api/v1/identity-providers/{provider_id}"): {"name": "mine now"},
    ("patch", "/api/v1/me/passkeys/{passkey_id}"): {"name": "mine now"},
    ("put", "/api/v1/secrets/{name}"): {"value": "birch's own"},
}
QUERIES = {
    ("delete", "/api/v1/rules/{rule_id}"): {"version": 1},
    ("delete", "/api/v1/temporal-rules/{temporal_rule_id}"): {"version": 1},
    ("delete", "/api/v1/playbooks/{playbook_id}"): {"version": 1},
    ("get", "/api/v1/packs/{pack_id}/diff"): {"from": "1.0.0", "to": "1.0.0"},
}


@pytest_asyncio.fixture(scope="module")
async def alder(api_at_work) -> Alder:
    """One of the two tenants, with one of everything."""
    return await populate(api_at_work)


async def operations(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    return [
        (method, path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and path.startswith("/api/v1/")
    ]


async def rows_of(api, tenant) -> dict[str, str]:
    """Return a digest of each table's rows of one tenant, but for what merely notes its own use."""
    digests = {}
    async with api.platform.database.raw_system() as connection:
        for table, column in (await tenant_tables(connection)).items():
            rows = await connection.fetch(
                f"SELECT t::text FROM {table} t WHERE {column} = $1 ORDER BY 1", tenant
            )
            if table not in {"api_keys", "hook_figures"}:
                digests[table] = hashlib.sha256("\n".join(row[0] for row in rows).encode()).hexdigest()
    return digests


def concrete(path, values):
    try:
        return path.format(**values)
    except KeyError as missing:
        raise AssertionError(
            f"{path}: give alder a {missing} above, so that this operation is tried"
        ) from None


def others(api, alder):
    """Return the ways in which somebody of the other tenant comes."""
    birch = api.birch.headers()
    return {
        "the other tenant's administrator": birch,
        "the same, naming this tenant": birch | {"X-Tenant-ID": str(api.alder.id)},
        "the platform's owner in the other tenant": api.owner(api.birch),
    }


async def test_no_operation_on_an_object_of_another_tenant_does_anything(api_at_work, alder):
    api, tried = api_at_work, 0
    before = await rows_of(api, api.alder.id)
    for method, path, operation in await operations(api):
        names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        if not names:
            continue
        body = BODIES.get((method, path))
        assert body is not None or "requestBody" not in operation, f"give {method} {path} a body above"
        for who, headers in others(api, alder).items():
            own = names & OF_PLATFORM and who.startswith("the platform")
            if own and method != "get":
                continue  # is done, as it should be
            answer = await api.client.request(
                method,
                concrete(path, alder.values),
                headers=headers,
                json=body,
                params=QUERIES.get((method, path)),
            )
            told = (method, path, who, answer.status_code, answer.text)
            if not own and (names - SHARED or "naming" in who):
                assert answer.status_code in {403, 404}, told
            assert answer.status_code < 500, told
            sent = concrete(path, alder.values)
            leaked = [secret for secret in alder.private if secret in answer.text and secret not in sent]
            assert leaked == [] or own, told
            tried += 1
    await api.settle()
    assert await rows_of(api, api.alder.id) == before
    assert tried > 80


async def test_an_object_of_another_tenant_reads_like_one_that_never_was(api_at_work, alder):
    api = api_at_work
    nothing = {name: str(uuid4()) for name in alder.values} | {"rule_id": "L1-NEVER-WAS"}
    for method, path, operation in await operations(api):
        names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        if not names or names <= SHARED:
            continue
        texts = []
        body = BODIES.get((method, path))
        for values in (alder.values, nothing):
            if body is not None and "id" in body:
                body = body | {"id": values["rule_id"]}
            answer = await api.client.request(
                method,
                concrete(path, values),
                headers=api.birch.headers(),
                json=body,
                params=QUERIES.get((method, path)),
            )
            problem = answer.json() | {"instance": ""}
            said = str(problem)
            for name in names:
                said = said.replace(values[name], "<id>")
            texts.append(said)
        assert texts[0] == texts[1], (method, path)


async def test_no_list_export_or_figure_shows_what_is_another_tenants(api_at_work, alder):
    api, shown = api_at_work, 0
    for method, path, operation in await operations(api):
        if method != "get" or "{" in path or "text/event-stream" in str(operation["responses"]):
            continue
        mine = (await api.client.get(path, headers=api.alder.headers())).text
        shown += any(secret in mine for secret in alder.private)
        for who, headers in others(api, alder).items():
            answer = await api.client.get(path, headers=headers)
            if who.startswith("the platform") and path in LISTS_OF_PLATFORM:
                continue
            leaked = [secret for secret in alder.private if secret in answer.text]
            assert leaked == [], (path, who)
    assert shown >= 9, "the lists must show alder its own, or the test proves nothing"


async def test_search_and_filters_find_nothing_of_another_tenant(api_at_work, alder):
    api = api_at_work
    values = {"q": CANARY, "host": f"{CANARY}-one", "incident_id": alder.values["incident_id"]}
    stream = {"stream_type": "incident", "stream_id": alder.values["incident_id"]}
    for path, params in (
        ("/incidents", {"q": CANARY}),
        ("/incidents", {"host": values["host"]}),
        ("/incidents/export", {"format": "csv", "q": CANARY}),
        ("/runs", {"incident_id": values["incident_id"]}),
        ("/evidence", {"incident_id": values["incident_id"]}),
        ("/events", stream),
    ):
        mine = await api.client.get(f"/api/v1{path}", params=params, headers=api.alder.headers())
        theirs = await api.client.get(f"/api/v1{path}", params=params, headers=api.birch.headers())
        assert not any(secret in theirs.text for secret in alder.private), (path, theirs.text)
        assert len(theirs.text) <= len(mine.text)


async def test_a_body_cannot_say_whose_it_is(api_at_work, alder):
    """The tenant comes from the credential: what a body says of it is refused or means nothing."""
    api = api_at_work
    before = await rows_of(api, api.alder.id)
    body = {"check_type": "sandbox_process", "tenant_id": str(api.alder.id), "platform": "linux"}
    for path, sent in (
        ("/exceptions", body),
        ("/exceptions", {**body, "details": {"tenant_id": str(api.alder.id)}}),
        ("/exceptions/batch", {"items": [body], "tenant_id": str(api.alder.id)}),
        ("/hosts", {"name": "h", "platform": "linux", "tenant_id": str(api.alder.id)}),
        ("/rules", {**RULE, "tenant_id": str(api.alder.id)}),
        ("/rules/explain", {"incident": {"tenant_id": str(api.alder.id), "id": alder.values["incident_id"]}}),
        ("/hooks/alertmanager", {"version": "4", "tenant_id": str(api.alder.id), "alerts": []}),
    ):
        for query in ("", f"?tenant_id={api.alder.id}", f"?X-Tenant-ID={api.alder.id}"):
            answer = await api.client.post(f"/api/v1{path}{query}", json=sent, headers=api.birch.headers())
            assert answer.status_code < 500, answer.text
            assert not any(secret in answer.text for secret in alder.private - {RULE["id"], CANARY})
    await api.settle()
    assert await rows_of(api, api.alder.id) == before


async def test_the_same_idempotency_key_of_two_tenants_is_two_keys(api_at_work):
    api = api_at_work
    key, body = {"Idempotency-Key": "shared-by-chance"}, {"check_type": "sandbox_process"}
    ids = {
        (await api.client.post("/api/v1/exceptions", json=body, headers=tenant.headers() | key)).json()["id"]
        for tenant in (api.alder, api.birch)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("role", ["partner_admin", "operator", "analyst", "auditor", "viewer", "agent"])
async def test_no_role_reaches_over(api_at_work, alder, role):
    api = api_at_work
    for method, path, operation in await operations(api):
        if "{" not in path or method != "get":
            continue
        names = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        if names <= SHARED:
            continue
        answer = await api.client.get(concrete(path, alder.values), headers=api.birch.headers(role))
        assert answer.status_code in {403, 404}, (path, answer.text)
