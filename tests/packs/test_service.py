"""Versions, activation per tenant, rollback and policies, on the real database."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from fettle.kernel import events
from fettle.kernel.errors import Conflict, Invalid, NotFound
from fettle.kernel.platform import Platform
from fettle.packs import service
from fettle.packs.activation import activate, deactivate, effective, history, rollback
from fettle.packs.catalogue import ensure_shipped, install, pack_stream, version_key, versions
from fettle.packs.loading import load_files
from fettle.packs.policies import put_policy
from fettle.packs.service import PackCache, active_packs
from fettle.packs.shipped import shipped_policy

from .content import small_pack


async def _install(platform: Platform, **changes: str) -> None:
    async with platform.database.system() as session:
        await install(session, load_files(small_pack(**changes)), origin="uploaded", actor="user:t")


async def _fresh(platform: Platform, tenant: UUID):
    """Look again at once, as a caller does a second later."""
    platform.parts["packs.cache"] = PackCache()
    return await active_packs(platform, tenant)


async def _pack_events(platform: Platform, tenant: UUID, pack_id: str) -> list[str]:
    async with platform.database.tenant(tenant) as session:
        stream = await events.read_stream(session, tenant, "pack", pack_stream(pack_id))
    return [event.type for event in stream]


async def test_a_new_tenant_works_with_the_shipped_packs_and_the_approving_policy(
    platform: Platform, tenant: UUID
):
    await ensure_shipped(platform)
    packs = await _fresh(platform, tenant)
    assert packs.exception_type("firewall") is not None
    assert len(packs.rules) >= 92
    assert {rule["source"] for rule in packs.rules} == {"builtin"}
    assert packs.policy["autonomy"] == "approve"


async def test_installing_the_shipped_packs_again_changes_nothing(platform: Platform, tenant: UUID):
    await ensure_shipped(platform)
    async with platform.database.tenant(tenant) as session:
        before = [(row.pack_id, row.version, row.is_default) for row in await versions(session)]
    await ensure_shipped(platform)
    async with platform.database.tenant(tenant) as session:
        assert [(row.pack_id, row.version, row.is_default) for row in await versions(session)] == before


async def test_an_edited_shipped_pack_is_installed_beside_the_old_one(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
):
    first = load_files(small_pack(name="ships", default_active="true"))
    edited = load_files(small_pack(name="ships", default_active="true", title="Edited"))
    for pack in (first, edited, edited):
        monkeypatch.setattr("fettle.packs.catalogue.shipped_packs", lambda pack=pack: [pack])
        await ensure_shipped(platform)
    async with platform.database.tenant(tenant) as session:
        found = {row.version: row.is_default for row in await versions(session, "ships")}
        now = {item.pack_id: item.version for item in await effective(session, tenant)}
    assert found == {"1.0.0": False, f"1.0.0+{edited.digest[:8]}": True}
    assert now["ships"] == f"1.0.0+{edited.digest[:8]}"


async def test_activation_swaps_everything_at_once_and_is_recorded(platform: Platform, tenant: UUID):
    await _install(platform, name="swap", version="1.0.0", rule="L1-OLD")
    await _install(platform, name="swap", version="1.1.0", rule="L1-NEW")
    async with platform.database.tenant(tenant) as session:
        await activate(session, tenant, "swap", "1.0.0", actor="user:t")
    old = await _fresh(platform, tenant)
    async with platform.database.tenant(tenant) as session:
        await activate(session, tenant, "swap", "1.1.0", actor="user:t")
    new = await _fresh(platform, tenant)
    assert [rule["id"] for rule in old.rules if rule["pack_id"] == "swap"] == ["L1-OLD"]
    assert [rule["id"] for rule in new.rules if rule["pack_id"] == "swap"] == ["L1-NEW"]
    assert {rule["pack_version"] for rule in new.rules if rule["pack_id"] == "swap"} == {"1.1.0"}
    assert old.version != new.version
    assert await _pack_events(platform, tenant, "swap") == ["pack.activated", "pack.activated"]


async def test_activating_the_same_version_again_records_nothing(platform: Platform, tenant: UUID):
    await _install(platform, name="again")
    async with platform.database.tenant(tenant) as session:
        first = await activate(session, tenant, "again", "1.0.0", actor="user:t")
        assert await activate(session, tenant, "again", "1.0.0", actor="user:t") == first
    assert await _pack_events(platform, tenant, "again") == ["pack.activated"]


async def test_rollback_goes_back_step_by_step_to_the_default(platform: Platform, tenant: UUID):
    for version in ("1.0.0", "2.0.0"):
        await _install(platform, name="back", version=version)
    seen = []
    async with platform.database.tenant(tenant) as session:
        for version in ("1.0.0", "2.0.0"):
            await activate(session, tenant, "back", version, actor="user:t")
        await deactivate(session, tenant, "back", actor="user:t")
        for _ in range(3):
            await rollback(session, tenant, "back", actor="user:t")
            seen.append({item.pack_id: item.version for item in await effective(session, tenant)}.get("back"))
        with pytest.raises(Conflict, match="Nothing was chosen"):
            await rollback(session, tenant, "back", actor="user:t")
    assert seen == ["2.0.0", "1.0.0", None]
    async with platform.database.tenant(tenant) as session:
        kinds = [row.kind for row in await history(session, tenant, "back")]
    assert kinds == ["rollback"] * 3 + ["deactivate"] + ["activate"] * 2


async def test_a_choice_of_one_tenant_is_not_seen_by_another(
    platform: Platform, tenant: UUID, other_tenant: UUID
):
    await _install(platform, name="mine")
    async with platform.database.tenant(tenant) as session:
        await activate(session, tenant, "mine", "1.0.0", actor="user:t")
        await put_policy(session, tenant, dict(shipped_policy("demo")), actor="user:t")
    other = await _fresh(platform, other_tenant)
    assert "mine" not in {rule["pack_id"] for rule in other.rules}
    assert other.policy["id"] == "default"
    async with platform.database.tenant(other_tenant) as session:
        assert await history(session, tenant, "mine") == []


async def test_a_pack_that_defines_the_same_thing_as_another_is_not_activated(
    platform: Platform, tenant: UUID
):
    await _install(platform, name="one", rule="L1-SAME", check="first_check")
    await _install(platform, name="two", rule="L1-SAME", check="second_check")
    async with platform.database.tenant(tenant) as session:
        await activate(session, tenant, "one", "1.0.0", actor="user:t")
    with pytest.raises(Conflict, match="L1-SAME"):
        async with platform.database.tenant(tenant) as session:
            await activate(session, tenant, "two", "1.0.0", actor="user:t")
    async with platform.database.tenant(tenant) as session:
        assert "two" not in {item.pack_id for item in await effective(session, tenant)}


async def test_what_is_not_installed_cannot_be_activated(platform: Platform, tenant: UUID):
    with pytest.raises(NotFound):
        async with platform.database.tenant(tenant) as session:
            await activate(session, tenant, "compliance-it", "99.0.0", actor="user:t")


async def test_a_version_never_changes_its_content(platform: Platform):
    await _install(platform, name="fixed", title="First")
    with pytest.raises(Conflict, match="Raise the version"):
        await _install(platform, name="fixed", title="Second")


async def test_concurrent_activations_leave_one_current_choice(platform: Platform, tenant: UUID):
    wanted = [f"1.{number}.0" for number in range(6)]
    for version in wanted:
        await _install(platform, name="race", version=version)

    async def choose(version: str) -> None:
        async with platform.database.tenant(tenant) as session:
            await activate(session, tenant, "race", version, actor="user:t")

    await asyncio.gather(*(choose(version) for version in wanted))
    async with platform.database.tenant(tenant) as session:
        rows = await history(session, tenant, "race")
    assert [row.is_current for row in rows].count(True) == 1
    assert len(rows) == len(wanted)
    # Each replaced the one before it: a chain without forks.
    assert len({row.replaces for row in rows}) == len(rows)


async def test_a_change_is_seen_within_the_second_and_one_look_serves_many_callers(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
):
    clock = [1000.0]
    monkeypatch.setattr(service.time, "monotonic", lambda: clock[0])
    before = await _fresh(platform, tenant)
    async with platform.database.tenant(tenant) as session:
        await put_policy(session, tenant, dict(shipped_policy("demo")), actor="user:t")
    assert await active_packs(platform, tenant) is before
    clock[0] += service.MAX_STALE_SECONDS + 0.01
    found = await asyncio.gather(*(active_packs(platform, tenant) for _ in range(20)))
    assert {id(packs) for packs in found} == {id(found[0])}
    assert found[0].policy["id"] == "demo"
    assert found[0].version != before.version
    assert found[0].packs is before.packs


async def test_a_policy_is_versioned_and_guards_against_lost_updates(platform: Platform, tenant: UUID):
    policy = dict(shipped_policy("default"))
    async with platform.database.tenant(tenant) as session:
        assert await put_policy(session, tenant, policy, actor="user:t", expected_version=0) == 1
        assert await put_policy(session, tenant, {**policy, "autonomy": "act"}, actor="user:t") == 2
        with pytest.raises(Conflict, match="version 2"):
            await put_policy(session, tenant, policy, actor="user:t", expected_version=1)
    async with platform.database.tenant(tenant) as session:
        stream = await events.read_stream(session, tenant, "policy", tenant)
    assert [(event.type, event.data["version"]) for event in stream] == [
        ("policy.changed", 1),
        ("policy.changed", 2),
    ]


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"autonomy": "always"}, "/policy/autonomy"),
        ({"overrides": [{"match": {}, "autonomy": "act"}]}, "/policy/overrides/0/match"),
        (
            {
                "maintenance_windows": [
                    {
                        "title": "n",
                        "weekdays": ["mon"],
                        "from": "22:00",
                        "to": "02:00",
                        "timezone": "Mars/Base",
                        "effect": "hold",
                    }
                ]
            },
            "/policy/maintenance_windows/0/timezone",
        ),
        ({"silences": [{"reason": "all", "until": "2027-01-01T00:00:00Z"}]}, "/policy/silences/0"),
    ],
)
async def test_a_policy_that_is_wrong_is_refused_with_the_place(platform: Platform, tenant: UUID, change, at):
    with pytest.raises(Invalid) as raised:
        async with platform.database.tenant(tenant) as session:
            await put_policy(session, tenant, {**shipped_policy("default"), **change}, actor="user:t")
    assert [error.pointer for error in raised.value.errors] == [at]


def test_versions_sort_as_semantic_versioning_says():
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.0.0+ab",
        "1.2.0",
        "1.10.0",
    ]
    assert sorted(set(ordered), key=version_key) == ordered


def test_the_shipped_folder_is_found():
    assert (Path(service.__file__).parents[3] / "packs" / "compliance-it" / "pack.yaml").exists()
