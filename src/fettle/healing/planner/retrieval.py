"""The planner that is always there: it looks at what healed the likes of an incident, without key or network."""

from abc import ABC, abstractmethod
from typing import Final

from fettle.healing.planner.answers import taken_again
from fettle.healing.planner.confidence import CALIBRATED, LIKELY, Curve, judge
from fettle.healing.planner.memory import Remembered, alike
from fettle.healing.planner.tampering import speaks_to_us
from fettle.healing.planner.words import Prompt, Question, Reply, Usage
from fettle.kernel.database import Database

_TAMPERED: Final = "A text in it speaks to whoever decides, as no machine's report does. Look who wrote it."
_UNCLEAR: Final = (
    "The likest that was healed is {:.0%} like it, and of such pairs {:.0%} had the same fault: likelier than not "
    "this is another."
)


class Recalling(ABC):
    """Chooses what healed incidents like this one, as far as it can be recalled; abstains where there were none.

    Args:
        curve: Calibrates its confidence.
    """

    name = "retrieval"
    model = "retrieval-1"
    is_charged = False

    def __init__(self, curve: Curve = CALIBRATED) -> None:
        self._curve = curve

    def most_cost(self, _prompt: Prompt) -> Usage:
        """Return nothing: it takes no tokens."""
        return Usage()

    async def ask(self, question: Question) -> Reply:
        """Answer from memory."""
        if speaks_to_us(question.incident):
            return _reply(None, {}, _TAMPERED, 0.0)
        found = await self._recall(question)
        for verdict in judge([one.memory for one in found], curve=self._curve):
            if verdict.fit < LIKELY:
                return _reply(None, {}, _UNCLEAR.format(verdict.likeness, verdict.fit), 0.0)
            parameters = self._parameters(question, verdict.key, found)
            if parameters is None:
                continue
            reasoning = (
                f"{verdict.succeeded} of {verdict.succeeded + verdict.failed} runs of this on incidents like it ended "
                f"with a check that passes; the likest is {verdict.likeness:.0%} like this one."
            )
            return _reply(verdict.key, parameters, reasoning, verdict.confidence)
        return _reply(
            None, {}, "No incident like this one was healed before by anything that is allowed here.", 0.0
        )

    @abstractmethod
    async def _recall(self, question: Question) -> list[Remembered]:
        """Return what is remembered of incidents like that of a question, the likest first."""

    def _parameters(self, question: Question, key: str, found: list[Remembered]) -> dict[str, object] | None:
        candidate = next(one for one in question.candidates if one.key == key)
        for one in found:
            if one.memory.key == key and one.origins is not None:
                given = taken_again(candidate, one.origins, question.incident)
                if given is not None:
                    return given
        return None


class RetrievalPlanner(Recalling):
    """Recalls from the tenant's own memories.

    Args:
        database: Where they are.
        curve: Calibrates its confidence.
    """

    def __init__(self, database: Database, curve: Curve = CALIBRATED) -> None:
        super().__init__(curve)
        self._database = database

    async def _recall(self, question: Question) -> list[Remembered]:
        keys = [one.key for one in question.candidates]
        return await alike(self._database, question.tenant_id, question.incident, question.signature, keys)


def _reply(choice: str | None, parameters: dict[str, object], reasoning: str, confidence: float) -> Reply:
    given = [{"name": name, "value": value} for name, value in parameters.items()]
    return Reply(
        {"choice": choice, "parameters": given, "reasoning": reasoning, "confidence": confidence}, Usage()
    )
