"""A tenant's rules for letting people in: they hold at once, for everybody, and for that tenant alone."""

import pyotp
import pytest

OPEN = {"require_mfa": False, "session_hours": None, "allowed_sign_in": ["password", "passkey", "oidc"]}
WITH_MFA = OPEN | {"require_mfa": True}


@pytest.fixture
def put_policy(client):
    """Set a tenant's policy."""

    async def put(headers, tenant, policy):
        return await client.put(f"/api/v1/tenants/{tenant}/security", headers=headers, json=policy)

    return put


async def test_a_tenant_without_a_policy_has_the_open_one(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "auditor"}), tenant)
    answer = await client.get(f"/api/v1/tenants/{tenant}/security", headers=headers)
    assert answer.json() == OPEN


async def test_without_a_second_factor_one_may_only_add_one(client, make_person, bearer, put_policy, tenant):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    member = await make_person({tenant: "operator"})
    headers = await bearer(member, tenant)
    assert (await client.get("/api/v1/users", headers=admin)).status_code == 200
    assert (await put_policy(admin, tenant, WITH_MFA)).status_code == 200
    for method, path in (("GET", "/users"), ("GET", "/api-keys"), ("POST", "/api-keys"), ("GET", "/audit")):
        refused = await client.request(method, f"/api/v1{path}", headers=admin)
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:fettle:problem:second-factor-required"
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert (me["permissions"], me["refused_because"]) == ([], "second-factor-required")
    begun = await client.post("/api/v1/me/totp", headers=headers)
    code = pyotp.TOTP(begun.json()["secret"]).now()
    await client.post("/api/v1/me/totp/confirm", headers=headers, json={"code": code})
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert "incidents:read" in me["permissions"]
    assert me["refused_because"] is None


async def test_removing_the_last_factor_closes_the_tenant_again(
    client, make_person, bearer, put_policy, tenant
):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    begun = await client.post("/api/v1/me/totp", headers=admin)
    code = pyotp.TOTP(begun.json()["secret"]).now()
    confirmed = await client.post("/api/v1/me/totp/confirm", headers=admin, json={"code": code})
    await put_policy(admin, tenant, WITH_MFA)
    assert (await client.get("/api/v1/users", headers=admin)).status_code == 200
    removal = {"code": confirmed.json()["recovery_codes"][0]}
    assert (await client.post("/api/v1/me/totp/disable", headers=admin, json=removal)).status_code == 204
    assert (await client.get("/api/v1/users", headers=admin)).status_code == 403


async def test_the_platforms_administrator_needs_one_too(client, make_person, bearer, put_policy, tenant):
    owner = await bearer(await make_person(is_platform_admin=True), tenant)
    assert (await put_policy(owner, tenant, WITH_MFA)).status_code == 200
    refused = await client.get("/api/v1/users", headers=owner)
    # The administrator is no member, whose sessions are revoked by name: within the cache's seconds it holds.
    assert refused.status_code in {200, 403}
    fresh = await bearer(await make_person(is_platform_admin=True), tenant)
    assert (await client.get("/api/v1/users", headers=fresh)).status_code == 403


async def test_a_way_that_is_not_allowed_is_refused_in_this_tenant_alone(
    client, make_person, bearer, put_policy, tenant, other_tenant
):
    person = await make_person({tenant: "tenant_admin", other_tenant: "viewer"})
    here = await bearer(person, tenant)
    there = here | {"X-Tenant-ID": str(other_tenant)}
    assert (await put_policy(here, tenant, OPEN | {"allowed_sign_in": ["oidc"]})).status_code == 200
    refused = await client.get("/api/v1/users", headers=here)
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:fettle:problem:sign-in-way-refused"
    assert (await client.get("/api/v1/tenants", headers=there)).status_code == 200
    me = await client.get("/api/v1/me", headers=there)
    assert me.json()["refused_because"] is None
    owner = await bearer(await make_person(is_platform_admin=True), tenant)
    assert (await client.get("/api/v1/users", headers=owner)).status_code == 200, "whoever mends a lock-out"


async def test_only_who_may_changes_the_policy_and_of_their_own_tenant(
    client, platform, make_person, bearer, put_policy, tenant, other_tenant
):
    operator = await bearer(await make_person({tenant: "operator"}), tenant)
    assert (await put_policy(operator, tenant, WITH_MFA)).status_code == 403
    person = await make_person({tenant: "tenant_admin", other_tenant: "tenant_admin"})
    admin = await bearer(person, tenant)
    assert (await put_policy(admin, other_tenant, WITH_MFA)).status_code == 404
    for wrong in ({"allowed_sign_in": []}, {"allowed_sign_in": ["magic"]}, {"session_hours": 0}, {"x": 1}):
        assert (await put_policy(admin, tenant, OPEN | wrong)).status_code == 422
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = $1",
            person.id,
        )
    stale = await put_policy(admin, tenant, WITH_MFA)
    assert stale.json()["type"] == "urn:fettle:problem:recent-sign-in-required"


async def test_a_changed_policy_is_in_the_audit(client, make_person, bearer, put_policy, tenant):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    await put_policy(admin, tenant, OPEN | {"session_hours": 8})
    audit = (await client.get("/api/v1/audit", headers=admin)).json()["items"]
    found = next(item for item in audit if item["action"] == "sign_in_policy.changed")
    assert found["before"]["session_hours"] is None
    assert found["after"]["session_hours"] == 8
