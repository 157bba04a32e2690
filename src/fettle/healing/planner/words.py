"""The planner's words: what is asked, what may be chosen, what a provider answers, and the decision; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

SURE: Final = 0.7
"""Below this a person decides."""

RUNBOOK: Final = "runbook"
PLAYBOOK: Final = "playbook"
MICRO: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runbook or playbook that the tenant's policy allows for an incident.

    Attributes:
        kind: `runbook` or `playbook`.
        name: Its id.
        parameters: JSON Schema of its parameters, an object.
    """

    kind: str
    name: str
    title: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What names it among all candidates."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What leaves for a model: nothing in it tells a host, a person or a secret.

    Attributes:
        instructions: What the model is to do, ours alone.
        data: The incident and the candidates as JSON, between marks that the incident cannot know.
        schema: JSON Schema that the answer must fit.
    """

    instructions: str
    data: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What a provider is asked.

    Attributes:
        tenant_id: For whom.
        incident: As it was triaged; only what never leaves this installation looks at it.
        signature: Its pattern.
        candidates: What may be chosen.
        prompt: What a model may see.
    """

    tenant_id: UUID
    incident: Mapping[str, Any]
    signature: str
    candidates: Sequence[Candidate]
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answered: a JSON value that nobody has looked at yet."""

    value: Any
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that was read and fits.

    Attributes:
        choice: The candidate, None where nothing fits.
        parameters: For it, in full.
        origins: The same with each text as the place in the incident that it was taken from.
        claimed: The confidence as it was given; None where nothing has changed it.
    """

    choice: Candidate | None
    parameters: Mapping[str, Any]
    origins: Mapping[str, Any]
    reasoning: str
    confidence: float
    claimed: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking one provider.

    Attributes:
        outcome: `chosen`, `unsure`, `abstained`, or the word of an error.
        detail: In a sentence; never what was sent or received.
        calls: How often it was asked.
    """

    provider: str
    model: str
    outcome: str
    detail: str
    latency_ms: int
    usage: Usage = Usage()
    calls: int = 0

    def document(self) -> dict[str, Any]:
        """Return it as events hold it."""
        return {
            "provider": self.provider,
            "model": self.model,
            "outcome": self.outcome,
            "detail": self.detail,
            "latency_ms": self.latency_ms,
            "tokens": {"input": self.usage.input_tokens, "output": self.usage.output_tokens},
            "cost": {"amount": str(self.usage.cost_usd), "currency": "USD"},
        }


@dataclass(frozen=True, slots=True)
class L2Decision:
    """What the planner decided.

    Attributes:
        answer: The best that a provider answered, None where none did.
        pattern_signature: The incident's pattern.
        provider: Who answered.
        model: With what.
        usage: Of all that were asked.
        latency_ms: Of all together.
        cached: It was answered before for the same pattern.
        attempts: Whom it asked, in order.
        sure: The confidence from which no person is needed.
        claimed: The confidence that the provider gave, before what came true of earlier ones was looked at.
    """

    answer: Answer | None
    pattern_signature: str
    provider: str = ""
    model: str = ""
    usage: Usage = Usage()
    latency_ms: int = 0
    cached: bool = False
    attempts: Sequence[Attempt] = field(default_factory=tuple)
    sure: float = SURE
    claimed: float = 0.0

    @property
    def choice(self) -> Candidate | None:
        """What was chosen."""
        return self.answer.choice if self.answer is not None else None

    @property
    def confidence(self) -> float:
        """From 0 to 1."""
        return self.answer.confidence if self.answer is not None and self.choice is not None else 0.0

    @property
    def requires_human_review(self) -> bool:
        """Whether a person decides."""
        return self.choice is None or self.confidence < self.sure

    def document(self) -> dict[str, Any]:
        """Return it as events hold it."""
        chosen = self.choice
        return {
            "runbook_id": chosen.name if chosen is not None and chosen.kind == RUNBOOK else None,
            "playbook_id": chosen.name if chosen is not None and chosen.kind == PLAYBOOK else None,
            "parameters": dict(self.answer.parameters) if self.answer is not None else {},
            "reasoning": self.answer.reasoning if self.answer is not None else "",
            "confidence": round(self.confidence, 4),
            "claimed_confidence": round(self.claimed, 4),
            "requires_human_review": self.requires_human_review,
            "pattern_signature": self.pattern_signature,
            "provider": self.provider,
            "model": self.model,
            "tokens": {"input": self.usage.input_tokens, "output": self.usage.output_tokens},
            "cost": {"amount": str(self.usage.cost_usd), "currency": "USD"},
            "latency_ms": self.latency_ms,
            "cached": self.cached,
            "tried": [attempt.document() for attempt in self.attempts],
        }


class ProviderError(Exception):
    """A provider did not answer.

    Args:
        code: Stable word: `timeout`, `unreachable`, `rate_limited`, `server`, `refused`, `malformed`, ...
        message: What happened; never what was sent or received.
        retryable: Whether asking again may help.
        retry_after_seconds: When it said so itself.
        usage: What was spent in vain.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool,
        retry_after_seconds: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.usage = usage or Usage()


class Provider(Protocol):
    """Answers which candidate fits an incident."""

    @property
    def name(self) -> str:
        """What it is called in events, and what its breaker is kept under."""
        ...

    @property
    def model(self) -> str:
        """The model that answers."""
        ...

    @property
    def is_charged(self) -> bool:
        """Whether a call counts against the tenant's budget."""
        ...

    def most_cost(self, prompt: Prompt) -> Usage:
        """Return the most that a call may take, which is reserved before it."""
        ...

    async def ask(self, question: Question) -> Reply:
        """Answer.

        Raises:
            ProviderError: It does not.
        """
        ...
