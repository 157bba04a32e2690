"""Messages: each channel's own protocol, what is tried again and when, their order; none is lost or left over."""

from datetime import timedelta

import pytest

from fettle.healing.escalation import deliveries
from fettle.healing.escalation.stepping import strike
from fettle.kernel.clock import utcnow

KINDS = ["slack", "teams", "pagerduty", "sendgrid", "webhook"]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_channel_is_told_in_its_own_protocol_and_told_when_it_is_over(rig, kind):
    channel = await rig.channel(kind)
    await rig.policy(([{"channel_id": channel}], 300))
    incident = await rig.incident()
    await rig.send()
    assert [(row["kind"], row["state"]) for row in await rig.log(incident)] == [("firing", "delivered")]
    said = str(rig.world.of(kind)[0])
    assert "Firewall is off" in said
    assert "No rule matches; a person decides." in said
    await rig.resolve(incident)
    await rig.send()
    assert [(row["kind"], row["state"]) for row in await rig.log(incident)][1:] == [("resolved", "delivered")]
    assert len(rig.world.of(kind)) == 2


async def test_a_pagerduty_incident_is_triggered_acknowledged_and_resolved_under_one_key(rig):
    ada = await rig.person("Ada")
    await rig.policy(([{"channel_id": await rig.channel("pagerduty")}], 300))
    incident = await rig.incident()
    await rig.send()
    await rig.happen(incident, "incident.assigned", data={"assignee": str(ada)}, actor=f"user:{ada}")
    await rig.send()
    await rig.resolve(incident)
    await rig.send()
    assert [body["event_action"] for body in rig.world.of("pagerduty")] == [
        "trigger",
        "acknowledge",
        "resolve",
    ]
    assert len({body["dedup_key"] for body in rig.world.of("pagerduty")}) == 1


async def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(rig):
    await rig.policy(([{"channel_id": await rig.channel("slack")}], 3600))
    rig.world.fail("slack", (429, {"Retry-After": "90"}, b""))
    before = utcnow()
    incident = await rig.incident()
    await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["error_code"], row["attempts"]) == ("queued", "http_429", 1)
    assert timedelta(seconds=89) < row["due_at"] - before < timedelta(seconds=120)
    await rig.retry()
    await rig.send()
    assert (await rig.log(incident))[0]["state"] == "delivered"


@pytest.mark.parametrize("answer", [(500, {}, b""), (503, {}, b""), "reset", (408, {}, b"")])
async def test_what_failed_on_the_other_side_is_tried_again(rig, answer):
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    rig.world.fail("webhook", answer)
    incident = await rig.incident()
    await rig.send()
    assert (await rig.log(incident))[0]["state"] == "queued"
    await rig.retry()
    await rig.send()
    assert (await rig.log(incident))[0]["state"] == "delivered"
    assert len(rig.world.webhook_ids) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_what_would_fail_again_is_given_up_and_the_next_step_does_not_wait(rig, status):
    first, second = await rig.channel("slack"), await rig.channel("teams")
    await rig.policy(([{"channel_id": first}], 3600), ([{"channel_id": second}], 3600))
    rig.world.fail("slack", (status, {}, b"planted-answer"))
    incident = await rig.incident()
    await rig.send()
    log = await rig.log(incident)
    assert [(row["channel_kind"], row["state"]) for row in log] == [
        ("slack", "failed"),
        ("teams", "delivered"),
    ]
    assert "planted" not in str(log[0]["error"])


async def test_a_receiver_that_stays_down_is_given_up_in_the_end_and_keeps_no_other_waiting(rig):
    down, up = await rig.channel("slack"), await rig.channel("webhook")
    await rig.policy(([{"channel_id": down}, {"channel_id": up}], 3600))
    rig.world.fail("slack", *[(503, {}, b"")] * 20)
    incident = await rig.incident()
    await rig.send()
    assert len(rig.world.of("webhook")) == 1
    for _ in range(10):
        await rig.retry()
        await rig.send()
    slack = next(row for row in await rig.log(incident) if row["channel_kind"] == "slack")
    assert (slack["state"], slack["attempts"]) == ("failed", 7)
    await rig.resolve(incident)
    await rig.send()
    assert rig.world.of("slack") == []
    assert [body["type"] for body in rig.world.of("webhook")] == ["escalation.firing", "escalation.resolved"]


async def test_what_is_over_before_it_could_be_told_is_told_neither_way(rig):
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    rig.world.fail("webhook", (503, {}, b""))
    incident = await rig.incident()
    await rig.send()
    await rig.resolve(incident)
    await rig.retry()
    await rig.send()
    assert rig.world.taken == []
    assert [row["state"] for row in await rig.log(incident)] == ["skipped"]


async def test_what_may_have_been_told_is_told_to_be_over(rig):
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    rig.world.fail("webhook", (502, {}, b""))
    incident = await rig.incident()
    await rig.send()
    await rig.resolve(incident)
    await rig.retry()
    await rig.send()
    assert [body["type"] for body in rig.world.of("webhook")] == ["escalation.resolved"]


async def test_a_place_that_is_not_allowed_is_never_asked(rig):
    channel = await rig.channel("webhook", url="http://169.254.169.254/latest")
    await rig.policy(([{"channel_id": channel}], 3600))
    incident = await rig.incident()
    await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["error_code"]) == ("failed", "refused")


async def test_mail_and_text_messages_say_what_they_lack(rig):
    await rig.policy(
        ([{"channel_id": await rig.channel("email")}, {"channel_id": await rig.channel("sms")}], 60)
    )
    incident = await rig.incident()
    await rig.send()
    assert {row["error_code"] for row in await rig.log(incident)} == {"no_mail_server", "no_provider"}


async def test_nothing_secret_or_personal_stands_in_messages_logs_or_events(rig, capfd):
    await rig.policy(([{"channel_id": await rig.channel(kind)} for kind in KINDS], 300))
    rig.world.fail("slack", (500, {}, b"planted-answer"))
    title = "Login of jane.doe@planted.example with password=planted-hunter2"
    incident = await rig.incident(
        title=title, summary="token AKIAIOSFODNN7EXAMPLE for patient SSN 078-05-1120"
    )
    await rig.send()
    await rig.retry()
    await rig.send()
    told = str([one.body for one in rig.world.taken])
    for planted in ("jane.doe@planted", "planted-hunter2", "AKIAIOSFODNN7EXAMPLE", "078-05-1120"):
        assert planted not in told
    kept = ""
    for table in ("escalation_deliveries", "escalations", "escalation_channels", "events"):
        rows = await rig.rows(f"SELECT t::text FROM {table} t WHERE tenant_id = $1", rig.tenant)
        kept += "".join(row[0] for row in rows)
    printed = capfd.readouterr()
    for secret in (
        "planted-token",
        "planted-routing",
        "planted-slack",
        "planted-sendgrid",
        "planted-answer",
        "whsec_",
    ):
        assert secret not in kept
        assert secret not in printed.out + printed.err
    assert incident


async def test_an_old_process_writes_nothing_after_its_lease(rig):
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    incident = await rig.incident()
    await strike(rig.platform)
    (stale,) = await deliveries.lease(rig.platform.database, rig.tenant, 10, 0.2)
    async with rig.platform.database.raw_system() as connection:
        await connection.execute("UPDATE escalation_deliveries SET due_at = now() - interval '1 second'")
    await rig.send()
    late = deliveries.Result("failed", utcnow(), "late", "late")
    assert not await deliveries.finish(rig.platform.database, stale, late)
    assert [row["state"] for row in await rig.log(incident)] == ["delivered"]
