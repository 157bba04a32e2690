"""What the pack of an incident tells a planner: what to know, what never to plan, what may be shown as it is; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a pack says of one incident.

    Attributes:
        text: For the model, beside our own instructions; empty where the pack says nothing.
        shows: Addresses, of `ip` and `mac`, that a model may see as they are; of others it sees stand-ins.
    """

    text: str = ""
    shows: frozenset[str] = frozenset()

    @classmethod
    def of(cls, planner: Mapping[str, Any], check_type: str) -> Self:
        """Return what a pack's section `planner` says of one kind of incident."""
        hints = [hint["text"] for hint in planner.get("hints", ()) if check_type in hint["check_types"]]
        parts = [
            str(planner.get("summary", "")),
            _listed("For this check", hints),
            _listed("Never plan any of this", list(planner.get("never", ()))),
        ]
        text = "\n".join(part.strip() for part in parts if part.strip())
        return cls(text, frozenset(planner.get("shows", ())))


NONE: Final = Guidance()


def _listed(heading: str, items: list[str]) -> str:
    return "\n".join([f"{heading}:", *(f"- {' '.join(item.split())}" for item in items)]) if items else ""
