"""The keys of access tokens: published, superseded without anybody noticing, and retired for good."""

import asyncio

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fettle.identity import forgetting, signing_keys, tasks
from fettle.identity.audit import Who
from fettle.identity.authentication import Authenticator, authenticator
from fettle.identity.signing_keys import KEYS_CHANGED

ME = Who("system:test")


@pytest.fixture
def published(client):
    """Read the published keys."""

    async def read():
        answer = await client.get("/api/v1/auth/.well-known/jwks.json")
        assert answer.headers["cache-control"] == "public, max-age=300"
        return answer.json()

    return read


async def turn(platform, how=signing_keys.rotate):
    key_id = await how(platform, ME)
    await authenticator(platform).revoke(KEYS_CHANGED)
    return key_id


async def test_whoever_reads_the_keys_can_check_a_token(published, make_person, sign_in):
    token = (await sign_in(await make_person())).json()["access_token"]
    keys = await published()
    decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["Ed25519"])
    assert decoded.claims["iss"] == "fettle"
    assert decoded.header["kid"] in {key["kid"] for key in keys["keys"]}


async def test_nothing_private_is_published(published):
    for key in (await published())["keys"]:
        assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


async def test_after_a_rotation_new_tokens_name_the_new_key_and_old_ones_still_work(
    client, platform, published, make_person, sign_in, tenant
):
    person = await make_person({tenant: "viewer"})
    old = (await sign_in(person)).json()["access_token"]
    key_id = await turn(platform)
    new = (await sign_in(person)).json()["access_token"]
    assert signing_keys.key_id_of(new) == key_id != signing_keys.key_id_of(old)
    for token in (old, new):
        me = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == 200
    assert {signing_keys.key_id_of(old), key_id} <= {key["kid"] for key in (await published())["keys"]}


async def test_the_new_key_signs_though_the_clock_was_set_back(platform, make_person, sign_in):
    await authenticator(platform).keys.private()
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE token_keys SET created_at = created_at + interval '1 hour'")
    key_id = await turn(platform)
    token = (await sign_in(await make_person())).json()["access_token"]
    assert signing_keys.key_id_of(token) == key_id


async def test_another_process_signs_by_the_new_key_at_once(platform, make_person, bearer, client):
    other = Authenticator(platform)
    headers = await bearer(await make_person())
    await other.caller(headers["Authorization"].removeprefix("Bearer "))
    async with asyncio.timeout(60):
        while not other._hearing:
            await asyncio.sleep(0.01)
    key_id = await turn(platform)
    async with asyncio.timeout(60):
        while (await other.keys.private()).kid != key_id:
            await asyncio.sleep(0.01)
    await other.close()


async def test_a_superseded_key_is_retired_when_its_last_token_has_expired(
    client, platform, published, make_person, sign_in
):
    old = (await sign_in(await make_person())).json()["access_token"]
    old_id = signing_keys.key_id_of(old)
    await turn(platform)
    await tasks.keep_token_keys(platform)
    assert old_id in {key["kid"] for key in (await published())["keys"]}, "its tokens are still good"
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE token_keys SET superseded_at = now() - $2::interval - interval '1 second' WHERE id = $1",
            old_id,
            signing_keys.VERIFIES_FOR,
        )
    await tasks.keep_token_keys(platform)
    assert old_id not in {key["kid"] for key in (await published())["keys"]}
    refused = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {old}"})
    assert refused.status_code == 401
    async with platform.database.raw_system() as connection:
        row = await connection.fetchrow("SELECT * FROM token_keys WHERE id = $1", old_id)
    assert row["retired_at"] is not None
    assert row["sealed_private_key"] is None


async def test_replacing_a_known_key_ends_every_token_and_no_session(client, platform, make_person, sign_in):
    answer = await sign_in(await make_person())
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 200
    await turn(platform, signing_keys.replace_all)
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    cookie = f"fettle_refresh={answer.cookies['fettle_refresh']}"
    refreshed = await client.post("/api/v1/auth/refresh", headers={"Cookie": cookie})
    client.cookies.clear()
    headers = {"Authorization": f"Bearer {refreshed.json()['access_token']}"}
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 200


async def test_a_key_is_superseded_when_it_is_old_and_not_before(platform):
    before = (await authenticator(platform).keys.private()).kid
    await tasks.keep_token_keys(platform)
    assert (await authenticator(platform).keys.private()).kid == before
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE token_keys SET created_at = created_at - interval '91 days'")
    await tasks.keep_token_keys(platform)
    after = (await authenticator(platform).keys.private()).kid
    assert after != before
    async with platform.database.raw_system() as connection:
        told = await connection.fetchval(
            "SELECT actor FROM audit_records WHERE action = 'token_key.rotated' AND target_id = $1", after
        )
    assert told == "system:schedule"


async def test_rotations_that_race_leave_one_key_that_signs(platform):
    await asyncio.gather(*(signing_keys.rotate(platform, ME) for _ in range(4)))
    async with platform.database.raw_system() as connection:
        signing = await connection.fetchval(
            "SELECT count(*) FROM token_keys WHERE superseded_at IS NULL AND retired_at IS NULL"
        )
    assert signing == 1


async def test_a_flood_of_invented_keys_is_no_flood_of_queries(platform, make_person, bearer):
    keys = signing_keys.SigningKeys(platform)
    token = (await bearer(await make_person()))["Authorization"].removeprefix("Bearer ")
    await keys.public_for(token)
    loaded = keys._loaded_at
    await turn(platform)
    for _ in range(20):
        await keys.public_for(token)
    assert keys._loaded_at == loaded


async def test_what_is_over_is_forgotten_and_nothing_else(platform, make_person, sign_in):
    person = await make_person()
    await sign_in(person)
    await forgetting.forget_expired(platform)
    counting = "SELECT count(*) FROM refresh_sessions WHERE user_id = $1"
    async with platform.database.raw_system() as connection:
        assert await connection.fetchval(counting, person.id) == 1
        await connection.execute(
            "UPDATE refresh_sessions SET ended_at = now() - interval '31 days' WHERE user_id = $1", person.id
        )
    assert await forgetting.forget_expired(platform) >= 1
    async with platform.database.raw_system() as connection:
        assert await connection.fetchval(counting, person.id) == 0
