"""What a message to a person says: what happened, what was tried, what the planner thinks, what to press; no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

FIRING: Final = "firing"
ACKNOWLEDGED: Final = "acknowledged"
RESOLVED: Final = "resolved"
TEST: Final = "test"

_LONGEST_LINE: Final = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan that waits for a person, bound to its hash."""

    approval_id: UUID
    plan_hash: str
    title: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One message, before it takes the form that a channel wants.

    Attributes:
        kind: What it tells.
        key: The same for all messages of one escalation, for channels that put them together.
        message_id: Of this message alone, the same at each attempt.
        tenant: The customer's name.
        incident_id: None in a test.
        members: How many incidents it stands for; more than one in a storm.
        happened: Lines on what is out of order.
        tried: Lines on what was done about it so far.
        thinks: Lines on what the planner, or the rule, makes of it.
        by: Who acknowledged it.
        url: Where it can be looked at and worked on.
        asked: A plan that can be approved or rejected from here.
    """

    kind: str
    key: str
    message_id: UUID
    tenant: str
    title: str
    severity: str
    moment: datetime
    incident_id: UUID | None = None
    number: int | None = None
    check_type: str | None = None
    host: str | None = None
    site: str | None = None
    members: int = 1
    happened: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    thinks: tuple[str, ...] = ()
    by: str | None = None
    url: str | None = None
    asked: Asked | None = None
    attempt: int = 1

    @property
    def headline(self) -> str:
        """The message in one line."""
        named = f"#{self.number} {self.title}" if self.number is not None else self.title
        if self.members > 1:
            named = f"{self.members} incidents at once, first {named}"
        word = {
            FIRING: self.severity.upper(),
            ACKNOWLEDGED: "Taken by " + (self.by or "somebody"),
            RESOLVED: "Resolved",
            TEST: "Test",
        }[self.kind]
        return f"[{word}] {self.tenant}: {named}"

    @property
    def press(self) -> tuple[str, ...]:
        """Lines on what a reader can do."""
        if self.kind != FIRING:
            return ()
        lines = ["Take it, so that nobody else is told and everybody knows."]
        if self.asked is not None:
            lines.append(f"Approve or reject the plan that waits: {self.asked.title}.")
        if self.url is not None:
            lines.append(f"Look at it: {self.url}")
        return tuple(lines)

    @property
    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Headings and their lines, those that have any."""
        every = (
            ("What happened", self.happened),
            ("What was tried", self.tried if self.kind != FIRING else self.tried or ("Nothing yet.",)),
            ("What the planner thinks", self.thinks),
            ("What to press", self.press),
        )
        return tuple((heading, lines) for heading, lines in every if lines)

    def text(self) -> str:
        """Return it as plain text."""
        parts = [self.headline]
        for heading, lines in self.sections:
            parts += ["", f"{heading}:", *(f"- {line}" for line in lines)]
        return "\n".join(parts) + "\n"

    def cleaned(self, clean: Callable[[str], str]) -> "Notice":
        """Return it with every text that came from elsewhere cleaned of what must not leave, and cut to a line."""

        def line(text: str) -> str:
            flat = " ".join(clean(text).split())
            return flat if len(flat) <= _LONGEST_LINE else flat[: _LONGEST_LINE - 1] + "…"

        def lines(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(line(text) for text in texts)

        return replace(
            self,
            title=line(self.title),
            host=line(self.host) if self.host else None,
            site=line(self.site) if self.site else None,
            happened=lines(self.happened),
            tried=lines(self.tried),
            thinks=lines(self.thinks),
            asked=replace(self.asked, title=line(self.asked.title)) if self.asked else None,
        )
