"""Passkeys against a software authenticator: what is signed once, here and by its owner, and nothing else."""

import asyncio
import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.authenticator import PRESENT, VERIFIED, Authenticator, b64, unb64
from tests.examples import examples

from fettle.identity import passkeys
from fettle.kernel.errors import Conflict


@pytest.fixture
def options_to_add(client):
    """Ask for what a new passkey is to sign."""

    async def ask(headers, **body):
        answer = await client.post("/api/v1/me/passkeys/options", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


@pytest.fixture
def add(client, options_to_add):
    """Add a passkey of a device to an account."""

    async def add_one(headers, device, **changes):
        options = await options_to_add(headers)
        body = {
            "name": "Laptop",
            "challenge_id": options["challenge_id"],
            "credential": device.make(options["public_key"]),
            **changes,
        }
        return await client.post("/api/v1/me/passkeys", headers=headers, json=body)

    return add_one


@pytest.fixture
def ask(client):
    """Ask for what a passkey is to sign."""

    async def options(challenge=None):
        answer = await client.post("/api/v1/auth/passkeys/options", json={"challenge": challenge})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return options


@pytest.fixture
def verify(client):
    """Sign in with what a device signed."""

    async def send(options, credential, challenge=None):
        body = {"challenge_id": options["challenge_id"], "credential": credential, "challenge": challenge}
        answer = await client.post("/api/v1/auth/passkeys/verify", json=body)
        client.cookies.clear()
        return answer

    return send


@pytest.fixture
def owner_of_passkey(make_person, bearer, add, tenant):
    """Make a person with a passkey."""

    async def make():
        person, device = await make_person({tenant: "viewer"}), Authenticator()
        headers = await bearer(person, tenant)
        answer = await add(headers, device)
        assert answer.status_code == 201, answer.text
        return person, headers, device

    return make


async def test_a_passkey_signs_in_by_itself(client, owner_of_passkey, ask, verify):
    person, _, device = await owner_of_passkey()
    options = await ask()
    assert options["public_key"]["userVerification"] == "required"
    assert not options["public_key"].get("allowCredentials"), "whoever asks learns of no credential"
    answer = await verify(options, device.sign(options["public_key"]))
    assert answer.status_code == 200, answer.text
    assert "fettle_refresh" in answer.headers["set-cookie"]
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.get("/api/v1/me", headers=headers)).json()["email"] == person.email
    security = (await client.get("/api/v1/me/security", headers=headers)).json()
    assert security["passkeys"][0]["name"] == "Laptop"
    assert security["passkeys"][0]["last_used_at"]


async def test_a_new_one_is_discoverable_and_verifies_its_user(owner_of_passkey, options_to_add):
    person, headers, device = await owner_of_passkey()
    options = (await options_to_add(headers))["public_key"]
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["rp"]["id"] == "localhost"
    assert unb64(options["user"]["id"]) == person.id.bytes
    assert [one["id"] for one in options["excludeCredentials"]] == [b64(device.id)]


async def test_the_first_factor_brings_recovery_codes(client, make_person, bearer, add, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    first = await add(headers, Authenticator())
    assert len(first.json()["recovery_codes"]) == 10
    assert (await add(headers, Authenticator())).json()["recovery_codes"] is None


async def test_a_password_asks_for_the_passkey_then(owner_of_passkey, sign_in, ask, verify):
    person, _, device = await owner_of_passkey()
    begun = (await sign_in(person)).json()
    assert begun["methods"] == ["passkey", "recovery_code"]
    options = await ask(begun["challenge"])
    assert [one["id"] for one in options["public_key"]["allowCredentials"]] == [b64(device.id)]
    answer = await verify(options, device.sign(options["public_key"]), begun["challenge"])
    assert answer.status_code == 200
    again = await ask()
    assert (await verify(again, device.sign(again["public_key"]), begun["challenge"])).status_code == 401


async def test_anothers_passkey_does_not_finish_ones_sign_in(owner_of_passkey, sign_in, ask, verify):
    victim, _, _ = await owner_of_passkey()
    _, _, thief_device = await owner_of_passkey()
    begun = (await sign_in(victim)).json()
    options = await ask(begun["challenge"])
    assert (
        await verify(options, thief_device.sign(options["public_key"]), begun["challenge"])
    ).status_code == 401
    free = await ask()
    assert (await verify(free, thief_device.sign(free["public_key"]), begun["challenge"])).status_code == 401


async def test_a_challenge_of_a_half_done_sign_in_is_no_sign_in_of_its_own(
    owner_of_passkey, sign_in, ask, verify
):
    person, _, device = await owner_of_passkey()
    begun = (await sign_in(person)).json()
    options = await ask(begun["challenge"])
    assert (await verify(options, device.sign(options["public_key"]))).status_code == 401


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://localhost"},
        {"origin": "http://localhost:8321"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": 0},
    ],
    ids=str,
)
async def test_what_another_page_or_nobody_signed_is_refused(owner_of_passkey, ask, verify, lie):
    _, _, device = await owner_of_passkey()
    for name, value in lie.items():
        setattr(device, name, value)
    options = await ask()
    assert (await verify(options, device.sign(options["public_key"]))).status_code == 401


@pytest.mark.parametrize(
    "lie", [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": PRESENT}], ids=str
)
async def test_and_neither_is_it_taken_as_a_new_one(client, make_person, bearer, add, tenant, lie):
    headers = await bearer(await make_person({tenant: "viewer"}))
    answer = await add(headers, Authenticator(**lie))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/credential"
    assert (await client.get("/api/v1/me/security", headers=headers)).json()["passkeys"] == []


async def test_a_challenge_is_good_once_and_for_its_own_answer(owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    options, other = await ask(), await ask()
    credential = device.sign(options["public_key"])
    assert (await verify(other, credential)).status_code == 401
    assert (await verify(options, credential)).status_code == 200
    assert (await verify(options, credential)).status_code == 401


async def test_a_wrong_answer_uses_the_challenge_up(owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    options = await ask()
    right = device.sign(options["public_key"])
    wrong = copy.deepcopy(right)
    wrong["response"]["signature"] = b64(b"\x30\x06\x02\x01\x01\x02\x01\x01")
    assert (await verify(options, wrong)).status_code == 401
    assert (await verify(options, right)).status_code == 401


async def test_of_two_uses_of_one_signature_that_race_one_wins(owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    options = await ask()
    credential = device.sign(options["public_key"])
    answers = await asyncio.gather(*(verify(options, credential) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401, 401]


async def test_a_late_challenge_is_refused(platform, owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    options = await ask()
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE passkey_challenges SET expires_at = now() - interval '1 second'")
    assert (await verify(options, device.sign(options["public_key"]))).status_code == 401


async def test_every_byte_of_the_signed_counts(owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    for part in ("signature", "authenticatorData", "clientDataJSON"):
        options = await ask()
        credential = device.sign(options["public_key"])
        raw = bytearray(unb64(credential["response"][part]))
        raw[len(raw) // 2] ^= 1
        credential["response"][part] = b64(bytes(raw))
        assert (await verify(options, credential)).status_code == 401, part


async def test_a_counter_that_goes_back_gives_a_copy_away(owner_of_passkey, ask, verify):
    _, _, device = await owner_of_passkey()
    clone = copy.copy(device)
    for _ in range(2):
        options = await ask()
        assert (await verify(options, device.sign(options["public_key"]))).status_code == 200
    options = await ask()
    assert (await verify(options, clone.sign(options["public_key"]))).status_code == 401


async def test_a_device_that_does_not_count_works(make_person, bearer, add, ask, verify, tenant):
    device = Authenticator(counts=False)
    await add(await bearer(await make_person({tenant: "viewer"})), device)
    for _ in range(2):
        options = await ask()
        assert (await verify(options, device.sign(options["public_key"]))).status_code == 200


async def test_a_device_that_counts_as_far_as_the_standard_lets_it_works(
    make_person, bearer, add, ask, verify, tenant
):
    device = Authenticator(count=2**32 - 3)
    await add(await bearer(await make_person({tenant: "viewer"})), device)
    for _ in range(2):
        options = await ask()
        assert (await verify(options, device.sign(options["public_key"]))).status_code == 200


async def test_another_accounts_handle_is_refused(owner_of_passkey, ask, verify):
    victim, _, _ = await owner_of_passkey()
    _, _, device = await owner_of_passkey()
    device.user_handle = victim.id.bytes
    options = await ask()
    assert (await verify(options, device.sign(options["public_key"]))).status_code == 401


async def test_an_unknown_a_removed_and_a_disabled_ones_passkey_answer_the_same(
    client, platform, owner_of_passkey, ask, verify
):
    answers = []
    _, headers, removed = await owner_of_passkey()
    mine = (await client.get("/api/v1/me/security", headers=headers)).json()["passkeys"][0]["id"]
    assert (await client.delete(f"/api/v1/me/passkeys/{mine}", headers=headers)).status_code == 204
    disabled_person, _, disabled = await owner_of_passkey()
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled_person.id)
    for device in (Authenticator(), removed, disabled):
        options = await ask()
        answer = await verify(options, device.sign(options["public_key"]))
        answers.append((answer.status_code, {**answer.json(), "instance": ""}))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401


async def test_one_device_is_not_added_to_two_accounts(make_person, bearer, add, owner_of_passkey, tenant):
    _, _, device = await owner_of_passkey()
    thief = await bearer(await make_person({tenant: "viewer"}))
    assert (await add(thief, device)).status_code == 409


async def test_anothers_challenge_adds_nothing(client, make_person, bearer, options_to_add, tenant):
    victim, thief = [await bearer(await make_person({tenant: "viewer"})) for _ in range(2)]
    options = await options_to_add(victim)
    body = {
        "name": "Mine",
        "challenge_id": options["challenge_id"],
        "credential": Authenticator().make(options["public_key"]),
    }
    assert (await client.post("/api/v1/me/passkeys", headers=thief, json=body)).status_code == 422
    signing = (await client.post("/api/v1/auth/passkeys/options")).json()
    body["challenge_id"] = signing["challenge_id"]
    assert (await client.post("/api/v1/me/passkeys", headers=thief, json=body)).status_code == 422


async def test_nobody_renames_or_removes_anothers(client, owner_of_passkey):
    _, headers, _ = await owner_of_passkey()
    _, thief, _ = await owner_of_passkey()
    target = (await client.get("/api/v1/me/security", headers=headers)).json()["passkeys"][0]["id"]
    path = f"/api/v1/me/passkeys/{target}"
    assert (await client.patch(path, headers=thief, json={"name": "Mine"})).status_code == 404
    assert (await client.delete(path, headers=thief)).status_code == 404
    renamed = await client.patch(path, headers=headers, json={"name": "Old laptop"})
    assert renamed.json()["name"] == "Old laptop"


async def test_adding_and_removing_need_a_recent_sign_in(client, platform, owner_of_passkey):
    person, headers, _ = await owner_of_passkey()
    target = (await client.get("/api/v1/me/security", headers=headers)).json()["passkeys"][0]["id"]
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = $1",
            person.id,
        )
    for method, path in (("POST", "/me/passkeys/options"), ("DELETE", f"/me/passkeys/{target}")):
        answer = await client.request(method, f"/api/v1{path}", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:fettle:problem:recent-sign-in-required"
    asked = await client.post(
        "/api/v1/me/passkeys/options", headers=headers, json={"password": person.password}
    )
    assert asked.status_code == 200


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.binary(max_size=80).map(b64) | JUNK
        for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject")
    },
)


@settings(examples(150), suppress_health_check=list(HealthCheck))
@given(response=PARTS | JUNK, kind=st.just("public-key") | JUNK, own=st.binary(max_size=20).map(b64) | JUNK)
def test_no_junk_breaks_the_reader(response, kind, own):
    junk = {"id": own, "rawId": own, "type": kind, "response": response}
    read = passkeys._read(junk)
    assert read is None or read.raw_id is not None


async def test_junk_is_refused_and_not_an_error(
    client, make_person, bearer, options_to_add, ask, verify, tenant
):
    headers = await bearer(await make_person({tenant: "viewer"}))
    for junk in (
        {},
        {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}},
        {"id": "AA", "rawId": "AA", "type": "public-key",
         "response": {"clientDataJSON": "AA", "attestationObject": b64(b"\xbf" * 60)}},
        {"id": None, "rawId": [], "type": {}, "response": 1},
    ):  # fmt: skip
        options = await options_to_add(headers)
        body = {"name": "x", "challenge_id": options["challenge_id"], "credential": junk}
        assert (await client.post("/api/v1/me/passkeys", headers=headers, json=body)).status_code == 422
        assert (await verify(await ask(), junk)).status_code == 401


def test_who_we_are_is_the_public_address_or_localhost(platform):
    public = platform.settings.model_copy(update={"public_url": "https://Fettle.example.com/"})
    assert passkeys.site_of(public, "http", "10.0.0.1:8321") == passkeys.Site(
        "fettle.example.com", "https://fettle.example.com"
    )
    local = passkeys.site_of(platform.settings, "http", "localhost:8321")
    assert local == passkeys.Site("localhost", "http://localhost:8321")
    for host in ("127.0.0.1:8321", "evil.example", "localhost.evil.example", ""):
        with pytest.raises(Conflict):
            passkeys.site_of(platform.settings, "http", host)


async def test_of_many_that_were_asked_for_at_once_as_many_are_added_as_there_is_room_for(
    client, make_person, bearer, tenant, options_to_add, monkeypatch
):
    monkeypatch.setattr(passkeys, "MOST_PASSKEYS", 2)
    headers = await bearer(await make_person({tenant: "viewer"}))
    asked = [await options_to_add(headers) for _ in range(4)]
    answers = await asyncio.gather(
        *(
            client.post(
                "/api/v1/me/passkeys",
                headers=headers,
                json={
                    "name": "Laptop",
                    "challenge_id": options["challenge_id"],
                    "credential": Authenticator().make(options["public_key"]),
                },
            )
            for options in asked
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
