"""API keys through their life: found, changed, rotated with an overlap, warned of, noted when used."""

from datetime import timedelta

import pytest
from tests.identity.api_keys import key_headers

from fettle.identity.api_keys import warn_of_expiry
from fettle.identity.authentication import authenticator
from fettle.identity.tasks import SCHEDULE
from fettle.kernel.clock import rfc3339, utcnow


@pytest.fixture
async def admin(platform, tenant):
    """Headers of a tenant's administrator."""
    return await key_headers(platform, tenant)


async def make(client, admin, **fields):
    body = {"name": "probe", "scopes": ["keys:read"], **fields}
    answer = await client.post("/api/v1/api-keys", headers=admin, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def works(client, secret) -> bool:
    answer = await client.get("/api/v1/api-keys", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def rotate(client, admin, key, hours):
    return await client.post(
        f"/api/v1/api-keys/{key['id']}/rotate", headers=admin, json={"overlap_hours": hours}
    )


async def test_both_secrets_work_until_the_overlap_ends_and_the_key_stays_itself(client, platform, admin):
    key = await make(client, admin)
    rotated = (await rotate(client, admin, key, 1)).json()
    assert rotated["id"] == key["id"]
    assert rotated["prefix"] != key["prefix"]
    assert await works(client, key["secret"])
    assert await works(client, rotated["secret"])
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE api_keys SET old_until = now() WHERE prefix = $1", rotated["prefix"])
    await authenticator(platform).revoke(f"key:{key['id']}")
    assert not await works(client, key["secret"])
    assert await works(client, rotated["secret"])


async def test_a_second_rotation_and_one_without_overlap_end_the_oldest_secret_at_once(client, admin):
    key = await make(client, admin)
    assert await works(client, key["secret"])
    second = (await rotate(client, admin, key, 1)).json()
    third = (await rotate(client, admin, key, 0)).json()
    assert [await works(client, k["secret"]) for k in (key, second, third)] == [False, False, True]
    await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)
    assert not await works(client, third["secret"])
    assert (await rotate(client, admin, key, 1)).status_code == 404


async def test_whoever_holds_less_than_a_key_can_neither_rotate_nor_change_it(
    client, platform, tenant, admin
):
    key = await make(client, admin, scopes=["keys:read", "packs:write"])
    lesser = await key_headers(platform, tenant, scopes=["keys:write", "keys:read"])
    assert (await rotate(client, lesser, key, 1)).status_code == 403
    for body in ({"scopes": ["keys:read"]}, {"name": "mine"}):
        answer = await client.patch(f"/api/v1/api-keys/{key['id']}", headers=lesser, json=body)
        assert answer.status_code == 403
    own = await make(client, lesser)
    answer = await client.patch(
        f"/api/v1/api-keys/{own['id']}", headers=lesser, json={"scopes": ["packs:write"]}
    )
    assert answer.status_code == 403


async def test_a_change_of_scopes_holds_at_once_and_is_in_the_audit(client, admin):
    key = await make(client, admin)
    assert await works(client, key["secret"])
    answer = await client.patch(
        f"/api/v1/api-keys/{key['id']}", headers=admin, json={"scopes": ["rules:read"], "name": "other"}
    )
    assert answer.json()["scopes"] == ["rules:read"]
    headers = {"Authorization": f"Bearer {key['secret']}"}
    assert (await client.get("/api/v1/api-keys", headers=headers)).status_code == 403
    [item] = (await client.get("/api/v1/audit?action=api_key.changed", headers=admin)).json()["items"]
    assert item["changes"] == [
        {"field": "name", "before": "probe", "after": "other"},
        {"field": "scopes", "before": ["keys:read"], "after": ["rules:read"]},
    ]
    for body in ({"scopes": ["platform:admin"]}, {"scopes": []}, {"tenant_id": key["id"]}):
        answer = await client.patch(f"/api/v1/api-keys/{key['id']}", headers=admin, json=body)
        assert answer.status_code == 422


async def test_a_key_of_another_tenant_is_not_there(client, platform, admin, other_tenant):
    key = await make(client, admin)
    stranger = await key_headers(platform, other_tenant)
    assert (await rotate(client, stranger, key, 1)).status_code == 404
    answer = await client.patch(f"/api/v1/api-keys/{key['id']}", headers=stranger, json={"name": "x"})
    assert answer.status_code == 404


async def test_keys_are_found_by_state_and_name_and_an_expiring_one_is_told_of_once(client, platform, admin):
    soon = rfc3339(utcnow() + timedelta(days=3))
    await make(client, admin, name="Probe North", expires_at=soon)
    await make(client, admin, name="later", expires_at=rfc3339(utcnow() + timedelta(days=90)))
    old = await make(client, admin, name="gone", expires_at=soon)
    dead = await make(client, admin, name="dead")
    await client.delete(f"/api/v1/api-keys/{dead['id']}", headers=admin)
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now() WHERE prefix = $1", old["prefix"])

    async def names(query):
        items = (await client.get(f"/api/v1/api-keys?{query}", headers=admin)).json()["items"]
        return {item["name"] for item in items if not item["name"].startswith("of the role")}

    assert await names("state=expiring") == {"Probe North"}
    assert await names("state=active") == {"later"}
    assert await names("state=expired") == {"gone"}
    assert await names("state=revoked") == {"dead"}
    assert await names("q=pRoBe") == {"Probe North"}
    assert await names("q=%25") == set()
    assert await names("") == {"Probe North", "later", "gone"}
    await warn_of_expiry(platform)
    assert await warn_of_expiry(platform) == 0
    told = (await client.get("/api/v1/audit?action=api_key.expires_soon", headers=admin)).json()["items"]
    assert [item["after"]["name"] for item in told] == ["Probe North"]
    assert "identity.warn_of_key_expiry" in {entry.name for entry in SCHEDULE}


async def test_use_is_noted_beside_the_request_and_at_most_once_a_minute(client, platform, admin):
    key = await make(client, admin)

    async def noted():
        assert await works(client, key["secret"])
        await authenticator(platform)._key_use.close()
        async with platform.database.raw_system() as connection:
            return await connection.fetchval(
                "SELECT last_used_at FROM api_keys WHERE prefix = $1", key["prefix"]
            )

    first = await noted()
    assert first is not None
    await authenticator(platform).revoke(f"key:{key['id']}")  # so that the database is asked again
    assert await noted() == first
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE prefix = $1", key["prefix"]
        )
    await authenticator(platform).revoke(f"key:{key['id']}")
    assert await noted() > first - timedelta(minutes=1)
