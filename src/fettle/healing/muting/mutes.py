"""What mutes an incident at a moment, why and until when; pure, so that each path can be tried."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fettle.healing.muting.inhibition import Dependency, Inhibition, Inhibitor
from fettle.healing.muting.matching import Matchers
from fettle.healing.muting.recurring import When
from fettle.kernel.clock import rfc3339

SILENCED: Final = "silenced"
MAINTENANCE: Final = "maintenance"
INHIBITED: Final = "inhibited"
HELD: Final = "held"

SILENCE: Final = "silence"
SUPPRESS: Final = "suppress"
HOLD: Final = "hold"
ONLY_THEN: Final = "only_then"

_FAR: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Timed:
    """A silence or a maintenance window.

    Attributes:
        id: A mute's id, or where it stands in the policy, such as ``policy:silences/0``.
        effect: `SILENCE`, or a window's: `SUPPRESS`, `HOLD`, `ONLY_THEN`.
        title: A window's name, a silence's reason.
        matchers: What it is for.
        when: When it holds.
    """

    id: str
    effect: str
    title: str
    matchers: Matchers
    when: When


@dataclass(frozen=True, slots=True)
class MuteSet:
    """Everything that a tenant and its packs set."""

    timed: tuple[Timed, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    dependencies: tuple[Dependency, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set."""
        return not (self.timed or self.inhibitions or self.dependencies)

    @property
    def inhibits(self) -> bool:
        """Whether one incident may mute another."""
        return bool(self.inhibitions or self.dependencies)

    def of(self, *effects: str) -> Iterable[Timed]:
        """Return the silences and windows of some effects."""
        return (one for one in self.timed if one.effect in effects)

    def quiets(self, labels: Mapping[str, str], moment: datetime) -> bool:
        """Say whether a silence or a window lets an incident keep still."""
        return any(one.matchers.hold(labels) and one.when.holds(moment) for one in self.of(SILENCE, SUPPRESS))

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when a silence or a window next begins or ends; None for never."""
        edges = (one.when.next_change(moment) for one in self.timed)
        return min((edge for edge in edges if edge is not None), default=None)


@dataclass(frozen=True, slots=True)
class Mute:
    """Why an incident keeps still.

    Attributes:
        reason: `SILENCED`, `MAINTENANCE`, `INHIBITED` or `HELD`.
        by: The id of what mutes it.
        title: What people call that.
        until: When it ends; None where nobody knows yet.
        source: The incident that inhibits it.
    """

    reason: str
    by: str
    title: str
    until: datetime | None = None
    source: UUID | None = None
    also: tuple[str, ...] = field(default=(), compare=False)

    def document(self) -> dict[str, Any]:
        """Return it as events say it."""
        return {
            "reason": self.reason,
            "by": self.by,
            "title": self.title,
            "until": None if self.until is None else rfc3339(self.until),
            "source_incident": None if self.source is None else str(self.source),
        }


def mute_of(
    mutes: MuteSet, inhibitor: Inhibitor, incident_id: UUID, labels: Mapping[str, str], moment: datetime
) -> Mute | None:
    """Return what mutes an incident: a silence before a window, and that before what inhibits it.

    Where several overlap, it is muted until the last of them ends.
    """
    fitting = [one for one in mutes.of(SILENCE, SUPPRESS) if one.matchers.hold(labels)]
    holding = [one for one in fitting if one.when.holds(moment)]
    if holding:
        first = min(holding, key=lambda one: one.effect != SILENCE)
        reason = SILENCED if first.effect == SILENCE else MAINTENANCE
        return Mute(reason, first.id, first.title, quiet_until(fitting, moment),
                    also=tuple(one.id for one in holding if one is not first))  # fmt: skip
    found = inhibitor.inhibited(incident_id, labels)
    return None if found is None else Mute(INHIBITED, found.by, found.title, source=found.source)


def hold_of(
    mutes: MuteSet, labels: Mapping[str, str], moment: datetime, *, is_disruptive: bool
) -> Mute | None:
    """Return what keeps a plan from acting by itself now, None where nothing does.

    Args:
        mutes: What is set.
        labels: What the incident is known by.
        moment: Now.
        is_disruptive: The plan disturbs people at work; such a plan waits for a window that is kept for it.
    """
    holds = [one for one in mutes.of(HOLD) if one.matchers.hold(labels)]
    holding = next((one for one in holds if one.when.holds(moment)), None)
    if holding is not None:
        return Mute(HELD, holding.id, holding.title, quiet_until(holds, moment))
    kept = [one for one in mutes.of(ONLY_THEN) if one.matchers.hold(labels)] if is_disruptive else []
    if not kept or any(one.when.holds(moment) for one in kept):
        return None
    begins = [(at, one) for one in kept if (at := one.when.next_begin(moment)) is not None]
    if not begins:
        return Mute(HELD, kept[0].id, kept[0].title)
    at, first = min(begins, key=lambda pair: pair[0])
    return Mute(HELD, first.id, first.title, at)


def quiet_until(timed: Iterable[Timed], moment: datetime) -> datetime | None:
    """Return when the last ends of those that hold now, and of those that begin before that; None for never."""
    those = list(timed)
    at = moment
    while holding := [one for one in those if one.when.holds(at)]:
        ends = [one.when.until(at) for one in holding]
        if None in ends:
            return None
        at = max(end for end in ends if end is not None)
        # Those that recur may take turns without an end.
        if at - moment > _FAR:
            return None
    return at
