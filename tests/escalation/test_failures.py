"""Every channel against a receiver that is busy, broken, slow, cut off or too talkative, or dies in the middle."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.escalation.conftest import Rig, over
from tests.escalation.world import World
from tests.mail_box import mail_server

from fettle.healing.escalation import channels_http
from fettle.healing.escalation.channels import SMS_PART, DeliveryFailed
from fettle.healing.escalation.sending import Sender
from fettle.kernel.clock import utcnow
from fettle.kernel.platform import Platform

HTTP = ["slack", "teams", "pagerduty", "sendgrid", "webhook"]
FAILURES = {
    "busy": (429, {"Retry-After": "120"}, b""),
    "broken": (500, {}, b"planted-answer"),
    "gateway": (502, {}, b""),
    "away": (503, {"Retry-After": "120"}, b""),
    "reset": "reset",
    "oversize": (200, {}, b"x" * 70_000),
}


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("failure", ["busy", "broken", "gateway", "away", "reset"])
async def test_a_message_survives_its_receivers_failure_and_what_follows_waits_for_it(rig, kind, failure):
    await rig.policy(([{"channel_id": await rig.channel(kind)}], 3600))
    rig.world.fail(kind, FAILURES[failure])
    before = utcnow()
    incident = await rig.incident()
    await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["attempts"]) == ("queued", 1)
    waits = 119 if failure in {"busy", "away"} else 4
    assert row["due_at"] - before > timedelta(seconds=waits)
    ada = await rig.person("Ada")
    # Somebody takes it: whoever may have been told hears so, after the message itself or instead of it.
    await rig.happen(incident, "incident.assigned", data={"assignee": str(ada)}, actor=f"user:{ada}")
    await rig.retry()
    await rig.send()
    kinds = [row["kind"] for row in await rig.log(incident) if row["state"] == "delivered"]
    told = failure in {"broken", "gateway", "reset"}
    assert kinds == (["acknowledged"] if told else [])
    history = await rig.rows(
        "SELECT history, error FROM escalation_deliveries WHERE incident_id = $1", incident
    )
    assert len(history[0]["history"]) == 1
    assert "planted" not in str([dict(one) for one in history])


@pytest.mark.parametrize("kind", HTTP)
async def test_an_answer_without_end_is_cut_and_the_message_is_not_sent_over_and_over(rig, kind):
    await rig.policy(([{"channel_id": await rig.channel(kind)}], 3600))
    rig.world.fail(kind, FAILURES["oversize"])
    incident = await rig.incident()
    await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["error_code"], row["may_have_arrived"]) == ("failed", "too_large", True)


@pytest.mark.parametrize("kind", HTTP)
async def test_a_receiver_that_does_not_answer_is_given_up_in_time_and_asked_again(rig, kind, monkeypatch):
    await rig.policy(([{"channel_id": await rig.channel(kind)}], 3600))
    rig.world.fail(kind, "slow")
    incident = await rig.incident()
    with monkeypatch.context() as impatient:
        impatient.setattr(channels_http, "SECONDS", 1)
        await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["may_have_arrived"]) == ("queued", True)
    await rig.retry()
    await rig.send()
    assert [row["state"] for row in await rig.log(incident)] == ["delivered"]


async def test_a_time_to_come_back_may_be_a_date(rig):
    await rig.policy(([{"channel_id": await rig.channel("slack")}], 3600))
    date = format_datetime(utcnow() + timedelta(seconds=300), usegmt=False)
    rig.world.fail("slack", (429, {"Retry-After": date}, b""))
    incident = await rig.incident()
    await rig.send()
    (row,) = await rig.log(incident)
    assert timedelta(seconds=200) < row["due_at"] - utcnow() <= timedelta(seconds=300)


LONG = "x" * 900 + " <!channel> & " + "é" * 3_000


@pytest.mark.parametrize("kind", HTTP)
async def test_the_longest_words_stay_within_each_receivers_limits(rig, kind):
    """The receivers of `World` refuse what the real ones refuse: too long a header, section, summary or card."""
    await rig.policy(([{"channel_id": await rig.channel(kind)}], 3600))
    incident = await rig.incident(LONG, summary=LONG)
    await rig.send()
    (row,) = await rig.log(incident)
    assert (row["state"], row["error"]) == ("delivered", None)
    assert "<!channel>" not in str(rig.world.of("slack"))


async def test_a_receiver_killed_in_the_middle_loses_nothing_and_keeps_the_order_of_each_incident(rig):
    """Its port is closed with messages in flight; another one opens there later."""
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    incidents = [await rig.incident(f"Host {number} is away") for number in range(12)]
    rig.world.fail("webhook", *["reset"] * 6)
    await rig.send()
    for incident in incidents[::2]:
        await rig.resolve(incident)
    port = rig.world.port
    rig.world.next.clear()
    rig.world.fail("webhook", *["reset"] * 9)
    await rig.retry()
    await rig.send()
    rig.world.next.clear()
    for _ in range(3):
        await rig.retry()
        await rig.send()
    assert rig.world.port == port
    by_incident = {}
    for body in rig.world.of("webhook"):
        by_incident.setdefault(body["data"]["incident"]["id"], []).append(body["type"])
    for number, incident in enumerate(incidents):
        told = by_incident.get(str(incident), [])
        if number % 2:
            assert told == ["escalation.firing"]
        else:
            # It is over; where the first message never went or may have been lost, its end is told alone.
            assert told in (["escalation.firing", "escalation.resolved"], ["escalation.resolved"], [])
    states = await rig.rows(
        "SELECT DISTINCT state FROM escalation_deliveries WHERE tenant_id = $1", rig.tenant
    )
    assert {row["state"] for row in states} <= {"delivered", "skipped", "failed"}


@dataclass
class Provider:
    """A provider of text messages as an installation plugs one in; it knows a repeated message by its key."""

    answers: list = field(default_factory=list)
    sent: dict = field(default_factory=dict)

    async def send(self, *, number, text, idempotency_key):
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.sent[idempotency_key] = (number, text)
        return f"sms-{len(self.sent)}"


@pytest_asyncio.fixture
async def texted(rig):
    provider = Provider()
    rig.platform.parts[SMS_PART] = provider
    return rig, provider


async def test_text_messages_leave_by_the_provider_that_is_plugged_in(texted):
    rig, provider = texted
    ada = await rig.person("Ada", phone="+4917012345")
    channel = await rig.channel("sms")
    await rig.policy(([{"channel_id": channel, "user_id": ada}, {"channel_id": channel}], 3600))
    provider.answers = [
        DeliveryFailed("http_429", "busy", again=True, retry_after_seconds=60),
        RuntimeError("planted-provider-secret"),
    ]
    incident = await rig.incident(LONG)
    await rig.send()
    assert {row["state"] for row in await rig.log(incident)} == {"queued"}
    await rig.retry()
    await rig.send()
    assert {number for number, _ in provider.sent.values()} == {"+4917012345", "+4930123456"}
    assert all(len(text) <= 480 for _, text in provider.sent.values())
    assert "planted" not in str([dict(row) for row in await rig.log(incident)])


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("tests.escalation.texting:Plugged", None),
        ("tests.escalation.texting:Missing", "no_provider"),
        (None, "no_provider"),
    ],
)
async def test_an_installation_names_its_provider_of_text_messages(rig, named, code):
    settings = rig.platform.settings.model_copy(update={"sms_provider": named})
    rig.platform = over(Platform(settings, rig.platform.database, rig.platform.redis), rig.world)
    rig.sender = Sender(rig.platform)
    channel = await rig.channel("sms")
    await rig.policy(([{"channel_id": channel}], 3600))
    incident = await rig.incident()
    await rig.send()
    [row] = await rig.log(incident)
    assert (row["error"] is None, row["state"] == "delivered") == (code is None, code is None), dict(row)
    if code is not None:
        assert "FETTLE_SMS_PROVIDER" in row["error"]


@pytest_asyncio.fixture
async def mailed(platform, tmp_path, rig):
    async with mail_server(tmp_path) as mails:
        settings = platform.settings.model_copy(update={"smtp_url": SecretStr(mails.url())})
        rig.platform = over(Platform(settings, platform.database, platform.redis), rig.world)
        rig.sender = Sender(rig.platform)
        yield rig, mails


async def test_mail_goes_encrypted_with_a_message_id_that_stays_and_is_tried_again(mailed):
    rig, mails = mailed
    ada = await rig.person("Ada")
    channel = await rig.channel("email")
    await rig.policy(([{"channel_id": channel, "user_id": ada}, {"channel_id": channel}], 3600))
    mails.refuse = "451 4.3.0 Later"
    incident = await rig.incident("Firewall\r\nBcc: evil@example.org is off")
    await rig.send()
    assert {(row["state"], row["error_code"]) for row in await rig.log(incident)} == {("queued", "mail")}
    mails.refuse = None
    await rig.retry()
    await rig.send()
    assert {row["state"] for row in await rig.log(incident)} == {"delivered"}
    assert all(cipher is not None for cipher in mails.ciphers)
    ids = await rig.rows("SELECT id FROM escalation_deliveries WHERE incident_id = $1", incident)
    assert {mail["Message-ID"] for mail in mails.mails} == {f"<{row['id']}.0@fettle>" for row in ids}
    assert all(mail["Bcc"] is None and "\n" not in mail["Subject"] for mail in mails.mails)
    mails.refuse = "550 5.1.1 Nobody here"
    await rig.resolve(incident)
    await rig.send()
    assert [row["state"] for row in await rig.log(incident) if row["kind"] == "resolved"] == ["failed"] * 2


SECRETS = {
    "title": "Login of jane.doe@planted.example with password=planted-hunter2",
    "summary": "token AKIAIOSFODNN7EXAMPLE for patient SSN 078-05-1120",
}
PLANTED = ("jane.doe@planted", "planted-hunter2", "AKIAIOSFODNN7EXAMPLE", "078-05-1120")


async def test_nothing_that_was_redacted_leaves_by_any_channel_in_any_of_its_parts(mailed, monkeypatch):
    rig, mails = mailed
    provider = rig.platform.parts[SMS_PART] = Provider()
    planted = f"{SECRETS['title']} {SECRETS['summary']}"
    kinds = [*HTTP, "email", "sms"]
    await rig.policy(([{"channel_id": await rig.channel(kind)} for kind in kinds], 300))
    incident = await rig.incident(**SECRETS)
    plan = {
        "level": "L2",
        "reasoning": planted,
        "confidence": 0.6,
        "plan": {"playbook": {"id": "PB-FIREWALL", "title": planted}},
    }
    await rig.happen(incident, "plan.proposed", data=plan)
    await rig.rows(
        "INSERT INTO playbook_runs (id, tenant_id, incident_id, playbook_id, playbook_version, definition_hash, "
        "parameters, incident, state, outcome, reason) VALUES ($1, $2, $1, 'PB-FIREWALL', 1, 'x', '{}', '{}', "
        "'finished', 'failed', $3)",
        incident,
        rig.tenant,
        planted,
    )
    await rig.rows(
        "INSERT INTO approvals (id, tenant_id, incident_id, kind, plan, plan_hash, reason, approvers, expires_at) "
        "VALUES (gen_random_uuid(), $1, $2, 'approval', $3, 'planhash', 'x', '{operator}', now() + interval '1 hour')",
        rig.tenant,
        incident,
        '{"playbook": {"title": "' + planted + '"}}',
    )
    await rig.send()
    log = await rig.log(incident)
    assert {row["channel_kind"] for row in log if row["state"] == "delivered"} == set(kinds)
    told = {kind: str(rig.world.of(kind)) for kind in HTTP}
    told["email"] = "".join(
        part.get_content() for mail in mails.mails for part in mail.walk() if not part.is_multipart()
    )
    told["email"] += "".join(mail["Subject"] for mail in mails.mails)
    told["sms"] = str(provider.sent)
    kept = await rig.rows("SELECT said FROM escalation_deliveries WHERE incident_id = $1", incident)
    told["log"] = "".join(row["said"] for row in kept)
    for kind, text in told.items():
        for one in PLANTED:
            assert one not in text, (kind, one)
    for kind in ("slack", "teams", "email", "pagerduty", "log"):
        for word in ("firewall_status", "PB-FIREWALL failed", "60%", "Take it"):
            assert word in told[kind].replace("\\\\", "").replace("\\", ""), (kind, word)
    assert "planhash" in told["slack"]


async def test_a_clock_that_cannot_be_read_keeps_no_other_tenant_from_being_told(rig, platform, other_tenant):
    other = Rig(rig.platform, rig.world, other_tenant, rig.sender)
    for one in (rig, other):
        await one.policy(([{"channel_id": await one.channel("webhook")}], 60))
    mine = await rig.incident("Mine")
    await other.incident("Theirs")
    await rig.rows("UPDATE escalations SET policy = '{}' WHERE tenant_id = $1", other_tenant)
    await rig.send()
    assert [body["data"]["incident"]["id"] for body in rig.world.of("webhook")] == [str(mine)]


async def test_two_tenants_messages_never_meet(rig, platform, other_tenant):
    async with World(webhook_secret=rig.world.webhook_secret).open() as elsewhere:
        # Either sender may lease either tenant's messages.
        both = over(platform, rig.world, elsewhere)
        rig.sender, other = Sender(both), Rig(both, elsewhere, other_tenant, Sender(both))
        await rig.policy(([{"channel_id": await rig.channel("webhook")}], 60))
        mine = await rig.incident("Mine")
        await other.incident("Theirs")
        await asyncio.gather(rig.send(), other.send())
        assert [body["data"]["incident"]["id"] for body in rig.world.of("webhook")] == [str(mine)]
        assert elsewhere.knocks == []
