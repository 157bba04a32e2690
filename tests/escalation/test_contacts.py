"""The contacts of the Policy Pack: told where no escalation policy fits, after their delay, each in its own order."""

import json
from datetime import timedelta

import pytest_asyncio
from pydantic import SecretStr
from tests.escalation.conftest import WEBHOOK_SECRET, over
from tests.mail_box import mail_server

from fettle.healing.escalation.contacts import SECRET
from fettle.healing.escalation.sending import Sender
from fettle.kernel.clock import utcnow
from fettle.tools.vault import bound_to, box


@pytest_asyncio.fixture
async def mailed(rig, tmp_path):
    """A rig whose installation has a mail server, and a tenant with the secret of its contacts."""
    async with mail_server(tmp_path) as mails:
        settings = rig.platform.settings.model_copy(update={"smtp_url": SecretStr(mails.url())})
        rig.platform = over(
            type(rig.platform)(settings, rig.platform.database, rig.platform.redis), rig.world
        )
        rig.sender = Sender(rig.platform)
        await rig.rows(
            "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES ($1, $2, $3, 't')",
            rig.tenant,
            SECRET,
            box(rig.platform).encrypt(WEBHOOK_SECRET.encode(), bound_to(rig.tenant, SECRET)),
        )
        yield rig, mails


async def policy_pack(rig, *contacts):
    await rig.rows(
        "INSERT INTO policy_packs (tenant_id, version, content, changed_by) VALUES ($1, 1, $2, 't')",
        rig.tenant,
        json.dumps({"autonomy": "act", "escalation_contacts": list(contacts)}),
    )


async def test_contacts_are_told_one_after_the_other_and_that_it_is_over(mailed):
    rig, mails = mailed
    await policy_pack(
        rig,
        {"name": "Ops", "channel": "email", "address": "ops@example.org", "after_seconds": 30},
        {"name": "Desk", "channel": "webhook", "address": rig.world.url("/webhook"), "after_seconds": 600},
        {"name": "Screen", "channel": "console"},
        {"name": "Boss", "channel": "email", "address": "boss@example.org", "severities": ["critical"]},
    )
    before = utcnow()
    incident = await rig.incident()
    clock = await rig.clock(incident)
    assert before <= clock["due_at"] - timedelta(seconds=30) <= utcnow()
    await rig.send()
    assert mails.mails == []
    before = utcnow()
    await rig.hurry()
    await rig.send()
    assert [mail["To"] for mail in mails.mails] == ["ops@example.org"]
    assert rig.world.of("webhook") == []
    clock = await rig.clock(incident)
    assert before <= clock["due_at"] - timedelta(seconds=570) <= utcnow()
    await rig.hurry()
    await rig.send()
    assert [one["type"] for one in rig.world.of("webhook")] == ["escalation.firing"]
    await rig.resolve(incident)
    await rig.send()
    assert [one["type"] for one in rig.world.of("webhook")][1:] == ["escalation.resolved"]
    assert "Resolved" in mails.mails[-1]["Subject"]
    assert [row["state"] for row in await rig.log(incident)] == ["delivered"] * 4


async def test_a_policy_that_fits_holds_alone(mailed):
    rig, mails = mailed
    await policy_pack(rig, {"name": "Ops", "channel": "email", "address": "ops@example.org"})
    await rig.policy(([{"channel_id": await rig.channel("slack")}], 60))
    await rig.incident()
    await rig.send()
    assert len(rig.world.of("slack")) == 1
    assert mails.mails == []


async def test_a_webhook_without_the_tenants_secret_says_what_it_lacks_and_the_next_one_does_not_wait(mailed):
    rig, mails = mailed
    await rig.rows("DELETE FROM tenant_secrets WHERE tenant_id = $1 AND name = $2", rig.tenant, SECRET)
    await policy_pack(
        rig,
        {"name": "Desk", "channel": "webhook", "address": rig.world.url("/webhook")},
        {"name": "Ops", "channel": "email", "address": "ops@example.org", "after_seconds": 86_400},
    )
    incident = await rig.incident()
    await rig.send()
    assert [(row["state"], row["error_code"]) for row in await rig.log(incident)] == [
        ("failed", "no_secret"),
        ("delivered", None),
    ]
    assert len(mails.mails) == 1
