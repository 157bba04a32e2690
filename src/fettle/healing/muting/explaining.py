"""Why somebody was told of an incident or was not, and what is next due; pure, over what is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fettle.healing.muting.mutes import HELD, INHIBITED, MAINTENANCE, SILENCED, Mute

TOLD: Final = "told"
WILL_BE_TOLD: Final = "will_be_told"
MUTED: Final = "muted"
NOBODY: Final = "nobody_to_tell"
ACKNOWLEDGED: Final = "acknowledged"
OVER: Final = "over"
NOT_NEEDED: Final = "not_needed"

SENT: Final = "sent"
WAITING: Final = "waiting"
NOT_SENT: Final = "not_sent"

_MUTED_WORDS: Final = {
    SILENCED: "It is silenced: {title}.",
    MAINTENANCE: "A maintenance window is under way: {title}.",
    INHIBITED: "Something that it hangs on is down: {title}.",
    HELD: "Its plan waits, because nothing may act now: {title}.",
}
_ASKED: Final = frozenset({"escalated", "awaiting_approval"})
_OVER: Final = frozenset({"resolved", "closed"})


@dataclass(frozen=True, slots=True)
class Because:
    """One thing that explains.

    Attributes:
        code: Stable, for programs.
        text: For people.
        at: When it was, or will be.
        mute_id: What is set.
        incident_id: Another incident that has to do with it.
    """

    code: str
    text: str
    at: datetime | None = None
    mute_id: str | None = None
    incident_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of it, why, and when something is next due."""

    verdict: str
    reasons: tuple[Because, ...]
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an incident.

    Attributes:
        state: Of the incident.
        mute: What mutes it now, None for nothing.
        rule_id: The rule that decided it.
        clock: Its escalation, None for none.
        leader: In a storm, the escalation that tells for it.
        leader_number: The number of that one's incident.
        policies: How many escalation policies the tenant has switched on.
        told: How many messages have gone out that it fires.
        storm: How many exceptions it stands for by storm protection, 0 where it is none.
    """

    state: str
    mute: Mute | None
    rule_id: str | None
    clock: Mapping[str, Any] | None
    leader: Mapping[str, Any] | None
    leader_number: int | None
    policies: int
    told: int
    storm: int = 0


def why_incident(known: Known, now: datetime) -> Explained:
    """Return why somebody is told of an incident, or is not."""
    reasons: list[Because] = []
    if known.storm:
        text = f"A storm: {known.storm} things out of order are kept as this one incident."
        reasons.append(Because("storm", text))
    found = _why(known, now)
    return Explained(found.verdict, (*reasons, *found.reasons), found.next_at)


def _why(known: Known, now: datetime) -> Explained:
    if known.state in _OVER:
        if known.told:
            text = f"It is over. {_messages(known.told)} said that it fired, so whoever was told hears that as well."
        else:
            text = "It is over, and nobody was told that it fired, so nobody is told that it is over."
        return Explained(OVER, (Because("over", text),))
    if known.mute is not None:
        return Explained(MUTED, (_of_mute(known.mute),), known.mute.until)
    if known.state == "suppressed":
        text = (
            f"The rule {known.rule_id} says that nobody needs to hear of it."
            if known.rule_id
            else "It is suppressed."
        )
        return Explained(NOT_NEEDED, (Because("rule", text),))
    if known.state not in _ASKED:
        return Explained(NOT_NEEDED, (Because("healing", f"It is {known.state}; nobody is needed yet."),))
    clock = known.leader or known.clock
    if clock is None:
        return Explained(NOBODY, (_no_policy(known),))
    grouped = _grouped(known)
    found = _of_clock(clock, known.told, now)
    return Explained(found.verdict, (*grouped, *found.reasons), found.next_at)


def _of_mute(mute: Mute) -> Because:
    text = _MUTED_WORDS[mute.reason].format(title=mute.title)
    return Because(mute.reason, text, mute.until, mute.by, mute.source)


def _no_policy(known: Known) -> Because:
    if not known.policies:
        return Because("no_policy", "The tenant has no escalation policy, so nobody can be told.")
    return Because("no_policy_fits", "No escalation policy is for this severity, check type and site.")


def _grouped(known: Known) -> tuple[Because, ...]:
    if known.leader is None or known.clock is None or known.leader["id"] == known.clock["id"]:
        clock = known.clock
        if clock is not None and clock["members"] > 1:
            text = f"Its messages tell of {clock['members']} incidents that came within a short time."
            return (Because("leads_storm", text),)
        return ()
    text = f"It is told of together with incident {known.leader_number}, which leads the storm."
    return (Because("grouped", text, incident_id=known.leader["incident_id"]),)


def _of_clock(clock: Mapping[str, Any], told: int, now: datetime) -> Explained:
    state, due_at = clock["state"], clock["due_at"]
    if clock["paused"]:
        why = clock["paused_why"] or {}
        text = f"The clock stands still: {why.get('title') or why.get('reason') or 'it is muted'}."
        return Explained(MUTED, (Because("paused", text, due_at, why.get("by")),), due_at)
    if state == "acknowledged":
        text = "Somebody has it in hand, so nobody else is told."
        return Explained(ACKNOWLEDGED, (Because("acknowledged", text, clock["acknowledged_at"]),))
    if state == "exhausted":
        text = "Everybody that the policy names was told, and nobody has taken it."
        return Explained(TOLD, (Because("exhausted", text),))
    if due_at is not None and due_at > now and clock["position"] == 0 and not told:
        text = "It came in quiet hours; the first message waits until they end."
        return Explained(WILL_BE_TOLD, (Because("quiet_hours", text, due_at),), due_at)
    if not told:
        text = "The first message is on its way."
        return Explained(WILL_BE_TOLD, (Because("first_step", text, due_at),), due_at or now)
    text = f"{_messages(told)} went out. Unless somebody takes it, the next step is told."
    return Explained(TOLD, (Because("step", text, due_at),), due_at)


def _messages(number: int) -> str:
    return "One message" if number == 1 else f"{number} messages"


def why_message(message: Mapping[str, Any], before: int, members: int) -> Explained:
    """Return why a message was sent, waits, or was not sent.

    Args:
        message: Its row.
        before: How many messages that it fires went to the same place before it.
        members: How many incidents it tells of.
    """
    reasons = [_occasion(message, before)]
    if members > 1:
        text = f"It tells of {members} incidents in one."
        reasons.append(Because("grouped", text))
    state, code, error = message["state"], message["error_code"], message["error"]
    if state == "delivered":
        return Explained(SENT, (*reasons, Because("delivered", "It was delivered.", message["ended_at"])))
    if state in {"skipped", "failed"}:
        text = f"It was not sent: {error or 'it was not needed any more'}."
        if state == "failed" and message["may_have_arrived"]:
            text = f"It was given up, and may have arrived: {error}."
        return Explained(NOT_SENT, (*reasons, Because(code or state, text, message["ended_at"])))
    if code == "muted":
        text = f"It waits until that ends: {error}."
        return Explained(WAITING, (*reasons, Because("muted", text, message["due_at"])), message["due_at"])
    if message["attempts"] and state == "queued":
        text = f"Attempt {message['attempts']} failed, and it is tried again: {error}."
        return Explained(WAITING, (*reasons, Because("retried", text, message["due_at"])), message["due_at"])
    waiting = Because("on_its_way", "It is on its way.", message["due_at"])
    return Explained(WAITING, (*reasons, waiting), message["due_at"])


def _occasion(message: Mapping[str, Any], before: int) -> Because:
    kind = message["kind"]
    if kind == "resolved":
        return Because(
            "resolved", "It is over, and this place was told that it fired.", message["created_at"]
        )
    if kind == "acknowledged":
        text = "Somebody has it in hand, and this place was told that it fired."
        return Because("acknowledged", text, message["created_at"])
    if kind == "test":
        return Because("test", "Somebody tried the channel.", message["created_at"])
    step = 0 if message["step"] is None else message["step"]
    if before:
        text = f"Told again, for the {before + 1}. time: step {step + 1}, or the number of incidents grew."
        return Because("repeated", text, message["created_at"])
    return Because("step", f"Step {step + 1} of the escalation policy was due.", message["created_at"])
