"""Who may approve what: by case, by two people, by deputies; and never while the stop switch is pressed."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from tests.brakes.conftest import ANN

from fettle.healing import approval_decisions
from fettle.healing.approval_decisions import Verdict
from fettle.healing.brakes import delegations, stops
from fettle.healing.brakes.delegations import NewDelegation
from fettle.healing.by_hand import ByHand, run_by_hand
from fettle.identity.audit import Who
from fettle.identity.permissions import permissions_of
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id

TWO = {"autonomy": "approve", "approvals": {"by": ["operator"], "people": 2}}


async def person(scene, role, tenant=None):
    """Return somebody who belongs to the tenant."""
    user_id = new_id()
    async with scene.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, 'x')",
            user_id, f"{user_id}@example.org", f"{role} {user_id}",
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)",
            tenant or scene.tenant, user_id, role,
        )  # fmt: skip
    return user_id


async def waiting(scene):
    [row] = await scene.rows("SELECT * FROM approvals WHERE state = 'pending'")
    return row


async def approve(scene, row, actor, role="operator", *, plan_hash=None, how=approval_decisions.approve):
    verdict = Verdict(plan_hash or row["plan_hash"], "Looked at it.", actor, permissions_of(role))
    async with scene.session() as session:
        return await how(session, scene.tenant, row["id"], verdict)


async def depute(
    scene, from_user, to_user, *, who=None, permissions=frozenset(), begins=-1, ends=60, at=None
):
    now = utcnow()
    wanted = NewDelegation(
        from_user, to_user, now + timedelta(minutes=begins), now + timedelta(minutes=ends), "On leave."
    )
    async with scene.session() as session:
        return await delegations.create(
            session,
            scene.tenant,
            wanted,
            who=who or Who(f"user:{from_user}"),
            permissions=permissions,
            now=at or now,
        )


async def test_two_different_people_must_approve(scene):
    await scene.begin(**TWO)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    assert row["people"] == 2
    assert await approve(scene, row, "user:ann") == 1
    assert await scene.states() == ["awaiting_approval"]
    with pytest.raises(Conflict, match="somebody else"):
        await approve(scene, row, "user:ann")
    with pytest.raises(Forbidden, match="a key is nobody"):
        await approve(scene, row, "key:1")
    with pytest.raises(Conflict, match="its hash differs"):
        await approve(scene, row, "user:bob", plan_hash="0" * 64)
    with pytest.raises(Forbidden, match="decided by a operator"):
        await approve(scene, row, "user:eve", role="analyst")
    assert await approve(scene, row, "user:bob") == 0
    await scene.settle()
    assert await scene.states() == ["resolved"]
    [given], [approved] = await scene.told("approval.given"), await scene.told("plan.approved")
    assert given["data"]["left"] == 1
    assert approved["data"]["voters"] == ["user:ann", "user:bob"]
    with pytest.raises(Conflict):
        await approve(scene, row, "user:cy")


async def test_of_many_at_once_two_count_and_it_starts_once(scene):
    await scene.begin(**TWO)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    answers = await asyncio.gather(
        *(approve(scene, row, f"user:{number % 4}") for number in range(12)), return_exceptions=True
    )
    assert sorted(one for one in answers if isinstance(one, int)) == [0, 1]
    assert all(isinstance(one, int | Conflict) for one in answers)
    assert len(await scene.told("plan.approved")) == 1


async def test_one_who_says_no_is_enough(scene):
    await scene.begin(**TWO)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    await approve(scene, row, "user:ann")
    await approve(scene, row, "user:bob", how=approval_decisions.reject)
    assert await scene.states() == ["escalated"]


async def test_who_asked_is_none_of_the_two(scene):
    await scene.begin(**TWO)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    await scene.rows("UPDATE approvals SET asked_by = 'user:ann'")
    with pytest.raises(Forbidden, match="yourself"):
        await approve(scene, row, "user:ann")


async def test_the_first_case_that_fits_says_who_and_how_many(scene):
    case = {"match": {"hosts": ["dc-*"]}, "by": ["tenant_admin"], "people": 2, "expires_seconds": 600}
    await scene.begin(autonomy="approve", approvals={"by": ["operator"], "cases": [case]})
    await scene.report({"host": "dc-1"}, {"host": "web-1"})
    rows = {
        row["host"]: row
        for row in await scene.rows(
            "SELECT a.*, i.host FROM approvals a JOIN incidents i ON i.id = a.incident_id ORDER BY i.number"
        )
    }
    careful, usual = rows["dc-1"], rows["web-1"]
    assert (careful["approvers"], careful["people"]) == (["tenant_admin"], 2)
    assert timedelta(seconds=500) < careful["expires_at"] - utcnow() < timedelta(seconds=601)
    assert (usual["approvers"], usual["people"]) == (["operator"], 1)
    with pytest.raises(Forbidden):
        await approve(scene, careful, "user:ann")
    assert await approve(scene, usual, "user:ann") == 0


async def test_a_deputy_decides_in_the_others_place_for_as_long_as_it_was_said(scene):
    await scene.begin(autonomy="approve", approvals={"by": ["tenant_admin"]}, flapping={"enabled": False})
    chief, deputy = await person(scene, "tenant_admin"), await person(scene, "operator")
    await scene.report({"host": "a"})
    row = await waiting(scene)
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{deputy}")
    await depute(scene, chief, deputy, begins=10)  # not yet
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{deputy}")
    given = await depute(scene, chief, deputy)
    assert await approve(scene, row, f"user:{deputy}") == 0
    [approved] = await scene.told("plan.approved")
    assert (approved["data"]["on_behalf_of"], approved["data"]["approved_by"]) == (
        f"user:{chief}",
        f"user:{deputy}",
    )
    await scene.settle()
    await scene.report({"host": "b"})
    row = await waiting(scene)
    async with scene.session() as session:
        await delegations.end(session, scene.tenant, given, who=Who(f"user:{chief}"), permissions=frozenset())
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{deputy}")
    records = await scene.rows("SELECT action FROM audit_records WHERE action LIKE 'delegation%' ORDER BY id")
    assert [one["action"] for one in records] == [
        "delegation.created",
        "delegation.created",
        "delegation.ended",
    ]


async def test_a_deputy_is_no_second_person_for_who_asked_and_has_no_deputy(scene):
    await scene.begin(autonomy="approve", approvals={"by": ["tenant_admin"], "people": 2})
    chief, deputy, third = [await person(scene, role) for role in ("tenant_admin", "operator", "operator")]
    await depute(scene, chief, deputy)
    await depute(scene, deputy, third)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{third}")
    await scene.rows("UPDATE approvals SET asked_by = $1", f"user:{chief}")
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{deputy}")


@pytest.mark.parametrize("first", ["chief", "deputy"])
async def test_a_person_and_their_deputy_are_one_of_the_two(scene, first):
    await scene.begin(autonomy="approve", approvals={"by": ["tenant_admin"], "people": 2})
    chief, deputy = await person(scene, "tenant_admin"), await person(scene, "operator")
    await depute(scene, chief, deputy)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    both = [(f"user:{chief}", "tenant_admin"), (f"user:{deputy}", "operator")]
    one, other = both if first == "chief" else reversed(both)
    assert await approve(scene, row, *one) == 1
    with pytest.raises((Conflict, Forbidden)):
        await approve(scene, row, *other)
    assert await scene.states() == ["awaiting_approval"]
    assert await approve(scene, row, "user:another", "tenant_admin") == 0


async def test_who_left_has_no_deputy(scene):
    await scene.begin(autonomy="approve", approvals={"by": ["tenant_admin"]})
    chief, deputy = await person(scene, "tenant_admin"), await person(scene, "operator")
    await depute(scene, chief, deputy)
    await scene.report({"host": "a"})
    row = await waiting(scene)
    async with scene.platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM memberships WHERE user_id = $1", chief)
    with pytest.raises(Forbidden):
        await approve(scene, row, f"user:{deputy}")


async def test_whom_one_may_appoint(scene, other_scene):
    chief, deputy = await person(scene, "tenant_admin"), await person(scene, "operator")
    stranger, viewer = await person(scene, "operator", other_scene.tenant), await person(scene, "viewer")
    with pytest.raises(Forbidden):
        await depute(scene, chief, deputy, who=Who(f"user:{deputy}"))
    await depute(scene, chief, deputy, who=Who("user:x"), permissions=permissions_of("tenant_admin"))
    for somebody in (stranger, viewer, chief):
        with pytest.raises(Invalid):
            await depute(scene, chief, somebody)
    with pytest.raises(Invalid):
        await depute(scene, chief, deputy, ends=-1)
    with pytest.raises(Invalid):
        await depute(scene, chief, deputy, ends=200_000)
    west = timezone(timedelta(hours=-14))  # the end of all calendars, where UTC is a day beyond
    last = NewDelegation(
        chief, deputy, datetime(9999, 12, 30, tzinfo=west), datetime(9999, 12, 31, 23, tzinfo=west), "x"
    )
    async with scene.session() as session:
        with pytest.raises(Invalid):
            await delegations.create(
                session, scene.tenant, last, who=Who(f"user:{chief}"), permissions=frozenset(), now=utcnow()
            )
    async with other_scene.session() as session:
        assert await delegations.listed(session, other_scene.tenant, active=None, before=None, limit=9) == []
        with pytest.raises(NotFound):
            await delegations.end(session, other_scene.tenant, new_id(), who=ANN, permissions=frozenset())


async def test_nothing_is_approved_while_the_stop_switch_is_pressed(scene):
    await scene.begin(autonomy="approve")
    await scene.report({"host": "a"})
    row = await waiting(scene)
    async with scene.session() as session:
        await stops.press(scene.platform, session, scene.tenant, "careful", who=ANN)
    with pytest.raises(Conflict, match="stop switch"):
        await approve(scene, row, "user:ann")
    async with scene.session() as session:
        await stops.lift(scene.platform, session, scene.tenant, "fine", who=ANN)
    scene.forget()
    assert await approve(scene, row, "user:ann") == 0
    await scene.settle()
    assert await scene.states() == ["resolved"]


async def test_a_step_that_asks_takes_two_where_the_policy_says_so(scene):
    await scene.begin(
        approvals={"by": ["operator"], "cases": [{"match": {"playbooks": ["PB-DEMO"]}, "people": 2}]}
    )
    await scene.rows(
        'UPDATE playbooks SET document = jsonb_set(document, \'{steps}\', \'[{"id": "ask", "approve": '
        '{"by": ["operator"], "reason": "sure?"}}, {"id": "first", "tool": "demo.first"}]\')'
    )
    await scene.report({"host": "a"})
    row = await waiting(scene)
    assert (row["kind"], row["people"]) == ("step", 2)
    assert await approve(scene, row, "user:ann") == 1
    assert await approve(scene, row, "user:bob") == 0
    await scene.settle()
    assert await scene.states() == ["resolved"]


async def key_of(scene, maker):
    """Return an API key as an actor that somebody made."""
    key_id = new_id()
    async with scene.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, created_by) "
            "VALUES ($1, $2, 'ci', $3, $4, '{}', $5)",
            key_id, scene.tenant, f"ftl_{key_id.hex[-12:]}", key_id.bytes * 2, maker,
        )  # fmt: skip
    return f"key:{key_id}"


async def test_who_asked_by_a_key_is_none_of_the_two_in_person(scene):
    await scene.begin(autonomy="approve", approvals={"by": ["operator"], "people": 2})
    asker = await key_of(scene, await key_of(scene, "user:ann"))
    await scene.report({"host": "a"})
    row = await waiting(scene)
    await approve(scene, row, "user:bob", how=approval_decisions.reject)
    await scene.settle()
    async with scene.session() as session:
        wanted = ByHand("PB-DEMO", row["incident_id"], {}, "now", asker)
        await run_by_hand(scene.platform, session, scene.tenant, wanted)
    row = await waiting(scene)
    with pytest.raises(Forbidden, match="yourself"):
        await approve(scene, row, "user:ann")
    assert await approve(scene, row, "user:bob") == 1


@pytest.mark.parametrize("by_key", [False, True])
async def test_who_had_a_playbook_run_by_hand_is_none_of_the_two_whom_its_step_asks(scene, by_key):
    await scene.begin(approvals={"by": ["operator"], "people": 2})
    await scene.rows(
        'UPDATE playbooks SET document = jsonb_set(document, \'{steps}\', \'[{"id": "ask", "approve": '
        '{"by": ["operator"], "reason": "sure?"}}, {"id": "first", "tool": "demo.first"}]\')'
    )
    async with scene.session() as session:
        await stops.press(scene.platform, session, scene.tenant, "careful", who=ANN)
    scene.forget()
    await scene.report({"host": "a"})
    async with scene.session() as session:
        await stops.lift(scene.platform, session, scene.tenant, "fine", who=ANN)
    scene.forget()
    [incident] = await scene.rows("SELECT id FROM incidents WHERE state = 'escalated'")
    asker = await key_of(scene, "user:ann") if by_key else "user:ann"
    async with scene.session() as session:
        await run_by_hand(
            scene.platform, session, scene.tenant, ByHand("PB-DEMO", incident["id"], {}, "now", asker)
        )
    await scene.settle()
    row = await waiting(scene)
    assert (row["kind"], row["people"]) == ("step", 2)
    with pytest.raises(Forbidden, match="yourself"):
        await approve(scene, row, "user:ann")
    assert await approve(scene, row, "user:bob") == 1
    assert await approve(scene, row, "user:cy") == 0
    await scene.settle()
    assert await scene.states() == ["resolved"]
