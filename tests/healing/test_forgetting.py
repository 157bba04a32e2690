"""What nobody asks for any more goes by itself, and what somebody still needs stays."""

from datetime import timedelta

import pytest
from tests.conftest import insert_tenant
from tests.flywheel.rows import insert_promotion

from fettle.central.tasks import forget_finished
from fettle.healing.brakes.tasks import forget_old
from fettle.healing.escalation.tasks import forget_old_messages
from fettle.healing.flywheel.forgetting import forget_unmet
from fettle.healing.muting.correlations import forget_unconfirmed
from fettle.healing.tasks import forget_attempts
from fettle.identity.forgetting import forget_expired
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id


@pytest.fixture
async def alder(database):
    return await insert_tenant(database, "alder-clinic")


@pytest.fixture
def rows(database):
    async def ask(query, *arguments):
        async with database.raw_system() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    return ask


def ago(**span):
    return utcnow() - timedelta(**span)


async def test_an_open_breaker_of_a_host_that_is_gone_is_closed_and_told_of(platform, alder, rows):
    for key, state, until, changed in (
        ("gone", "open", ago(days=31), ago(days=31)),
        ("tried-in-vain", "half_open", ago(days=40), ago(days=31)),
        ("asked-lately", "open", ago(days=31), ago(days=5)),
        ("long-to-wait", "open", ago(days=5), ago(days=90)),
        ("by-a-person", "open", None, ago(days=900)),
        ("closed", "closed", None, ago(days=9)),
    ):
        await rows(
            "INSERT INTO circuit_breakers (tenant_id, kind, key, state, open_until, changed_at) "
            "VALUES ($1, 'host', $2, $3, $4, $5)",
            alder, key, state, until, changed,
        )  # fmt: skip
    await forget_old(platform)
    left = await rows("SELECT key FROM circuit_breakers WHERE tenant_id = $1 ORDER BY key", alder)
    assert [row["key"] for row in left] == ["asked-lately", "by-a-person", "long-to-wait"]
    told = await rows(
        "SELECT data ->> 'key' AS key FROM events WHERE tenant_id = $1 AND type = 'breaker.closed' ORDER BY 1",
        alder,
    )
    assert [row["key"] for row in told] == ["gone", "tried-in-vain"]
    await forget_old(platform)
    assert len(await rows("SELECT 1 FROM events WHERE tenant_id = $1", alder)) == 2


async def test_patterns_go_when_the_tenants_policy_says_so_but_not_what_a_rule_stands_on(
    platform, database, alder, rows
):
    birch = await insert_tenant(database, "birch-dental")
    await rows(
        "INSERT INTO policy_packs (tenant_id, version, content, changed_by) "
        "VALUES ($1, 1, '{\"retention\": {\"patterns_days\": 30}}', 't')",
        birch,
    )
    for tenant in (alder, birch):
        for pattern, met in (
            ("old", ago(days=401)),
            ("older-than-a-month", ago(days=31)),
            ("new", ago(days=1)),
        ):
            await rows(
                "INSERT INTO pattern_stats (tenant_id, pattern, check_type, total, l1, l2, l3, succeeded, failed, "
                "seconds, last_incident_id, first_at, last_at) "
                "VALUES ($1, $2, 'x', 1, 0, 1, 0, 1, 0, '{}', $3, $4, $4)",
                tenant, pattern, new_id(), met,
            )  # fmt: skip
            await rows(
                "INSERT INTO pattern_choices (tenant_id, pattern, choice, last_incident_id, last_at) "
                "VALUES ($1, $2, 'runbook:RB-X', $3, $4)",
                tenant, pattern, new_id(), met,
            )  # fmt: skip
            await rows(
                "INSERT INTO plan_memories (tenant_id, pattern, choice, gist, last_at) "
                "VALUES ($1, $2, 'runbook:RB-X', 'x', $3)",
                tenant, pattern, met,
            )  # fmt: skip
    for state in ("full", "retired"):
        await insert_promotion(database, alder, state, state)
    await rows(
        "UPDATE pattern_choices SET last_at = $2 WHERE tenant_id = $1 AND pattern LIKE 'v1:%'",
        alder,
        ago(days=999),
    )
    await forget_unmet(platform)

    async def left(table, tenant):
        found = await rows(f"SELECT pattern FROM {table} WHERE tenant_id = $1 ORDER BY last_at", tenant)
        return [row["pattern"].split(":linux")[0] for row in found]

    for table in ("pattern_stats", "plan_memories"):
        assert await left(table, alder) == ["older-than-a-month", "new"]
        assert await left(table, birch) == ["new"]
    assert await left("pattern_choices", alder) == ["v1:full", "older-than-a-month", "new"]
    assert await left("pattern_choices", birch) == ["new"]


async def test_attempts_go_a_month_after_their_incident_was_closed(platform, alder, rows):
    for number, (state, closed) in enumerate(
        (("closed", ago(days=31)), ("closed", ago(days=1)), ("escalated", None))
    ):
        incident = new_id()
        await rows(
            "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, "
            "details, occurrences, opened_at, last_seen_at, version, closed_at) "
            "VALUES ($1, $2, $3, 'x', $4, 'low', 'x', "
            "$5, '{}', '{}', 1, now(), now(), 1, $6)",
            incident, alder, number, state, str(incident), closed,
        )  # fmt: skip
        await rows(
            "INSERT INTO rule_attempts (tenant_id, incident_id, rule_id, failed, last_at) VALUES ($1, $2, $3, 1, $4)",
            alder, incident, f"R-{number}", ago(days=60),
        )  # fmt: skip
    await forget_attempts(platform)
    left = await rows("SELECT rule_id FROM rule_attempts WHERE tenant_id = $1 ORDER BY 1", alder)
    assert [row["rule_id"] for row in left] == ["R-1", "R-2"]


async def test_clocks_go_with_the_one_that_leads_them(platform, alder, rows):
    lead, done = new_id(), new_id()
    for clock, state, storm, ended in (
        (lead, "active", None, None),
        (new_id(), "resolved", lead, ago(days=500)),
        (done, "resolved", None, ago(days=500)),
        (new_id(), "resolved", done, ago(days=500)),
        (new_id(), "resolved", None, ago(days=9)),
    ):
        await rows(
            "INSERT INTO escalations (id, tenant_id, incident_id, policy_id, policy, state, severity, reason, "
            "storm_id, ended_at) VALUES ($1, $2, $3, $3, '{}', $4, 'high', 'x', $5, $6)",
            clock, alder, new_id(), state, storm, ended,
        )  # fmt: skip
    await forget_old_messages(platform)
    left = await rows(
        "SELECT id, storm_id, ended_at FROM escalations WHERE tenant_id = $1 ORDER BY id", alder
    )
    assert len(left) == 3
    assert done not in {row["id"] for row in left}


async def test_what_only_seemed_to_belong_together_goes_with_its_members(platform, alder, rows):
    kept = set()
    for state, last in (("candidate", 31), ("dismissed", 31), ("confirmed", 31), ("candidate", 1)):
        one = new_id()
        if state == "confirmed" or last == 1:
            kept.add(one)
        await rows(
            "INSERT INTO correlations (id, tenant_id, rule_id, key, title, state, last_at) "
            "VALUES ($1, $2, 'R', $3, 'x', $4, $5)",
            one, alder, str(one), state, ago(days=last),
        )  # fmt: skip
        await rows(
            "INSERT INTO correlation_members (tenant_id, correlation_id, incident_id) VALUES ($1, $2, $3)",
            alder, one, new_id(),
        )  # fmt: skip
    await forget_unconfirmed(platform)
    assert {
        row["id"] for row in await rows("SELECT id FROM correlations WHERE tenant_id = $1", alder)
    } == kept
    members = await rows("SELECT correlation_id FROM correlation_members WHERE tenant_id = $1", alder)
    assert {row["correlation_id"] for row in members} == kept


async def test_finished_jobs_dead_readers_and_used_invitations_go(platform, alder, rows):
    for number, finished in enumerate((ago(days=31), ago(days=1), None)):
        await rows(
            "INSERT INTO jobs (id, tenant_id, name, arguments, state, finished_at) VALUES ($1, $2, $3, '{}', $4, $5)",
            new_id(), alder, f"job-{number}", "succeeded" if finished else "queued", finished,
        )  # fmt: skip
    for group, seen in (("gone", ago(days=2)), ("there", ago(hours=1))):
        await rows("INSERT INTO consumer_members VALUES ($1, $2, $3)", f"test-{group}", new_id(), seen)
    for number, accepted in enumerate((ago(days=91), ago(days=1), None)):
        await rows(
            "INSERT INTO invitations (id, tenant_id, email, role, invited_by, expires_at, accepted_at) "
            "VALUES ($1, $2, $3, 'viewer', 't', $4, $5)",
            new_id(), alder, f"{number}@example.org", ago(days=1), accepted,
        )  # fmt: skip
    await forget_finished(platform)
    await forget_expired(platform)
    jobs = await rows("SELECT name FROM jobs WHERE tenant_id = $1 ORDER BY 1", alder)
    assert [row["name"] for row in jobs] == ["job-1", "job-2"]
    groups = await rows("SELECT consumer_group FROM consumer_members WHERE consumer_group LIKE 'test-%'")
    assert [row["consumer_group"] for row in groups] == ["test-there"]
    invitations = await rows("SELECT email FROM invitations WHERE tenant_id = $1 ORDER BY 1", alder)
    assert [row["email"] for row in invitations] == ["1@example.org", "2@example.org"]
