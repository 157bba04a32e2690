"""Says whether an incident's text speaks to whoever decides, as reports of machines do not; pure.

It widens nothing and proves nothing: a planner may choose only what policy allows, whatever a text says. It is what
the planner that recalls goes by, which knows words and not meanings, and for which an order in a report would be a
report like any other.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

_DEEPEST: Final = 40
_MOST: Final = 20_000

_SIGNS: Final = (
    # What only we name: a choice, the places of an answer.
    r"\b(?:runbook|playbook):\S|\b(?:RB|PB)-[A-Z]{3,}-[A-Z]",
    r"[\"'](?:choice|candidates|requires_human_review|approved_by|override)[\"']\s*:|\brequires_human_review\b|\$secret\b",
    # Who speaks in a conversation, and where one part of it ends.
    r"(?:^|[\n.!?:>\"'(]\s*)(?:assistant|human|developer)\s*:\s|\bassistant,",
    r"(?:^|[\n.!?:>\"'(]\s*)system\s*:\s+(?:the|you|all|now|new|choose|ignore|confirm|run|please)\b",
    r"<\|/?(?:im_start|im_end|system|user|assistant)|</?(?:incident|instructions?|candidates?|prompt|data)>\s*\w+ ",
    r"\[/?INST\]|#{2,}\s*(?:instructions?|response|prompt)\b|={4,}\s*data\b",
    # Orders about the decision itself.
    (
        r"\b(?:ignore|disregard|forget|ignorez|ignoriere|vergiss)\b[^.\n]{0,30}"
        r"\b(?:previous|above|earlier|prior|davor|instructions?|anweisung\w*|candidates?)"
    ),
    r"\bnew (?:instructions?|orders)\b",
    r"\byou (?:are now (?:an?|the|in)|may now|will now)\b|\bas your (?:developer|operator|administrator)\b|\bpretend\b",
    r"\b(?:choose|pick|select|choisissez|w(?:ae|ä)hle|elige)\b[^.\n]{0,40}\b(?:runbook|playbook|candidate|choice|null)s?\b",
    r"\b(?:answer|respond|reply|return)\b[^.\n]{0,30}(?:\{|\bconfidence\b|\bnull\b|\bchoice\b)",
    r"\bwith confidence \d|\bconfidence (?:must be|of) \d|\b(?:full|highest|maximum) confidence\b|\bconfidence_\d",
    r"\b(?:run|start|use|call|execute)\b[^.\n]{0,20}\b(?:all|every|any|another|other|the)\b[^.\n]{0,20}\b(?:play|run)books?\b",
    r"\b(?:approval|review|gate)\b[^.\n]{0,20}\b(?:is off|not needed|skipped)\b|\bautonomy\b[^.\n]{0,20}\bact\b",
    r"\b(?:owner|operator|policy|security team|ceo)\s(?:has |have )?approve[sd]\b",
    # What would be evaluated somewhere, or what nobody can see.
    r"\$\{\{|\$\{jndi:|\{\{\s*(?:config|self|request|cycler)\b|<%=|%\{\(",
    r"[;&|`]\s*(?:sudo\s+)?(?:rm|curl|wget|nc|chmod|chown|dd|mkfs)\s+\S|\$\(\s*(?:rm|curl|wget|nc)\b",
    "[\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\U000e0000-\U000e007f]",
)
_ANY: Final = re2.compile("(?im)" + "|".join(f"(?:{sign})" for sign in _SIGNS))


def speaks_to_us(incident: Mapping[str, Any]) -> bool:
    """Say whether anything in an incident reads as if it were meant for whoever decides about it."""
    left = _MOST
    for text in _texts({name: value for name, value in incident.items() if name != "id"}, 0):
        if _ANY.search(text[:left]) is not None:
            return True
        left -= len(text)
        if left <= 0:
            break
    return False


def _texts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield str(name)
            yield from _texts(child, depth + 1)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _texts(child, depth + 1)
