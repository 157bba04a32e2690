"""The planner that is always there: it looks at what healed the likes of an incident, without key or network."""

from fettle.healing.planner.answers import taken_again
from fettle.healing.planner.confidence import PLAIN, Curve, judge
from fettle.healing.planner.memory import Remembered, alike
from fettle.healing.planner.words import Prompt, Question, Reply, Usage
from fettle.kernel.database import Database


class RetrievalPlanner:
    """Chooses what healed the tenant's own incidents like this one; abstains where it has seen none.

    Args:
        database: Where the memories are.
        curve: Calibrates its confidence.
    """

    name = "retrieval"
    model = "retrieval-1"
    is_charged = False

    def __init__(self, database: Database, curve: Curve = PLAIN) -> None:
        self._database = database
        self._curve = curve

    def most_cost(self, _prompt: Prompt) -> Usage:
        """Return nothing: it takes no tokens."""
        return Usage()

    async def ask(self, question: Question) -> Reply:
        """Answer from memory."""
        usable = {one.key: one for one in question.candidates}
        found = await alike(
            self._database, question.tenant_id, question.incident, question.signature, list(usable)
        )
        for verdict in judge([one.memory for one in found], curve=self._curve):
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

    def _parameters(self, question: Question, key: str, found: list[Remembered]) -> dict[str, object] | None:
        candidate = next(one for one in question.candidates if one.key == key)
        for one in found:
            if one.memory.key == key and one.origins is not None:
                given = taken_again(candidate, one.origins, question.incident)
                if given is not None:
                    return given
        return None


def _reply(choice: str | None, parameters: dict[str, object], reasoning: str, confidence: float) -> Reply:
    given = [{"name": name, "value": value} for name, value in parameters.items()]
    return Reply(
        {"choice": choice, "parameters": given, "reasoning": reasoning, "confidence": confidence}, Usage()
    )
