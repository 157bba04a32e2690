"""From a triaged incident to a plan, an approval or a person, and from a run's outcome to the end; on the database."""

import asyncio
from datetime import timedelta

import pytest

from fettle.healing import approval_decisions, approvals, service
from fettle.healing.approval_decisions import Verdict, expire_due
from fettle.healing.plans import plan_hash
from fettle.identity.permissions import permissions_of
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.errors import Conflict, Forbidden, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.trust.signals import signal_stream


def verdict(row, *, role="tenant_admin", actor="user:ann", plan_hash=None):
    return Verdict(plan_hash or row["plan_hash"], "Looked at it.", actor, permissions_of(role))


async def decide(pipeline, row, what=approval_decisions.approve, **options):
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await what(session, pipeline.tenant, row["id"], verdict(row, **options))


async def test_act_sets_the_plan_going(pipeline):
    await pipeline.policy()
    await pipeline.report({"details": {"program": "bin/heartbeat"}})
    incident = await pipeline.incident()
    assert (incident["state"], incident["level"], incident["rule_id"]) == (
        "healing",
        "L1",
        "L1-DEMO-PROCESS-001",
    )
    [approved] = await pipeline.told("plan.approved")
    plan = approved["data"]["plan"]
    assert approved["data"]["plan_hash"] == plan_hash(plan) == incident["decision"]["plan_hash"]
    assert plan["incident"]["details"] == {"program": "bin/heartbeat"}
    assert plan["verify"]["tool"] == "check.run"


async def test_a_batch_of_many_is_decided_together(pipeline):
    await pipeline.policy()
    await pipeline.report(
        *({"host": f"h{number}"} for number in range(250)), {"check_type": "nobody_knows_this"}
    )
    rows = await pipeline.rows("SELECT state, count(*) AS number FROM incidents GROUP BY state")
    assert {row["state"]: row["number"] for row in rows} == {"healing": 250, "escalated": 1}
    [escalated] = await pipeline.told("incident.escalated")
    assert (escalated["data"]["reason"], escalated["data"]["level"]) == ("no_rule_matched", "L3")


async def test_a_verified_run_resolves_and_a_failed_one_goes_to_a_person(pipeline):
    await pipeline.policy()
    await pipeline.report({"host": "good"}, {"host": "bad"})
    ids = {row["host"]: row["id"] for row in await pipeline.rows("SELECT id, host FROM incidents")}
    await pipeline.complete(ids["good"], "verified")
    await pipeline.complete(ids["bad"], "failed", reason="The check still fails.")
    rows = {
        row["host"]: row
        for row in await pipeline.rows("SELECT host, state, level, resolution FROM incidents")
    }
    assert (rows["good"]["state"], rows["good"]["level"]) == ("resolved", "L1")
    assert (rows["bad"]["state"], rows["bad"]["level"]) == ("escalated", "L3")
    [escalated] = await pipeline.told("incident.escalated")
    assert escalated["data"]["detail"] == "The check still fails."
    attempts = await pipeline.rows("SELECT incident_id, failed FROM rule_attempts")
    assert {row["incident_id"]: row["failed"] for row in attempts} == {ids["good"]: 0, ids["bad"]: 1}


async def test_a_completion_that_comes_twice_or_too_late_changes_nothing(pipeline):
    await pipeline.policy()
    await pipeline.report({})
    incident_id = (await pipeline.incident())["id"]
    await pipeline.complete(incident_id, "verified")
    version = (await pipeline.incident())["version"]
    await pipeline.complete(incident_id, "verified")
    await pipeline.complete(incident_id, "failed")
    assert ((await pipeline.incident())["version"], (await pipeline.incident())["state"]) == (
        version,
        "resolved",
    )


async def test_a_triage_that_comes_twice_starts_one_run(pipeline):
    await pipeline.policy()
    await pipeline.report({})
    [triaged] = await pipeline.told("incident.triaged")
    incident_id = (await pipeline.incident())["id"]
    again = NewEvent(
        stream_type="incident",
        stream_id=incident_id,
        type="incident.triaged",
        data=triaged["data"],
        actor="system:test",
        correlation_id=incident_id,
    )
    await pipeline.append(again)
    assert len(await pipeline.told("plan.approved")) == 1
    assert (await pipeline.incident())["state"] == "healing"


async def test_a_rule_that_keeps_failing_is_not_tried_for_ever(pipeline):
    await pipeline.policy()
    await pipeline.report({})
    incident_id = (await pipeline.incident())["id"]
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await service.create_rule(
            session,
            pipeline.tenant,
            {
                "id": "L1-DEMO-PROCESS-001",
                "priority": 10,
                "conditions": [{"field": "check_type", "operator": "eq", "value": "sandbox_process"}],
                "action": "execute_runbook",
                "runbook_id": "RB-DEMO-PROCESS",
                "cooldown_seconds": 0,
                "max_attempts": 1,
            },
            actor="user:ann",
        )
    await pipeline.complete(incident_id, "failed")
    await close_and_reopen(pipeline, incident_id)
    [first, second] = await pipeline.told("incident.escalated")
    assert [first["data"]["reason"], second["data"]["reason"]] == ["run_failed", "max_attempts"]


async def close_and_reopen(pipeline, incident_id):
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        resolved = Transition(
            incident_id=incident_id, to=State.RESOLVED, type="incident.resolved", actor="user:ann"
        )
        await transition(session, pipeline.tenant, [resolved])
    await pipeline.report({})


async def test_a_rule_rests_after_it_has_run(pipeline):
    await pipeline.policy()
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        own = {
            "id": "OWN",
            "priority": 1,
            "conditions": [{"field": "check_type", "operator": "eq", "value": "sandbox_process"}],
            "action": "execute_runbook",
            "runbook_id": "RB-DEMO-PROCESS",
            "cooldown_seconds": 3600,
        }
        await service.create_rule(session, pipeline.tenant, own, actor="user:ann")
    await pipeline.report({})
    await pipeline.complete((await pipeline.incident())["id"], "verified")
    await pipeline.report({})
    [escalated] = await pipeline.told("incident.escalated")
    assert escalated["data"]["reason"] == "cooldown"


async def test_an_approval_is_asked_for_and_sets_the_plan_going(pipeline):
    await pipeline.policy(autonomy="approve", approvals={"by": ["operator"], "expires_seconds": 600})
    await pipeline.report({})
    assert (await pipeline.incident())["state"] == "awaiting_approval"
    waiting = await pipeline.approval()
    await decide(pipeline, waiting, role="operator")
    assert (await pipeline.incident())["state"] == "healing"
    [approved] = await pipeline.told("plan.approved")
    assert approved["data"]["plan_hash"] == waiting["plan_hash"] == plan_hash(approved["data"]["plan"])
    assert approved["data"]["approved_by"] == "user:ann"
    assert approved["data"]["approval_id"] == str(waiting["id"])


async def test_a_rejection_goes_to_a_person(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    await decide(pipeline, await pipeline.approval(), approval_decisions.reject)
    assert (await pipeline.incident())["state"] == "escalated"
    rejected, escalated = await pipeline.told("plan.rejected", "incident.escalated")
    assert (rejected["data"]["outcome"], escalated["data"]["reason"]) == ("rejected", "plan_rejected")
    assert await pipeline.told("plan.approved") == []


async def test_of_many_decisions_at_once_exactly_one_wins(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    waiting = await pipeline.approval()
    deciders = [approval_decisions.approve, approval_decisions.reject] * 6
    results = await asyncio.gather(
        *(decide(pipeline, waiting, what, actor=f"user:{n}") for n, what in enumerate(deciders)),
        return_exceptions=True,
    )
    assert sum(result is None for result in results) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not None)
    assert len(await pipeline.told("plan.approved", "plan.rejected")) == 1


async def test_an_approval_holds_for_one_plan_only(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    waiting = await pipeline.approval()
    with pytest.raises(Conflict, match="hash differs"):
        await decide(pipeline, waiting, plan_hash="0" * 64)
    assert (await pipeline.incident())["state"] == "awaiting_approval"


async def test_an_approval_needs_the_role_that_the_policy_names(pipeline):
    await pipeline.policy(autonomy="approve", approvals={"by": ["tenant_admin"]})
    await pipeline.report({})
    waiting = await pipeline.approval()
    with pytest.raises(Forbidden, match="tenant_admin"):
        await decide(pipeline, waiting, role="operator")
    await decide(pipeline, waiting, role="partner_admin")


async def test_another_tenant_sees_no_approval(pipeline, other_tenant):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    waiting = await pipeline.approval()
    async with pipeline.platform.database.tenant(other_tenant) as session:
        assert await approvals.listed(pipeline.platform.database, other_tenant, limit=10) == []
        with pytest.raises(NotFound):
            await approval_decisions.approve(session, other_tenant, waiting["id"], verdict(waiting))
        # Row-level security stands behind the query: even the owner's id does not help.
        with pytest.raises(NotFound):
            await approval_decisions.approve(session, pipeline.tenant, waiting["id"], verdict(waiting))


async def test_an_approval_expires(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    waiting = await pipeline.approval()
    await pipeline.rows("UPDATE approvals SET expires_at = now() - interval '1 second'")
    with pytest.raises(Conflict, match="expired"):
        await decide(pipeline, waiting)
    await expire_due(pipeline.platform)
    await expire_due(pipeline.platform)
    [row] = await pipeline.rows("SELECT state FROM approvals")
    assert (row["state"], (await pipeline.incident())["state"]) == ("expired", "escalated")
    assert len(await pipeline.told("plan.rejected")) == 1


async def test_a_plan_is_withdrawn_when_its_incident_is_over(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    waiting = await pipeline.approval()
    incident_id = (await pipeline.incident())["id"]
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        resolved = Transition(
            incident_id=incident_id, to=State.RESOLVED, type="incident.resolved", actor="user:ann"
        )
        await transition(session, pipeline.tenant, [resolved])
    with pytest.raises(Conflict, match="resolved"):
        await decide(pipeline, waiting)
    await pipeline.settle()
    [row] = await pipeline.rows("SELECT state FROM approvals")
    assert row["state"] == "withdrawn"


async def test_a_suggestion_can_be_pressed_while_a_person_has_the_incident(pipeline):
    await pipeline.policy(autonomy="suggest")
    await pipeline.report({})
    assert (await pipeline.incident())["state"] == "escalated"
    suggestion = await pipeline.approval()
    assert suggestion["kind"] == "suggestion"
    await decide(pipeline, suggestion)
    assert (await pipeline.incident())["state"] == "healing"


async def test_observe_only_records(pipeline):
    await pipeline.policy(autonomy="observe")
    await pipeline.report({})
    incident = await pipeline.incident()
    assert (incident["state"], incident["decision"]["autonomy"]) == ("escalated", "observe")
    assert await pipeline.rows("SELECT 1 FROM approvals") == []
    assert await pipeline.told("plan.approved") == []


async def test_a_critical_signal_blocks(pipeline):
    await pipeline.policy()
    name = "runbook-success"
    signal = NewEvent(
        stream_type="signal",
        stream_id=signal_stream(pipeline.tenant, name),
        type="signal.recorded",
        data={"name": name, "health": "critical"},
        actor="system:test",
    )
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await events.append(session, pipeline.tenant, [signal])
    await pipeline.report({})
    [escalated] = await pipeline.told("incident.escalated")
    assert (escalated["data"]["reason"], escalated["data"]["detail"]) == (
        "gate_blocked",
        f"{name} is critical",
    )
    assert (await pipeline.incident())["decision"]["gate"]["verdict"] == "block"


async def test_a_changed_rule_holds_for_the_next_decision(pipeline, other_tenant):
    await pipeline.policy()
    own = {
        "id": "OWN-1",
        "priority": 1,
        "conditions": [{"field": "check_type", "operator": "eq", "value": "sandbox_process"}],
        "action": "suppress",
        "reason": "we know",
    }

    async def change(what, *arguments, **options):
        async with pipeline.platform.database.tenant(pipeline.tenant) as session:
            return await what(session, pipeline.tenant, *arguments, actor="user:ann", **options)

    assert await change(service.create_rule, own) == 1
    await pipeline.report({"host": "one"})
    assert await change(service.change_rule, "OWN-1", {**own, "enabled": False}, version=1) == 2
    await pipeline.report({"host": "two"})
    assert await change(service.change_rule, "OWN-1", own, version=2) == 3
    await pipeline.report({"host": "three"})
    await change(service.RULES.delete, "OWN-1", version=3)
    await pipeline.report({"host": "four"})
    rows = {row["host"]: row["state"] for row in await pipeline.rows("SELECT host, state FROM incidents")}
    assert rows == {"one": "suppressed", "two": "healing", "three": "suppressed", "four": "healing"}
    assert await change(service.create_rule, own) == 5
    history = await pipeline.rows(
        "SELECT version, document IS NULL AS deleted FROM rule_versions ORDER BY version"
    )
    assert [(row["version"], row["deleted"]) for row in history] == [
        (1, False), (2, False), (3, False), (4, True), (5, False),
    ]  # fmt: skip
    told = await pipeline.rows("SELECT type FROM events WHERE stream_type = 'rule' ORDER BY version")
    kinds = [row["type"].removeprefix("rule.") for row in told]
    assert kinds == [
        "created",
        "changed",
        "changed",
        "deleted",
        "created",
    ]
    async with pipeline.platform.database.tenant(other_tenant) as session:
        assert await service.RULES.all(session, other_tenant) == {}


async def test_of_many_changes_of_one_version_one_wins(pipeline):
    own = {"id": "OWN", "conditions": [], "action": "suppress"}

    async def change(number):
        async with pipeline.platform.database.tenant(pipeline.tenant) as session:
            await service.change_rule(
                session, pipeline.tenant, "OWN", {**own, "priority": number}, version=1, actor="user:ann"
            )

    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await service.create_rule(session, pipeline.tenant, own, actor="user:ann")
    results = await asyncio.gather(*(change(number) for number in range(8)), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not None)


async def waiting_step(pipeline):
    await pipeline.policy()
    await pipeline.report({})
    incident_id = (await pipeline.incident())["id"]
    asked = {
        "approval_id": str(new_id()),
        "run_id": str(new_id()),
        "path": "steps/2",
        "reason": "Restart it?",
        "by": ["operator"],
        "expires_at": rfc3339(utcnow() + timedelta(hours=1)),
        "plan_hash": "a" * 64,
    }
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        move = Transition(
            incident_id=incident_id,
            to=State.AWAITING_APPROVAL,
            type="approval.requested",
            data=asked,
            actor="system:test",
        )
        await transition(session, pipeline.tenant, [move])
    await pipeline.settle()
    return incident_id


@pytest.mark.parametrize("what", [approval_decisions.approve, approval_decisions.reject])
async def test_a_step_of_a_run_is_decided_and_the_run_is_told(pipeline, what):
    await waiting_step(pipeline)
    row = await pipeline.approval()
    assert (row["kind"], row["path"], row["plan_hash"]) == ("step", "steps/2", "a" * 64)
    await decide(pipeline, row, what, role="operator")
    [told] = await pipeline.told("approval.decided")
    assert (told["data"]["run_id"], told["data"]["path"]) == (str(row["run_id"]), "steps/2")
    assert told["data"]["decision"] == ("approved" if what is approval_decisions.approve else "rejected")
    assert (await pipeline.incident())["state"] == "healing"


async def test_a_step_no_longer_waits_when_its_run_has_ended(pipeline):
    incident_id = await waiting_step(pipeline)
    row = await pipeline.approval()
    await pipeline.complete(incident_id, "failed")
    with pytest.raises(Conflict, match="withdrawn"):
        await decide(pipeline, row, role="operator")
