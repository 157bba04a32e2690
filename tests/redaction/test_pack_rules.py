"""What a tenant's packs say must not be stored is taken out at every boundary, for that tenant and no other."""

import json
from contextlib import contextmanager
from uuid import uuid4

import pytest
from tests.identity.api_keys import key_headers
from tests.packs.content import small_pack

from fettle.kernel import context, logging
from fettle.kernel.redaction import PatternError, Redactor, redact, redact_text
from fettle.packs.activation import activate, deactivate
from fettle.packs.catalogue import install
from fettle.packs.loading import load_files
from fettle.packs.service import PackCache, active_packs
from fettle.tools.calling import cleaned

CODE = f"WARD-{uuid4().hex[:10]}"
RULES = """
redaction:
  - id: ward-code
    description: The code of a ward.
    pattern: 'WARD-[0-9a-f]{10}'
"""


@pytest.fixture
async def ward(platform, tenant):
    """The tenant, with a pack of its own that declares a rule."""
    files = small_pack(name="wards")
    files["pack.yaml"] += RULES.encode()
    async with platform.database.system() as session:
        await install(session, load_files(files), origin="uploaded", actor="user:t")
    async with platform.database.tenant(tenant) as session:
        await activate(session, tenant, "wards", "1.0.0", actor="user:t")
    platform.parts["packs.cache"] = PackCache()
    return tenant


@contextmanager
def working_for(tenant):
    """Work for a tenant, as a request, a consumer and a job do."""
    token = context.tenant_id.set(str(tenant))
    yield
    context.tenant_id.reset(token)


async def test_a_tenants_rules_hold_for_its_work_and_for_nobody_elses(platform, ward, other_tenant):
    await active_packs(platform, ward)
    await active_packs(platform, other_tenant)
    with working_for(ward):
        assert redact_text(f"moved to {CODE}") == "moved to [redacted:ward-code]"
        left, findings = redact({"note": [f"in {CODE}"], "mail": "ann@example.org"})
        assert cleaned({"output": CODE}, frozenset()) == {"output": "[redacted:ward-code]"}
    assert CODE not in json.dumps(left)
    assert {finding.kind for finding in findings} == {"ward-code", "email"}
    with working_for(other_tenant):
        assert redact_text(CODE) == CODE
        assert redact_text("ann@example.org") != "ann@example.org"


async def test_a_rule_ends_with_its_pack(platform, ward):
    await active_packs(platform, ward)
    with working_for(ward):
        assert redact_text(CODE) != CODE
        async with platform.database.tenant(ward) as session:
            await deactivate(session, ward, "wards", actor="user:t")
        platform.parts["packs.cache"] = PackCache()
        await active_packs(platform, ward)
        assert redact_text(CODE) == CODE


async def test_a_log_line_of_the_tenants_work_holds_none_of_it(platform, ward):
    await active_packs(platform, ward)
    with working_for(ward):
        event = logging.redact_event(None, "", {"event": f"healed {CODE}", "detail": {CODE: [CODE]}})
    assert CODE not in json.dumps(event)


async def test_what_is_planted_in_a_request_reaches_no_table(api, platform):
    files = small_pack(name="planted")
    files["pack.yaml"] += RULES.encode()
    async with platform.database.system() as session:
        await install(session, load_files(files), origin="uploaded", actor="user:t")
    async with platform.database.tenant(api.alder.id) as session:
        await activate(session, api.alder.id, "planted", "1.0.0", actor="user:t")
    platform.parts["packs.cache"] = PackCache()
    planted = f"WARD-{uuid4().hex[:10]}"
    headers = await key_headers(platform, api.alder.id)
    body = {"check_type": "planted_check", "summary": planted, "details": {"a": [planted]}}
    answer = await api.client.post("/api/v1/exceptions", headers=headers, json=body)
    assert answer.status_code == 202
    key = {"name": "k", "scopes": ["rules:read"]}
    made = await api.client.post("/api/v1/api-keys", headers=headers, json=key)
    change = {"name": planted}
    path = f"/api/v1/api-keys/{made.json()['id']}"
    assert (await api.client.patch(path, headers=headers, json=change)).status_code == 200
    async with platform.database.raw_system() as connection:
        for table in ("events", "audit_records", "jobs", "idempotency_keys"):
            stored = await connection.fetchval(f"SELECT string_agg(t::text, '') FROM {table} t")
            assert planted not in (stored or ""), table
        assert "ward-code" in await connection.fetchval(
            "SELECT string_agg(after::text, '') FROM audit_records"
        )


@pytest.mark.parametrize("pattern", ["(", "a*", "(?=x)", r"(a)\1", "x{2000}"])
def test_a_rule_that_is_no_linear_pattern_is_refused(pattern):
    with pytest.raises(PatternError):
        Redactor([{"id": "bad", "pattern": pattern}])


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*a){20}b", "([a-z]+)*!"])
def test_a_rule_that_others_take_for_ever_over_is_done_at_once(pattern):
    redactor = Redactor([{"id": "slow", "pattern": pattern}])
    text = "a" * 60_000
    assert redactor.redact({"text": text})[0] == {"text": text}
