"""What channels send back: buttons that were pressed in Slack, and what people did in PagerDuty.

Nothing is believed before its signature is checked, and nothing is done that the person could not do here: a
channel's own name for somebody counts only where the tenant has put it down in their contact.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing import approval_decisions, approvals
from fettle.healing.approval_decisions import Verdict
from fettle.healing.escalation import acting, clocks, service, signing
from fettle.healing.escalation.rendering import APPROVE, REJECT, TAKE
from fettle.identity.audit import Who, record
from fettle.identity.names import permissions_of_person
from fettle.incidents.commands import By
from fettle.incidents.service import Transition, lock, transition
from fettle.incidents.states import State
from fettle.kernel import context, jsonio
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.egress import EgressFailed, EgressRefused, Outgoing, egress_of
from fettle.kernel.errors import Forbidden, Invalid, Problem
from fettle.kernel.platform import Platform
from fettle.tools.registry import ToolError
from fettle.tools.vault import Secrets

MOST_BYTES: Final = 256_000
_ANSWER_SECONDS: Final = 2.5
_KEY_PREFIX: Final = "fettle-"

log = structlog.get_logger("fettle.escalation")


@dataclass(frozen=True, slots=True)
class Received:
    """A body that came for a channel, before anything of it is believed.

    Attributes:
        headers: By name in lower case.
        address: Where it came from.
    """

    channel_id: UUID
    headers: Mapping[str, str]
    body: bytes
    address: str | None


@dataclass(frozen=True, slots=True)
class _Origin:
    tenant_id: UUID
    channel_id: UUID
    document: Mapping[str, Any]
    address: str | None


async def take_slack(platform: Platform, received: Received) -> str:
    """Do what was pressed in Slack.

    Returns:
        What came of it, in words for whoever pressed.

    Raises:
        Forbidden: Slack did not send it, or not just now, or there is no such channel.
        Invalid: It is nothing that our buttons send.
    """
    origin, secret = await _origin(platform, received, "slack", "signing_secret")
    signature = received.headers.get("x-slack-signature", "")
    timestamp = received.headers.get("x-slack-request-timestamp", "")
    if not signing.is_from_slack(secret, timestamp, signature, received.body, utcnow()):
        raise _unsigned()
    payload = _slack_payload(received.body)
    try:
        member, action = str(payload["user"]["id"]), payload["actions"][0]
        pressed, value = str(action["action_id"]), str(action.get("value", ""))
    except (KeyError, IndexError, TypeError):
        raise Invalid("This is nothing that a button of Fettle sends.") from None
    try:
        said = await _press(platform, origin, member, pressed, value, signature)
    except Problem as problem:
        said = problem.detail
    await _answer(platform, origin, payload.get("response_url"), said)
    return said


async def take_pagerduty(platform: Platform, received: Received) -> str:
    """Follow what was done in PagerDuty.

    Raises:
        Forbidden: PagerDuty did not send it, or there is no such channel.
        Invalid: It is no webhook of version 3.
    """
    origin, secret = await _origin(platform, received, "pagerduty", "webhook_secret")
    signatures = received.headers.get("x-pagerduty-signature", "")
    if not signing.is_from_pagerduty(secret, signatures, received.body):
        raise _unsigned()
    try:
        event = jsonio.parse(received.body)["event"]
        event_id, kind, data = str(event["id"]), str(event["event_type"]), event["data"]
        agent, key = event.get("agent") or {}, str(data.get("incident_key") or "")
        agent_id, agent_type = str(agent.get("id", "")), str(agent.get("type", ""))
    except (KeyError, TypeError, AttributeError):
        raise Invalid("This is no webhook of PagerDuty, version 3.") from None
    # What our own integration did there comes back, too; only people are followed.
    if kind not in {"incident.acknowledged", "incident.resolved"} or agent_type != "user_reference":
        return "Nothing to do."
    escalation_id = _escalation_id(key)
    if escalation_id is None:
        return "It is about no incident of Fettle."
    async with platform.database.tenant(origin.tenant_id) as session:
        if not await _is_new(session, origin, event_id):
            return "It was taken before."
        return await _follow(session, origin, escalation_id, kind, agent_id)


async def _origin(platform: Platform, received: Received, kind: str, setting: str) -> tuple[_Origin, str]:
    if len(received.body) > MOST_BYTES:
        raise _unsigned()
    async with platform.database.raw_system() as connection:
        row = await connection.fetchrow(
            "SELECT tenant_id, document FROM escalation_channels WHERE id = $1 AND kind = $2 AND enabled",
            received.channel_id, kind,
        )  # fmt: skip
    if row is None or not row["document"].get(setting):
        raise _unsigned()
    try:
        secret = await Secrets(platform, row["tenant_id"]).read(row["document"][setting])
    except ToolError:
        raise _unsigned() from None
    return _Origin(row["tenant_id"], received.channel_id, row["document"], received.address), secret


async def _press(
    platform: Platform, origin: _Origin, member: str, pressed: str, value: str, signature: str
) -> str:
    if pressed not in {TAKE, APPROVE, REJECT}:
        return "Nothing to do."
    async with platform.database.tenant(origin.tenant_id) as session:
        if not await _is_new(session, origin, hashlib.sha256(signature.encode()).hexdigest()):
            return "It was taken before."
        person = await service.person_known_as(session, origin.tenant_id, "slack", member)
        permissions = (
            await permissions_of_person(session, origin.tenant_id, person) if person else frozenset[str]()
        )
        if person is None or not permissions:
            raise Forbidden(
                "Fettle does not know you by this Slack member id. Ask an administrator to add it."
            )
        by = By(f"user:{person}", person, context.request_id.get())
        if pressed == TAKE:
            return await _take(session, origin, by, permissions, value)
        return await _decide(session, origin, by, permissions, pressed, value)


async def _take(
    session: AsyncSession, origin: _Origin, by: By, permissions: frozenset[str], value: str
) -> str:
    if "incidents:write" not in permissions:
        raise Forbidden("Your role works no incidents.")
    incident_id = _uuid(value)
    await acting.acknowledge(session, origin.tenant_id, by, incident_id, is_taken=True)
    await _audit(session, origin, by, "incident.acknowledged", ("incident", incident_id))
    return "It is yours now; nobody else is told."


async def _decide(
    session: AsyncSession, origin: _Origin, by: By, permissions: frozenset[str], pressed: str, value: str
) -> str:
    if "approvals:decide" not in permissions:
        raise Forbidden("Your role decides no approvals.")
    approval, _, plan_hash = value.partition(":")
    entered_by = await service.contact_entered_by(
        session, origin.tenant_id, UUID(by.actor.removeprefix("user:"))
    )
    people = await approvals.people_behind(await driver(session), origin.tenant_id, [entered_by])
    vouched_by = people.get(entered_by or "")
    verdict = Verdict(
        plan_hash, "Pressed in Slack.", by.actor, permissions, None if vouched_by == by.actor else vouched_by
    )
    left = 0
    if pressed == APPROVE:
        left = await approval_decisions.approve(session, origin.tenant_id, _uuid(approval), verdict)
    else:
        await approval_decisions.reject(session, origin.tenant_id, _uuid(approval), verdict)
    word = "approved" if pressed == APPROVE else "rejected"
    await _audit(session, origin, by, f"approval.{word}", ("approval", _uuid(approval)))
    return "You approved it; one more person must." if left else f"The plan is {word}."


async def _follow(
    session: AsyncSession, origin: _Origin, escalation_id: UUID, kind: str, agent_id: str
) -> str:
    connection = await driver(session)
    incident_id = await connection.fetchval(
        "SELECT incident_id FROM escalations WHERE tenant_id = $1 AND id = $2",
        origin.tenant_id,
        escalation_id,
    )
    if incident_id is None:
        return "It is about no incident of Fettle."
    incident_id = UUID(int=incident_id.int)
    person = await service.person_known_as(session, origin.tenant_id, "pagerduty", agent_id)
    may = await permissions_of_person(session, origin.tenant_id, person) if person else frozenset[str]()
    # Who may work no incidents here did it there, and the channel says so.
    worker = person if "incidents:write" in may else None
    actor = f"user:{worker}" if worker else f"channel:{origin.channel_id}"
    by = By(actor, worker, context.request_id.get())
    # Incidents are locked before their clocks.
    await lock(session, origin.tenant_id, [incident_id])
    if kind == "incident.resolved" and worker is not None:
        over = Transition(
            incident_id=incident_id,
            type="incident.resolved",
            to=State.RESOLVED,
            data={"resolution": "Resolved in PagerDuty."},
            actor=actor,
            request_id=by.request_id,
        )
        await transition(session, origin.tenant_id, [over], if_allowed=True)
        await _audit(session, origin, by, "incident.resolved", ("incident", incident_id))
        return "Resolved."
    if await clocks.stop(connection, origin.tenant_id, incident_id, by=actor, now=utcnow()):
        told = by.moves(incident_id, "incident.acknowledged", {"by_channel": str(origin.channel_id)})
        await transition(session, origin.tenant_id, [told])
        await _audit(session, origin, by, "incident.acknowledged", ("incident", incident_id))
    return "Acknowledged."


async def _is_new(session: AsyncSession, origin: _Origin, key: str) -> bool:
    """Note what was sent; the same again is nothing new, also after a failure in between."""
    connection = await driver(session)
    done = await connection.fetchval(
        "INSERT INTO escalation_callbacks (tenant_id, channel_id, key) VALUES ($1, $2, $3) "
        "ON CONFLICT DO NOTHING RETURNING key",
        origin.tenant_id, origin.channel_id, key[:200],
    )  # fmt: skip
    return done is not None


async def _audit(
    session: AsyncSession, origin: _Origin, by: By, action: str, target: tuple[str, object]
) -> None:
    who = Who(by.actor, origin.address)
    after = {"by_channel": str(origin.channel_id)}
    await record(session, who, action, tenant_id=origin.tenant_id, target=target, after=after)


async def _answer(platform: Platform, origin: _Origin, url: object, said: str) -> None:
    """Tell whoever pressed what came of it, at the same host that messages go to; it may be lost."""
    if not isinstance(url, str):
        return
    try:
        webhook = await Secrets(platform, origin.tenant_id).read(origin.document["url_secret"])
        if urlsplit(webhook)[:2] != urlsplit(url)[:2]:
            return
        body = jsonio.dumps({"response_type": "ephemeral", "replace_original": False, "text": said})
        outgoing = Outgoing(
            url=url,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=body,
            most_bytes=16_000,
            timeout_seconds=_ANSWER_SECONDS,
        )
        await egress_of(platform).send(outgoing, tenant_id=origin.tenant_id)
    except (ToolError, EgressRefused, EgressFailed, ValueError) as error:
        log.info("escalation.unanswered", channel_id=str(origin.channel_id), error=type(error).__name__)


def _slack_payload(body: bytes) -> Mapping[str, Any]:
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)
        payload = jsonio.parse(fields["payload"][0].encode())
    except (ValueError, KeyError):
        raise Invalid("This is nothing that a button of Fettle sends.") from None
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        raise Invalid("This is nothing that a button of Fettle sends.")
    return payload


def _escalation_id(key: str) -> UUID | None:
    try:
        return UUID(key.removeprefix(_KEY_PREFIX)) if key.startswith(_KEY_PREFIX) else None
    except ValueError:
        return None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("This is nothing that a button of Fettle sends.") from None


def _unsigned() -> Forbidden:
    # The same whether there is no such channel or the signature is wrong: strangers learn nothing.
    return Forbidden("Nothing signed by this channel's secret came, or not within five minutes.")
