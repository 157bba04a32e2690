"""The clocks of escalations: opened, stopped, set going again and ended, in the transaction of whoever says so.

A storm is one row that leads and others that are grouped below it. The one that leads tells for all, and ends
when the last of them has ended.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.escalation.contacts import contacts_id, policy_of_contacts
from fettle.healing.escalation.documents import policy_of
from fettle.healing.escalation.policies import Policy, chosen, due, is_storm, quiet_until
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

_POLICIES: Final = """
SELECT id, document FROM escalation_policies WHERE tenant_id = $1 AND enabled ORDER BY position, id
"""
_INSERT: Final = """
INSERT INTO escalations (id, tenant_id, incident_id, policy_id, policy, state, severity, reason, storm_id, due_at,
                         opened_at)
SELECT n.id, $1, n.incident_id, n.policy_id, n.policy::jsonb, n.state, n.severity, n.reason, n.storm_id, n.due_at, $10
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[],
            $11::timestamptz[])
  AS n(id, incident_id, policy_id, policy, state, severity, reason, storm_id, due_at)
ON CONFLICT (tenant_id, incident_id) WHERE state <> 'resolved' DO UPDATE SET
  settled = false, reason = excluded.reason, severity = excluded.severity,
  state = CASE WHEN escalations.state IN ('acknowledged', 'exhausted') THEN 'active' ELSE escalations.state END,
  position = CASE WHEN escalations.state IN ('acknowledged', 'exhausted') THEN 0 ELSE escalations.position END,
  due_at = CASE WHEN escalations.state IN ('acknowledged', 'exhausted') THEN $10 ELSE escalations.due_at END,
  acknowledged_by = CASE WHEN escalations.state = 'acknowledged' THEN NULL ELSE escalations.acknowledged_by END,
  acknowledged_at = CASE WHEN escalations.state = 'acknowledged' THEN NULL ELSE escalations.acknowledged_at END
RETURNING id
"""
_JOIN: Final = """
UPDATE escalations SET members = members + $3,
  update_at = CASE WHEN state = 'active' THEN coalesce(update_at, $4) ELSE update_at END
WHERE tenant_id = $1 AND id = $2
"""
# Whoever waits for a lock here waits for rows in the same order as everybody.
_OPEN: Final = """
SELECT id, incident_id, state, storm_id FROM escalations
WHERE tenant_id = $1 AND incident_id = ANY($2) AND state <> 'resolved' ORDER BY id FOR UPDATE
"""
# Who ends the last of a storm ends what leads it, so of two who end one each at once the second sees the first.
_ENDING: Final = """
SELECT id, incident_id, state, storm_id FROM escalations
WHERE tenant_id = $1 AND state <> 'resolved' AND id IN (
  SELECT id FROM escalations WHERE tenant_id = $1 AND incident_id = ANY($2) AND state <> 'resolved'
  UNION SELECT storm_id FROM escalations WHERE tenant_id = $1 AND incident_id = ANY($2) AND state <> 'resolved')
ORDER BY id FOR UPDATE
"""
_LEADERS_OVER: Final = """
SELECT l.id FROM escalations l
WHERE l.tenant_id = $1 AND l.id = ANY($2) AND l.settled AND l.state <> 'resolved'
  AND NOT EXISTS (SELECT FROM escalations m WHERE m.tenant_id = $1 AND m.storm_id = l.id AND m.id <> l.id
                  AND m.state = 'grouped')
ORDER BY l.id FOR UPDATE
"""
_DROP_UNSENT: Final = """
UPDATE escalation_deliveries SET state = CASE WHEN may_have_arrived THEN 'failed' ELSE 'skipped' END,
  ended_at = now(), error_code = 'over', error = 'it was over before the message could go'
WHERE tenant_id = $1 AND escalation_id = ANY($2) AND kind = 'firing' AND state = 'queued'
"""
_DROP_TAKEN: Final = """
UPDATE escalation_deliveries SET state = 'skipped', ended_at = now(), error_code = 'over',
  error = 'it was taken back before the message could go'
WHERE tenant_id = $1 AND escalation_id = $2 AND kind = 'acknowledged' AND state = 'queued' AND NOT may_have_arrived
"""
# Of a lane whose message is on its way it is decided when that has ended.
_FOLLOW_UP: Final = """
INSERT INTO escalation_deliveries (id, tenant_id, escalation_id, incident_id, channel_id, channel_kind, recipient,
                                   lane, kind)
SELECT gen_random_uuid(), $1, d.escalation_id, d.incident_id, d.channel_id, d.channel_kind, d.recipient, d.lane, $3
FROM (
  SELECT DISTINCT ON (escalation_id, lane) escalation_id, incident_id, channel_id, channel_kind, recipient, lane,
         position
  FROM escalation_deliveries
  WHERE tenant_id = $1 AND escalation_id = ANY($2) AND kind = 'firing'
    AND (state IN ('sending', 'delivered') OR may_have_arrived)
  ORDER BY escalation_id, lane, position
) d ORDER BY d.position
"""

_STRIKE_NOW: Final = """
UPDATE escalations SET due_at = CASE WHEN due_at IS NOT NULL THEN least(due_at, $2) END,
  update_at = CASE WHEN update_at IS NOT NULL THEN least(update_at, $2) END
WHERE tenant_id = $1 AND paused AND (due_at IS NOT NULL OR update_at IS NOT NULL)
"""
_SEND_NOW: Final = """
UPDATE escalation_deliveries SET due_at = least(due_at, $2)
WHERE tenant_id = $1 AND state = 'queued' AND error_code = 'muted'
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """An incident that a person must look at.

    Attributes:
        reason: Why, as the event says.
    """

    incident_id: UUID
    severity: str
    check_type: str
    site: str | None
    reason: str


async def open_all(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    wanted: Sequence[Opening],
    now: datetime,
    contacts: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Set the clock of incidents going by the tenant's policies, else by its contacts; without any, do nothing.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        wanted: The incidents.
        now: The present.
        contacts: Whom the Policy Pack names, for incidents that no policy fits.

    Returns:
        How many clocks were touched.
    """
    stored = await connection.fetch(_POLICIES, tenant_id)
    if not (stored or contacts) or not wanted:
        return 0
    documents: dict[UUID, Mapping[str, Any]] = {row["id"]: row["document"] for row in stored}
    policies = {policy_id: policy_of(document) for policy_id, document in documents.items()}
    by_policy: dict[UUID, list[Opening]] = defaultdict(list)
    for one in wanted:
        policy_id = chosen(policies.items(), severity=one.severity, check_type=one.check_type, site=one.site)
        if policy_id is None and (document := policy_of_contacts(contacts, one.severity)) is not None:
            policy_id = contacts_id(one.severity)
            documents[policy_id] = document
            policies[policy_id] = policy_of(document)
        if policy_id is not None:
            by_policy[policy_id].append(one)
    touched = 0
    for policy_id, openings in sorted(by_policy.items()):
        # Of two batches at once, one counts the other's.
        await hold_lock(connection, "escalation_policy", tenant_id, policy_id)
        touched += await _open_under(
            connection, tenant_id, (policy_id, documents[policy_id], policies[policy_id]), openings, now
        )
    return touched


async def settle(connection: asyncpg.Connection, tenant_id: UUID, incident_ids: Collection[UUID]) -> None:
    """End the clocks of incidents that are over; who was told that they fire is told that they do not."""
    wanted = set(incident_ids)
    locked = await connection.fetch(_ENDING, tenant_id, list(wanted))
    rows = [row for row in locked if row["incident_id"] in wanted]
    leaders = [row["id"] for row in rows if row["storm_id"] == row["id"]]
    ended = [row["id"] for row in rows if row["storm_id"] != row["id"]]
    if leaders:
        await connection.execute(
            "UPDATE escalations SET settled = true WHERE tenant_id = $1 AND id = ANY($2)", tenant_id, leaders
        )
    await _end(connection, tenant_id, ended)
    touched = {row["storm_id"] for row in rows if row["storm_id"] is not None}
    if touched:
        over = await connection.fetch(_LEADERS_OVER, tenant_id, list(touched))
        await _end(connection, tenant_id, [row["id"] for row in over])


async def stop(
    connection: asyncpg.Connection, tenant_id: UUID, incident_id: UUID, *, by: str, now: datetime
) -> bool:
    """Stop the clock: somebody has it in hand. Of a storm the one clock is stopped.

    Returns:
        Whether there was one to stop.
    """
    row = await find_open(connection, tenant_id, incident_id)
    if row is None or row["state"] == "acknowledged":
        return False
    await connection.execute(
        "UPDATE escalations SET state = 'acknowledged', due_at = NULL, update_at = NULL, handed_to = NULL, "
        "acknowledged_by = $3, acknowledged_at = $4 WHERE tenant_id = $1 AND id = $2",
        tenant_id, row["id"], by, now,
    )  # fmt: skip
    await connection.execute(_DROP_UNSENT, tenant_id, [row["id"]])
    await connection.execute(_FOLLOW_UP, tenant_id, [row["id"]], "acknowledged")
    return True


async def go_on(connection: asyncpg.Connection, tenant_id: UUID, incident_id: UUID, *, now: datetime) -> bool:
    """Take back that somebody has it in hand: the next step is due after the wait of the one that was told last.

    Returns:
        Whether there was an acknowledgement to take back.
    """
    row = await find_open(connection, tenant_id, incident_id)
    if row is None or row["state"] != "acknowledged":
        return False
    policy = policy_of(row["policy"])
    is_told = due(policy, row["position"]) is None
    last = due(policy, max(0, row["position"] - 1))
    wait = last.wait_seconds if last is not None and row["position"] else 0
    await connection.execute(
        "UPDATE escalations SET state = $3, due_at = $4, acknowledged_by = NULL, acknowledged_at = NULL "
        "WHERE tenant_id = $1 AND id = $2",
        tenant_id, row["id"], "exhausted" if is_told else "active",
        None if is_told else now + timedelta(seconds=wait),
    )  # fmt: skip
    await connection.execute(_DROP_TAKEN, tenant_id, row["id"])
    return True


async def hand_over(
    connection: asyncpg.Connection, tenant_id: UUID, incident_id: UUID, *, to: UUID, now: datetime
) -> bool:
    """Tell another person, and let the clock go on from where it was unless they acknowledge.

    Returns:
        Whether there is a clock.
    """
    row = await find_open(connection, tenant_id, incident_id)
    if row is None:
        return False
    await connection.execute(
        "UPDATE escalations SET state = 'active', due_at = $4, handed_to = $3, acknowledged_by = NULL, "
        "acknowledged_at = NULL WHERE tenant_id = $1 AND id = $2",
        tenant_id, row["id"], to, now,
    )  # fmt: skip
    return True


async def look_again(connection: asyncpg.Connection, tenant_id: UUID, now: datetime) -> None:
    """Let clocks and messages that stand still because of what is muted look now whether it still is."""
    await connection.execute(_STRIKE_NOW, tenant_id, now)
    await connection.execute(_SEND_NOW, tenant_id, now)


async def find_open(
    connection: asyncpg.Connection, tenant_id: UUID, incident_id: UUID
) -> asyncpg.Record | None:
    """Return and lock the clock that tells of an incident: its own, or that of its storm."""
    row = await connection.fetchrow(
        "SELECT id, storm_id FROM escalations WHERE tenant_id = $1 AND incident_id = $2 AND state <> 'resolved'",
        tenant_id, incident_id,
    )  # fmt: skip
    if row is None:
        return None
    return await connection.fetchrow(
        "SELECT * FROM escalations WHERE tenant_id = $1 AND id = $2 AND state <> 'resolved' FOR UPDATE",
        tenant_id, row["storm_id"] or row["id"],
    )  # fmt: skip


async def _open_under(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    chosen_policy: tuple[UUID, Mapping[str, Any], Policy],
    openings: Sequence[Opening],
    now: datetime,
) -> int:
    policy_id, document, policy = chosen_policy
    storm = policy.storm
    known = {
        row["incident_id"]
        for row in await connection.fetch(_OPEN, tenant_id, [opening.incident_id for opening in openings])
    }
    recent = await connection.fetch(
        "SELECT opened_at FROM escalations WHERE tenant_id = $1 AND policy_id = $2 AND opened_at > $3 "
        "ORDER BY opened_at DESC LIMIT $4",
        tenant_id, policy_id, now - timedelta(seconds=storm.window_seconds), storm.threshold,
    )  # fmt: skip
    opened = [row["opened_at"] for row in recent]
    leader = await _leader(connection, tenant_id, policy_id, now - timedelta(seconds=storm.window_seconds))
    rows: list[tuple[Any, ...]] = []
    joined = 0
    for opening in openings:
        own, state, storm_id = new_id(), "active", None
        quiet = quiet_until(policy, opening.severity, now)
        due_at: datetime | None = (quiet or now) + timedelta(seconds=policy.delay_seconds)
        if opening.incident_id not in known and is_storm(storm, opened, now):
            if leader is None:
                leader = storm_id = own
            else:
                storm_id, state, due_at = leader, "grouped", None
                joined += 1
        opened.append(now)
        rows.append(
            (own, opening.incident_id, policy_id, dumps_str(document), state, opening.severity, opening.reason,
             storm_id, due_at)
        )  # fmt: skip
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = await connection.fetch(_INSERT, tenant_id, *columns[:8], now, columns[8])
    if joined and leader is not None:
        await connection.execute(
            _JOIN, tenant_id, leader, joined, now + timedelta(seconds=storm.update_seconds)
        )
    return len(found)


async def _leader(
    connection: asyncpg.Connection, tenant_id: UUID, policy_id: UUID, since: datetime
) -> UUID | None:
    """Return the storm that is under way: its last incident came within the window."""
    found: UUID | None = await connection.fetchval(
        "SELECT l.id FROM escalations l WHERE l.tenant_id = $1 AND l.policy_id = $2 AND l.storm_id = l.id "
        "AND l.state IN ('active', 'exhausted') AND EXISTS (SELECT FROM escalations m WHERE m.tenant_id = $1 "
        "AND m.storm_id = l.id AND m.opened_at > $3) ORDER BY l.id DESC LIMIT 1 FOR UPDATE",
        tenant_id, policy_id, since,
    )  # fmt: skip
    return found


async def _end(connection: asyncpg.Connection, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    if not ids:
        return
    await connection.execute(
        "UPDATE escalations SET state = 'resolved', due_at = NULL, update_at = NULL, ended_at = now() "
        "WHERE tenant_id = $1 AND id = ANY($2)",
        tenant_id, list(ids),
    )  # fmt: skip
    await connection.execute(_DROP_UNSENT, tenant_id, list(ids))
    await connection.execute(_FOLLOW_UP, tenant_id, list(ids), "resolved")
