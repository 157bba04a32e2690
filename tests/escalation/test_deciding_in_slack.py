"""Approving by a button does what approving in the console does: the same events, the same people, one plan's hash."""

import json

import pytest
from tests.conftest import insert_tenant
from tests.escalation.conftest import Rig, put_secrets
from tests.escalation.test_callbacks import pressed

from fettle.healing import approval_decisions
from fettle.healing.approval_decisions import Verdict
from fettle.healing.escalation import service
from fettle.healing.escalation.callbacks import take_slack
from fettle.identity.names import permissions_of_person
from fettle.identity.permissions import permissions_of
from fettle.incidents.states import State
from fettle.kernel.errors import Forbidden
from fettle.kernel.events import read_stream
from fettle.kernel.ids import new_id

PLAN = {"playbook": {"id": "PB-FIREWALL", "title": "Switch it on"}, "parameters": {}, "verify": None}
HASH = "a" * 64


async def asked(rig, *, people=1, channel=None):
    """Put an incident in whose plan waits for somebody; returns it, its approval and the channel that told."""
    if channel is None:
        channel = await rig.channel("slack")
        await rig.policy(([{"channel_id": channel}], 3600))
    incident, approval = await rig.incident(), new_id()
    await rig.happen(incident, "plan.proposed", data={"level": "L1", "plan": PLAN, "plan_hash": HASH})
    await rig.rows(
        "INSERT INTO approvals (id, tenant_id, incident_id, kind, plan, plan_hash, reason, approvers, expires_at, "
        "people) VALUES ($1, $2, $3, 'approval', $4, $5, 'policy', '{operator}', now() + interval '1 hour', $6)",
        approval,
        rig.tenant,
        incident,
        json.dumps(PLAN),
        HASH,
        people,
    )
    await rig.happen(
        incident,
        "approval.requested",
        State.AWAITING_APPROVAL,
        {"approval_id": str(approval), "plan_hash": HASH},
    )
    await rig.send()
    return incident, approval, channel


async def state_of(rig, approval):
    return (await rig.rows("SELECT state FROM approvals WHERE id = $1", approval))[0]["state"]


async def happened(rig, incident, approval):
    """Return what happened since the approval was asked for, without ids of this incident."""
    async with rig.platform.database.tenant(rig.tenant) as session:
        told = await read_stream(session, rig.tenant, "incident", incident)
    since = [event.type for event in told].index("approval.requested") + 1
    names = {str(incident): "<incident>", str(approval): "<approval>"}
    said = []
    for event in told[since:]:
        text = json.dumps([event.type, event.data, event.metadata["actor"]], default=str, sort_keys=True)
        for one, name in names.items():
            text = text.replace(one, name)
        said.append(text)
    return said


async def test_the_button_does_exactly_what_the_console_does(rig):
    ada = await rig.person("Ada", slack="U0ADA")
    incident, approval, channel = await asked(rig)
    told = str(rig.world.of("slack")[-1])
    assert f"{approval}:{HASH}" in told
    said = await take_slack(rig.platform, pressed(channel, "fettle_approve", f"{approval}:{HASH}"))
    assert said == "The plan is approved."
    other, second, _ = await asked(rig, channel=channel)
    async with rig.platform.database.tenant(rig.tenant) as session:
        may = await permissions_of_person(session, rig.tenant, ada)
        await approval_decisions.approve(
            session, rig.tenant, second, Verdict(HASH, "Pressed in Slack.", f"user:{ada}", may)
        )
    assert await happened(rig, incident, approval) == await happened(rig, other, second)
    assert await state_of(rig, approval) == await state_of(rig, second) == "approved"
    (audited,) = await rig.rows("SELECT actor FROM audit_records WHERE action = 'approval.approved'")
    assert audited["actor"] == f"user:{ada}"


async def test_rejecting_sends_it_to_a_person_and_a_replay_does_nothing(rig):
    await rig.person("Ada", slack="U0ADA")
    incident, approval, channel = await asked(rig)
    button = pressed(channel, "fettle_reject", f"{approval}:{HASH}")
    assert await take_slack(rig.platform, button) == "The plan is rejected."
    before = await happened(rig, incident, approval)
    assert await take_slack(rig.platform, button) == "It was taken before."
    assert await happened(rig, incident, approval) == before
    assert await state_of(rig, approval) == "rejected"


async def test_two_people_are_two_people_in_slack_as_well(rig):
    await rig.person("Ada", slack="U0ADA")
    await rig.person("Bo", slack="U0BO")
    _, approval, channel = await asked(rig, people=2)
    value = f"{approval}:{HASH}"
    said = await take_slack(rig.platform, pressed(channel, "fettle_approve", value))
    assert "one more person" in said
    again = await take_slack(rig.platform, pressed(channel, "fettle_approve", value, age=-1))
    assert "approved" in again
    assert await state_of(rig, approval) == "pending"
    assert (
        await take_slack(rig.platform, pressed(channel, "fettle_approve", value, "U0BO"))
        == "The plan is approved."
    )
    assert await state_of(rig, approval) == "approved"


async def test_who_entered_the_id_of_another_is_no_second_person_beside_them(rig):
    """For all that anybody knows it is an id of their own."""
    ada, bo, cy = [await rig.person(name, slack=f"U0{name.upper()}") for name in ("Ada", "Bo", "Cy")]
    for person, entered_by in ((ada, bo), (bo, bo), (cy, cy)):
        await rig.rows(
            "UPDATE oncall_contacts SET updated_by = $2 WHERE user_id = $1", person, f"user:{entered_by}"
        )
    _, approval, channel = await asked(rig, people=2)
    value = f"{approval}:{HASH}"
    assert "one more person" in await take_slack(rig.platform, pressed(channel, "fettle_approve", value))
    said = await take_slack(rig.platform, pressed(channel, "fettle_approve", value, "U0BO"))
    assert "entered the id" in said
    assert await state_of(rig, approval) == "pending"
    said = await take_slack(rig.platform, pressed(channel, "fettle_approve", value, "U0CY"))
    assert said == "The plan is approved."


async def test_nobody_says_by_which_id_somebody_is_known_who_may_do_more(rig):
    ada = await rig.person("Ada", role="tenant_admin", slack="U0ADA")
    may = permissions_of("operator") | {"escalation:write"}

    async def put(slack, actor, permissions):
        async with rig.platform.database.tenant(rig.tenant) as session:
            document = {"slack": slack} if slack else {}
            await service.put_contact(
                session, rig.tenant, ada, document, actor=actor, permissions=frozenset(permissions)
            )

    for actor in ("user:mal", "key:1"):
        with pytest.raises(Forbidden, match="may do what you may not"):
            await put("U0MAL", actor, may)
    await put("U0ADA", "user:mal", may)
    await put("U0NEW", f"user:{ada}", may)
    await put("U0ADA", "user:boss", permissions_of("tenant_admin"))
    await put(None, "user:mal", may)


async def test_another_plans_hash_a_stranger_a_viewer_and_another_tenant_approve_nothing(rig, platform):
    await rig.person("Ada", slack="U0ADA")
    await rig.person("Vic", role="viewer", slack="U0VIC")
    other = Rig(rig.platform, rig.world, await insert_tenant(platform.database, "birch-dental"), rig.sender)
    await put_secrets(rig.platform, other.tenant, rig.world)
    await other.person("Mal", role="tenant_admin", slack="U0MAL")
    theirs = await other.channel("slack")
    _, approval, channel = await asked(rig)
    for where, value, who in (
        (channel, f"{approval}:{'b' * 64}", "U0ADA"),
        (channel, f"{approval}:", "U0ADA"),
        (channel, f"{approval}", "U0ADA"),
        (channel, f"{new_id()}:{HASH}", "U0ADA"),
        (channel, f"{approval}:{HASH}", "U0NOBODY"),
        (channel, f"{approval}:{HASH}", "U0VIC"),
        (theirs, f"{approval}:{HASH}", "U0MAL"),
    ):
        said = await take_slack(rig.platform, pressed(where, "fettle_approve", value, who))
        assert said != "The plan is approved.", (value, who)
    assert await state_of(rig, approval) == "pending"
