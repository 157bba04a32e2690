"""Signing in through an OpenID provider that really runs: who comes in, as what, and who does not."""

import asyncio
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pyotp
import pytest
import pytest_asyncio
from tests.openid.running import CLIENT_ID, CLIENT_SECRET, Browser, openid_provider

COOKIE = "fettle_sign_on"
DOMAIN = "alder.example"
ROLES = {"fettle-admins": "tenant_admin", "fettle-operators": "operator", "nonsense": "viewer"}


@pytest_asyncio.fixture(scope="module")
async def provider(platform):
    """A provider on loopback, which the operator has listed."""
    async with openid_provider() as running:
        allowed = [running.place]
        platform.settings = platform.settings.model_copy(update={"egress_allow": allowed})
        platform.parts.pop("kernel.egress", None)
        yield running


@pytest.fixture
def declare(client, provider, make_person, bearer):
    """Declare the provider in a tenant, with its domain confirmed."""

    async def declared(tenant, **fields):
        headers = await bearer(await make_person(is_platform_admin=True), tenant)
        body = {
            "name": "Alder sign-on",
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "role_mapping": ROLES,
            "email_domains": [DOMAIN],
            **fields,
        }
        answer = await client.post("/api/v1/identity-providers", headers=headers, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], headers

    return declared


@pytest.fixture
def employee(provider):
    """Let the provider know a person."""

    async def known(*roles, email=None, verified=True, **claims):
        subject = uuid4().hex
        email = email or f"{subject}@{DOMAIN}"
        said = {"email": email, "email_verified": verified, "realm_access": {"roles": list(roles)}, **claims}
        await provider.knows(subject, name="Ann", **said)
        return subject, email

    return known


class Trip:
    """One sign-in, step by step, in one browser."""

    def __init__(self, client):
        self.client = client
        self.cookie = None

    async def leave(self, provider_id, return_to=None):
        params = {} if return_to is None else {"return_to": return_to}
        answer = await self.client.get(f"/api/v1/auth/oidc/{provider_id}/start", params=params)
        self.client.cookies.clear()
        self.started, self.cookie = answer, answer.cookies.get(COOKIE)
        return answer.headers.get("location")

    async def come_back(self, address, cookie=None):
        given = self.cookie if cookie is None else cookie
        headers = {"Cookie": f"{COOKIE}={given}"} if given else {}
        answer = await self.client.get(address, headers=headers)
        self.client.cookies.clear()
        return answer


@pytest.fixture
def trip(client):
    return Trip(client)


@pytest.fixture
def go(client, trip):
    """Do the whole of it."""

    async def whole(provider_id, subject, return_to=None):
        address = await trip.leave(provider_id, return_to)
        return await trip.come_back(await Browser().sign_in(address, subject))

    return whole


@pytest.fixture
def inside(client):
    """Return the headers of whoever has just come in."""

    async def headers(answer, tenant=None):
        assert "fettle_refresh" in answer.cookies, (answer.status_code, answer.headers.get("location"))
        cookie = f"fettle_refresh={answer.cookies['fettle_refresh']}"
        refreshed = await client.post("/api/v1/auth/refresh", headers={"Cookie": cookie})
        client.cookies.clear()
        named = {"X-Tenant-ID": str(tenant)} if tenant else {}
        return {"Authorization": f"Bearer {refreshed.json()['access_token']}", **named}

    return headers


def error_of(answer):
    assert answer.status_code == 302
    assert "fettle_refresh" not in answer.cookies
    return parse_qs(urlsplit(answer.headers["location"]).query).get("sign_in_error", [None])[0]


async def test_whoever_the_provider_knows_comes_in_with_the_role_of_their_claim(
    client, declare, employee, go, inside, tenant
):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("offline_access", "fettle-operators")
    answer = await go(provider_id, subject, "/t/alder/incidents?state=open")
    assert answer.headers["location"] == "/t/alder/incidents?state=open"
    me = (await client.get("/api/v1/me", headers=await inside(answer))).json()
    assert me["email"] == email
    assert [(one["id"], one["role"]) for one in me["tenants"]] == [(str(tenant), "operator")]
    assert "approvals:decide" in me["permissions"]


async def test_the_way_there_is_code_with_pkce_state_and_nonce(declare, provider, trip, tenant):
    provider_id, _ = await declare(tenant)
    address = await trip.leave(provider_id)
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{provider.issuer}/auth?")
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert {len(query["state"]), len(query["nonce"])} == {43}
    assert query["scope"].split()[0] == "openid"
    assert query["redirect_uri"] == "http://localhost/api/v1/auth/oidc/callback"
    cookie = trip.started.headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=lax", "path=/api/v1/auth/oidc", "max-age=600"):
        assert attribute in cookie
    assert not {query["state"], query["nonce"]} & {trip.cookie}


async def test_of_several_roles_the_one_that_may_do_most(client, declare, employee, go, inside, tenant):
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators", "fettle-admins", "nonsense")
    me = (await client.get("/api/v1/me", headers=await inside(await go(provider_id, subject)))).json()
    assert me["tenants"][0]["role"] == "tenant_admin"


async def test_roles_from_groups_and_a_default(client, declare, employee, go, inside, tenant):
    provider_id, _ = await declare(
        tenant, role_claim="groups", role_mapping={"/ops": "operator"}, default_role="viewer"
    )
    for groups, role in ((["/ops"], "operator"), (["/other"], "viewer"), ([], "viewer")):
        subject, _ = await employee(groups=groups)
        me = (await client.get("/api/v1/me", headers=await inside(await go(provider_id, subject)))).json()
        assert me["tenants"][0]["role"] == role


async def test_a_role_is_looked_at_again_at_each_sign_in_and_a_lost_one_ends_the_membership(
    client, provider, declare, employee, go, inside, tenant
):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("fettle-operators")
    first = await inside(await go(provider_id, subject), tenant)
    assert (await client.get("/api/v1/incidents", headers=first)).status_code != 401
    said = {"email": email, "email_verified": True}
    await provider.knows(subject, **said, realm_access={"roles": ["nonsense"]})
    headers = await inside(await go(provider_id, subject))
    assert (await client.get("/api/v1/me", headers=headers)).json()["tenants"][0]["role"] == "viewer"
    await provider.knows(subject, **said, realm_access={"roles": []})
    assert error_of(await go(provider_id, subject)) == "not_allowed"
    assert (await client.get("/api/v1/me", headers=headers)).json()["tenants"] == []


async def test_the_tenants_last_administrator_is_not_shut_out_by_a_claim(
    client, declare, employee, make_person, go, inside, bearer, tenant, platform
):
    person = await make_person({tenant: "tenant_admin"})
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE users SET email = $2 WHERE id = $1", person.id, f"{person.id}@{DOMAIN}"
        )
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("nonsense", email=f"{person.id}@{DOMAIN}")
    me = (await client.get("/api/v1/me", headers=await inside(await go(provider_id, subject)))).json()
    assert me["tenants"][0]["role"] == "tenant_admin"


@pytest.mark.parametrize(
    "claims",
    [
        {"verified": False},
        {"verified": "true"},
        {"email": "ann@elsewhere.example"},
        {"email": f"ann@sub.{DOMAIN}"},
        {"email": f"ann@{DOMAIN}.evil.example"},
        {"email": f"ann@evil.example@{DOMAIN}"},
    ],
    ids=str,
)
async def test_only_a_verified_address_of_the_tenants_own_domain_makes_or_finds_an_account(
    platform, declare, employee, go, tenant, claims
):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("fettle-admins", **claims)
    assert error_of(await go(provider_id, subject)) == "not_allowed"
    async with platform.database.raw_system() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM users WHERE email = $1", email)


async def test_without_a_role_there_is_neither_account_nor_membership(
    platform, declare, employee, go, tenant
):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("unknown-role")
    assert error_of(await go(provider_id, subject)) == "not_allowed"
    async with platform.database.raw_system() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM users WHERE email = $1", email)


async def test_what_a_provider_vouches_for_reaches_its_own_tenant_and_not_the_account(
    client, platform, declare, employee, make_person, go, inside, tenant, other_tenant
):
    """A tenant's provider could claim to be anybody of its domain: it gains nothing elsewhere."""
    victim = await make_person({other_tenant: "tenant_admin"}, is_platform_admin=True)
    email = f"{victim.id}@{DOMAIN}"
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET email = $2 WHERE id = $1", victim.id, email)
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-admins", email=email)
    headers = await inside(await go(provider_id, subject))
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert [one["id"] for one in me["tenants"]] == [str(tenant)]
    assert me["is_platform_admin"] is False
    there = headers | {"X-Tenant-ID": str(other_tenant)}
    assert (await client.get("/api/v1/users", headers=there)).status_code == 404
    for method, path, body in (
        ("POST", "/me/totp", {}),
        ("POST", "/me/totp", {"password": victim.password}),
        ("POST", "/me/passkeys/options", {}),
        ("GET", "/me/security", None),
        ("PATCH", "/me", {"name": "Mallory"}),
    ):
        answer = await client.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert answer.status_code == 403, path


async def test_a_disabled_account_stays_out(client, platform, declare, employee, go, inside, tenant):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("fettle-operators")
    await inside(await go(provider_id, subject))
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE email = $1", email)
    assert error_of(await go(provider_id, subject)) == "not_allowed"


async def test_an_account_that_a_provider_made_has_no_password_to_guess(
    client, declare, employee, go, inside, tenant
):
    provider_id, _ = await declare(tenant)
    subject, email = await employee("fettle-operators")
    await inside(await go(provider_id, subject))
    for guess in (" ", "password", "None"):
        answer = await client.post("/api/v1/auth/login", json={"email": email, "password": guess})
        assert answer.status_code == 401


async def test_a_second_factor_is_asked_for_unless_the_provider_counts_as_one(
    client, platform, declare, employee, make_person, bearer, go, inside, tenant
):
    person = await make_person({tenant: "viewer"})
    begun = await client.post("/api/v1/me/totp", headers=(headers := await bearer(person)))
    app = pyotp.TOTP(begun.json()["secret"])
    await client.post("/api/v1/me/totp/confirm", headers=headers, json={"code": app.now()})
    email = f"{person.id}@{DOMAIN}"
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET email = $2 WHERE id = $1", person.id, email)
        await connection.execute("UPDATE totp_factors SET last_step = 0 WHERE user_id = $1", person.id)
    provider_id, admin = await declare(tenant)
    subject, _ = await employee("fettle-operators", email=email)
    answer = await go(provider_id, subject)
    assert "fettle_refresh" not in answer.cookies
    told = parse_qs(urlsplit(answer.headers["location"]).fragment)
    assert told["methods"] == ["totp,recovery_code"]
    body = {"challenge": told["challenge"][0], "method": "totp", "code": app.now()}
    finished = await client.post("/api/v1/auth/mfa", json=body)
    client.cookies.clear()
    headers = {"Authorization": f"Bearer {finished.json()['access_token']}"}
    assert (await client.get("/api/v1/me/security", headers=headers)).status_code == 403, (
        "still the provider's"
    )
    path = f"/api/v1/identity-providers/{provider_id}"
    await client.patch(path, headers=admin, json={"counts_as_second_factor": True})
    await inside(await go(provider_id, subject))


async def test_a_tenant_that_asks_for_a_second_factor_is_not_opened_by_a_provider_without_one(
    client, declare, employee, go, inside, tenant
):
    provider_id, admin = await declare(tenant)
    policy = {"require_mfa": True, "allowed_sign_in": ["password", "oidc"]}
    await client.put(f"/api/v1/tenants/{tenant}/security", headers=admin, json=policy)
    subject, _ = await employee("fettle-admins")
    headers = await inside(await go(provider_id, subject))
    refused = await client.get("/api/v1/users", headers=headers)
    assert refused.json()["type"] == "urn:fettle:problem:second-factor-required"


async def test_another_browser_cannot_come_back_with_it(client, declare, employee, trip, tenant):
    """Login CSRF: who is sent to an answer that somebody else began is not signed in as them."""
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    address = await Browser().sign_in(await trip.leave(provider_id), subject)
    mine = trip.cookie
    await trip.leave(provider_id)
    victims = trip.cookie
    assert error_of(await trip.come_back(address, cookie=victims)) == "expired"
    assert error_of(await trip.come_back(address, cookie="x" * 43)) == "expired"
    trip.cookie = None
    assert error_of(await trip.come_back(address)) == "expired"
    assert "fettle_refresh" in (await trip.come_back(address, cookie=mine)).cookies


async def test_an_answer_is_good_once_even_in_a_race(declare, employee, trip, tenant):
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    address = await Browser().sign_in(await trip.leave(provider_id), subject)
    answers = await asyncio.gather(*(trip.come_back(address) for _ in range(4)))
    assert sum("fettle_refresh" in answer.cookies for answer in answers) == 1
    assert error_of(await trip.come_back(address)) == "expired"


async def test_a_late_answer_is_refused(platform, declare, employee, trip, tenant):
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    address = await Browser().sign_in(await trip.leave(provider_id), subject)
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE sign_on_states SET expires_at = now() - interval '1 second'")
    assert error_of(await trip.come_back(address)) == "expired"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("iss=", "iss=https%3A%2F%2Fevil.example%26was="), "provider_failed"),
        (("iss=", "was="), "provider_failed"),
        (("code=", "code=x"), "provider_failed"),
        (("code=", "was="), "access_denied"),
        (("state=", "state=x"), "expired"),
        (("state=", "state=x&state="), "expired"),
    ],
    ids=str,
)
async def test_a_tampered_answer_is_refused(declare, employee, trip, tenant, change, code):
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    address = await Browser().sign_in(await trip.leave(provider_id), subject)
    assert error_of(await trip.come_back(address.replace(*change, 1))) == code


async def test_two_providers_are_not_mixed_up(client, platform, provider, declare, employee, trip, tenant):
    """What one provider says is not taken as the answer of another, though both send browsers to one address."""
    async with openid_provider() as evil:
        settings = platform.settings
        platform.settings = settings.model_copy(update={"egress_allow": [provider.place, evil.place]})
        platform.parts.pop("kernel.egress", None)
        try:
            await declare(tenant)
            evil_id, _ = await declare(tenant, issuer=evil.issuer)
            subject, _ = await employee("fettle-admins")
            to_evil = await trip.leave(evil_id)
            redirected = to_evil.replace(evil.issuer, provider.issuer)
            address = await Browser().sign_in(redirected, subject)
            assert error_of(await trip.come_back(address)) == "provider_failed"
        finally:
            platform.settings = settings
            platform.parts.pop("kernel.egress", None)


@pytest.mark.parametrize(
    "return_to",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/%09/evil.example", "javascript:alert(1)",
     "/\tevil", "", "evil", "/a//b\r\nSet-Cookie: x=1", "/api/v1/auth/logout", "\\\\evil", "/\u2028"],
    ids=repr,
)  # fmt: skip
async def test_one_is_sent_back_to_a_page_of_our_own_and_nowhere_else(
    declare, employee, go, tenant, return_to
):
    provider_id, _ = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    answer = await go(provider_id, subject, return_to)
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location in {"/", "/%09/evil.example"}
    assert urlsplit(location).netloc == ""


async def test_a_provider_that_calls_it_off_is_told_of(client, declare, trip, provider, tenant):
    provider_id, _ = await declare(tenant)
    query = parse_qs(urlsplit(await trip.leave(provider_id)).query)
    address = (
        f"/api/v1/auth/oidc/callback?error=access_denied&state={query['state'][0]}&iss={provider.issuer}"
        "&error_description=%3Cscript%3E"
    )
    answer = await trip.come_back(address)
    assert error_of(answer) == "access_denied"
    assert "script" not in answer.headers["location"]


async def test_a_tenant_can_shut_the_other_ways(
    client, declare, employee, go, inside, make_person, bearer, tenant
):
    provider_id, admin = await declare(tenant)
    member = await bearer(await make_person({tenant: "viewer"}), tenant)
    policy = {"require_mfa": False, "allowed_sign_in": ["oidc"]}
    await client.put(f"/api/v1/tenants/{tenant}/security", headers=admin, json=policy)
    assert (await client.get("/api/v1/me", headers=member)).json()["refused_because"] == "sign-in-way-refused"
    subject, _ = await employee("fettle-operators")
    me = (await client.get("/api/v1/me", headers=await inside(await go(provider_id, subject)))).json()
    assert me["refused_because"] is None


async def test_a_removed_provider_signs_its_people_out(client, declare, employee, go, inside, tenant):
    provider_id, admin = await declare(tenant)
    subject, _ = await employee("fettle-operators")
    headers = await inside(await go(provider_id, subject))
    assert (
        await client.delete(f"/api/v1/identity-providers/{provider_id}", headers=admin)
    ).status_code == 204
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    start = await client.get(f"/api/v1/auth/oidc/{provider_id}/start")
    assert start.status_code == 404


async def test_a_place_that_the_operator_has_not_listed_is_not_asked(client, declare, trip, tenant):
    for issuer in ("http://127.0.0.1:1", "https://169.254.169.254/latest", "https://idp.evil.example"):
        provider_id, _ = await declare(tenant, issuer=issuer)
        assert error_of((await trip.leave(provider_id)) and trip.started) == "provider_failed"


async def test_an_issuer_that_is_not_the_very_one_is_refused(client, provider, declare, trip, tenant):
    provider_id, _ = await declare(tenant, issuer=f"{provider.issuer}/")
    await trip.leave(provider_id)
    assert error_of(trip.started) == "provider_failed"


async def test_an_address_finds_its_providers_by_its_domain_alone(
    client, declare, make_person, bearer, tenant
):
    provider_id, _ = await declare(tenant, email_domains=["birch.example"])
    for name in ("nobody", "anybody"):
        answer = await client.get(f"/api/v1/auth/providers?email={name}@BIRCH.example")
        assert [one["id"] for one in answer.json()] == [provider_id]
        assert answer.json()[0]["start_href"] == f"/api/v1/auth/oidc/{provider_id}/start"
    assert (await client.get("/api/v1/auth/providers?email=x@elsewhere.example")).json() == []
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    body = {
        "name": "Grab",
        "issuer": "https://evil.example",
        "client_id": "x",
        "email_domains": ["oak.example"],
    }
    made = await client.post("/api/v1/identity-providers", headers=admin, json=body)
    assert made.json()["confirmed_domains"] == []
    assert (await client.get("/api/v1/auth/providers?email=x@oak.example")).json() == []
    path = f"/api/v1/identity-providers/{made.json()['id']}/confirm-domains"
    assert (await client.post(path, headers=admin)).status_code == 403
    owner = await bearer(await make_person(is_platform_admin=True), tenant)
    assert (await client.post(path, headers=owner)).json()["confirmed_domains"] == ["oak.example"]


async def test_the_clients_secret_is_never_told(client, platform, declare, tenant, make_person, bearer):
    provider_id, _ = await declare(tenant)
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    path = f"/api/v1/identity-providers/{provider_id}"
    told = [
        (await client.get(path, headers=admin)).text,
        (await client.get("/api/v1/identity-providers", headers=admin)).text,
        (await client.patch(path, headers=admin, json={"name": "Other"})).text,
        (await client.get("/api/v1/audit", headers=admin)).text,
    ]
    assert (await client.get(path, headers=admin)).json()["has_client_secret"] is True
    moved = await client.patch(path, headers=admin, json={"issuer": "https://evil.example"})
    assert moved.json()["has_client_secret"] is False, "whoever changes the issuer is not handed the secret"
    async with platform.database.raw_system() as connection:
        for table in ("identity_providers", "audit_records", "events", "idempotency_keys", "sign_on_states"):
            told += [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} t")]
    assert CLIENT_SECRET not in "\n".join(told)
    assert CLIENT_SECRET.encode().hex() not in "\n".join(told)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"issuer": "http://idp.example.com"}, "/issuer"),
        ({"issuer": "https://idp.example.com/?x=1"}, "/issuer"),
        ({"issuer": "https://u:p@idp.example.com"}, "/issuer"),
        ({"issuer": "file:///etc/passwd"}, "/issuer"),
        ({"default_role": "platform_admin"}, "/role"),
        ({"role_mapping": {"x": "no-such-role"}}, "/role"),
    ],
    ids=str,
)
async def test_what_is_no_provider_is_refused(client, make_person, bearer, tenant, fields, pointer):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    body = {"name": "x", "issuer": "https://idp.example.com", "client_id": "x", **fields}
    answer = await client.post("/api/v1/identity-providers", headers=admin, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    stronger = {**body, "issuer": "https://i.example", "default_role": "partner_admin", "role_mapping": {}}
    assert (await client.post("/api/v1/identity-providers", headers=admin, json=stronger)).status_code == 403
