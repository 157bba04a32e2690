"""What comes back: signatures, age, replays, and that nobody does by a button what their role does not let them."""

import asyncio
import json
import time
from urllib.parse import urlencode

import pytest
from tests.conftest import insert_tenant
from tests.crosswise import somebody_waits
from tests.escalation.conftest import Rig, put_secrets

from fettle.healing.escalation.callbacks import Received, take_pagerduty, take_slack
from fettle.healing.escalation.signing import (
    is_from_slack,
    pagerduty_signature,
    slack_signature,
    standard_webhook_signature,
    webhook_key,
)
from fettle.incidents.service import lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Forbidden, Invalid
from fettle.kernel.ids import new_id

SIGNING = "planted-slack-signing"


def pressed(channel, action, value, member="U0ADA", secret=SIGNING, age=0, **more):
    payload = {
        "type": "block_actions",
        "user": {"id": member},
        "actions": [{"action_id": action, "value": str(value)}],
        **more,
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    timestamp = str(int(time.time()) - age)
    headers = {
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": slack_signature(secret, timestamp, body),
    }
    return Received(channel, headers, body, "127.0.0.1")


async def escalated(rig, kind="slack"):
    channel = await rig.channel(kind)
    await rig.policy(([{"channel_id": channel}], 3600))
    incident = await rig.incident()
    await rig.send()
    return channel, incident


def test_signatures_are_those_of_the_documentation():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    wanted = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert slack_signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == wanted
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    message = b'{"test": 2432232314}'
    signature = standard_webhook_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, message)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_???"])
def test_a_weak_secret_signs_nothing(secret):
    with pytest.raises(ValueError):
        webhook_key(secret)
    assert not is_from_slack("", "1", slack_signature("", "1", b""), b"", utcnow())


async def test_who_presses_take_has_it_and_a_replay_does_nothing(rig):
    ada = await rig.person("Ada", slack="U0ADA")
    channel, incident = await escalated(rig)
    button = pressed(channel, "fettle_take", incident)
    assert "yours now" in await take_slack(rig.platform, button)
    clock = await rig.clock(incident)
    assert (clock["state"], clock["acknowledged_by"]) == ("acknowledged", f"user:{ada}")
    assert "before" in await take_slack(rig.platform, button)
    (audited,) = await rig.rows("SELECT actor FROM audit_records WHERE action = 'incident.acknowledged'")
    assert audited["actor"] == f"user:{ada}"


@pytest.mark.parametrize("change", [{"secret": "other"}, {"age": 301}, {"age": -301}, {"secret": ""}])
async def test_what_is_unsigned_signed_by_another_or_stale_is_refused(rig, change):
    await rig.person("Ada", slack="U0ADA")
    channel, incident = await escalated(rig)
    with pytest.raises(Forbidden):
        await take_slack(rig.platform, pressed(channel, "fettle_take", incident, **change))
    with pytest.raises(Forbidden):
        await take_slack(rig.platform, pressed(new_id(), "fettle_take", incident))
    assert (await rig.clock(incident))["acknowledged_by"] is None


async def test_a_stranger_and_a_viewer_press_in_vain_and_are_told_so(rig):
    await rig.person("Vic", role="viewer", slack="U0VIC")
    channel, incident = await escalated(rig)
    answer = rig.world.url("/slack/planted-token")
    for member in ("U0NOBODY", "U0VIC"):
        await take_slack(rig.platform, pressed(channel, "fettle_take", incident, member, response_url=answer))
    assert (await rig.clock(incident))["acknowledged_by"] is None
    assert rig.world.knocks.count("slack") == 3


async def test_a_button_of_one_tenant_reaches_nothing_of_another(rig, platform):
    other = Rig(rig.platform, rig.world, await insert_tenant(platform.database, "birch-dental"), rig.sender)
    await put_secrets(rig.platform, other.tenant, rig.world)
    await other.person("Mal", role="tenant_admin", slack="U0MAL")
    _, incident = await escalated(rig)
    channel = await other.channel("slack")
    said = await take_slack(rig.platform, pressed(channel, "fettle_take", incident, "U0MAL"))
    assert "There is no incident" in said
    assert (await rig.clock(incident))["acknowledged_by"] is None


@pytest.mark.parametrize("body", [b"", b"payload=1", b"payload=%7B%7D", b"x", b"\xff\xfe"])
async def test_what_no_button_sends_is_refused_as_such(rig, body):
    channel = await rig.channel("slack")
    timestamp = str(int(time.time()))
    headers = {
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": slack_signature(SIGNING, timestamp, body),
    }
    with pytest.raises(Invalid):
        await take_slack(rig.platform, Received(channel, headers, body, None))


def done_there(rig, channel, clock, kind, secret="planted-pagerduty-webhook", agent="user_reference"):
    event = {
        "id": str(new_id()),
        "event_type": kind,
        "resource_type": "incident",
        "agent": {"id": "PADA", "type": agent, "summary": "Ada"},
        "data": {"id": "Q1", "type": "incident", "incident_key": f"fettle-{clock['id']}"},
    }
    body = json.dumps({"event": event}).encode()
    signature = f"v1={'0' * 64},{pagerduty_signature(secret, body)}"
    return Received(channel, {"x-pagerduty-signature": signature}, body, None)


async def test_what_people_do_in_pagerduty_is_followed_and_our_own_echo_is_not(rig):
    channel, incident = await escalated(rig, "pagerduty")
    clock = await rig.clock(incident)
    echo = done_there(rig, channel, clock, "incident.acknowledged", agent="inbound_integration_reference")
    await take_pagerduty(rig.platform, echo)
    assert (await rig.clock(incident))["acknowledged_by"] is None
    with pytest.raises(Forbidden):
        await take_pagerduty(rig.platform, done_there(rig, channel, clock, "incident.acknowledged", "other"))
    there = done_there(rig, channel, clock, "incident.acknowledged")
    assert await take_pagerduty(rig.platform, there) == "Acknowledged."
    assert await take_pagerduty(rig.platform, there) == "It was taken before."
    assert (await rig.clock(incident))["acknowledged_by"] == f"channel:{channel}"


async def test_who_is_known_here_resolves_from_pagerduty(rig):
    await rig.person("Ada", pagerduty="PADA")
    channel, incident = await escalated(rig, "pagerduty")
    there = done_there(rig, channel, await rig.clock(incident), "incident.resolved")
    assert await take_pagerduty(rig.platform, there) == "Resolved."
    (row,) = await rig.rows("SELECT state FROM incidents WHERE id = $1", incident)
    assert row["state"] == "resolved"


async def test_who_may_work_no_incidents_here_acknowledges_there_as_the_channel(rig):
    await rig.person("Ada", pagerduty="PADA", role="viewer")
    channel, incident = await escalated(rig, "pagerduty")
    clock = await rig.clock(incident)
    assert (
        await take_pagerduty(rig.platform, done_there(rig, channel, clock, "incident.resolved"))
        == "Acknowledged."
    )
    assert (await rig.clock(incident))["acknowledged_by"] == f"channel:{channel}"
    (row,) = await rig.rows("SELECT state FROM incidents WHERE id = $1", incident)
    assert row["state"] == "escalated"


async def test_what_is_done_in_pagerduty_waits_for_the_incident_before_it_touches_the_clock(rig):
    channel, incident = await escalated(rig, "pagerduty")
    clock = await rig.clock(incident)
    there = done_there(rig, channel, clock, "incident.acknowledged")
    async with rig.platform.database.tenant(rig.tenant) as session:
        await lock(session, rig.tenant, [incident])
        waiting = asyncio.create_task(take_pagerduty(rig.platform, there))
        connection = await driver(session)
        await somebody_waits(connection, waiting)
        await connection.execute("SELECT FROM escalations WHERE id = $1 FOR UPDATE", clock["id"])
    assert await waiting == "Acknowledged."
