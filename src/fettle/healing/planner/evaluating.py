"""Replays labelled incidents against providers: how often each is right, how well it knows, what it costs."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from fettle.healing.planner.answers import AnswerError, read_answer
from fettle.healing.planner.confidence import calibration_error, reliability
from fettle.healing.planner.labelled import KINDS, NOBODY, Case
from fettle.healing.planner.masking import WITHHELD, Mask
from fettle.healing.planner.prompting import make_prompt
from fettle.healing.planner.words import SURE, Provider, ProviderError, Question, Usage
from fettle.healing.signature import pattern_signature
from fettle.kernel.redaction import Redactor

_ERROR: Final = "error"
_ABSTAINED: Final = "abstained"


@dataclass(frozen=True, slots=True)
class Given:
    """What a provider answered to one labelled incident.

    Attributes:
        chosen: Key of its choice, None where it made none.
        outcome: `right`, `wrong`, `abstained` or `error`: an abstention is right where a person has to look.
        detail: Of an error, its word.
    """

    case: Case
    chosen: str | None
    confidence: float
    outcome: str
    is_right: bool
    usage: Usage
    latency_ms: float
    detail: str = ""

    @property
    def acts(self) -> bool:
        """Whether nobody would be asked."""
        return self.chosen is not None and self.confidence >= SURE


@dataclass(frozen=True, slots=True)
class Score:
    """What a provider's answers add up to."""

    provider: str
    model: str
    given: Sequence[Given]

    def document(self) -> dict[str, Any]:
        """Return the figures; shares are from 0 to 1, None where there is nothing to share."""
        given = self.given
        chosen = [one for one in given if one.chosen is not None]
        claims = self.claims()
        latencies = sorted(one.latency_ms for one in given)
        cost = sum((one.usage.cost_usd for one in given), Decimal(0))
        return {
            "provider": self.provider,
            "model": self.model,
            "incidents": len(given),
            "accuracy": _share(one.is_right for one in given),
            "accuracy_of_choices": _share(one.is_right for one in chosen),
            "abstention": _share(one.chosen is None and one.outcome != _ERROR for one in given),
            "errors": sum(one.outcome == _ERROR for one in given),
            "would_act": sum(one.acts for one in given),
            "would_act_wrongly": sum(one.acts and not one.is_right for one in given),
            "calibration_error": round(calibration_error(claims), 4) if claims else None,
            "reliability": [
                {"claimed": round(mean, 4), "came_true": round(share, 4), "number": number}
                for mean, share, number in reliability(claims)
            ],
            "by_kind": {
                kind: _share(one.is_right for one in given if one.case.kind == kind) for kind in KINDS
            },
            "tokens": {
                "input": sum(one.usage.input_tokens for one in given),
                "output": sum(one.usage.output_tokens for one in given),
            },
            "cost_usd": str(cost),
            "latency_ms": {"p50": _at(latencies, 0.5), "p95": _at(latencies, 0.95)},
        }

    def claims(self) -> list[tuple[float, bool]]:
        """Return each choice's confidence, and whether it was right."""
        return [(one.confidence, one.is_right) for one in self.given if one.chosen is not None]


async def evaluate(
    provider: Provider,
    cases: Iterable[Case],
    *,
    prose: str = WITHHELD,
    vocabulary: frozenset[str] = frozenset(),
) -> Score:
    """Ask a provider about each incident, one after the other, without budgets, cache or second tries.

    Args:
        provider: Who is asked.
        cases: The labelled incidents.
        prose: What becomes of free text, as a policy says it.
        vocabulary: Words of the packs.
    """
    given = [await _ask(provider, case, prose, vocabulary) for case in cases]
    return Score(provider.name, provider.model, given)


async def _ask(provider: Provider, case: Case, prose: str, vocabulary: frozenset[str]) -> Given:
    mask = Mask(Redactor(), case.incident, prose=prose, vocabulary=vocabulary, shows=case.guidance.shows)
    question = Question(
        NOBODY, case.incident, pattern_signature(case.incident), case.choices,
        make_prompt(mask, case.incident, case.choices, case.guidance.text),
    )  # fmt: skip
    begun = time.perf_counter()
    usage = Usage()
    try:
        reply = await provider.ask(question)
        usage = reply.usage
        answer = read_answer(_revealed(reply.value, mask), case.choices, case.incident)
    except (ProviderError, AnswerError) as error:
        detail = error.code if isinstance(error, ProviderError) else "malformed"
        spent = error.usage if isinstance(error, ProviderError) else usage
        return Given(case, None, 0.0, _ERROR, False, spent, _since(begun), detail)
    chosen = answer.choice.key if answer.choice is not None else None
    is_right = chosen == case.expected and (
        not case.parameters or dict(answer.parameters) == dict(case.parameters)
    )
    outcome = _ABSTAINED if chosen is None else ("right" if is_right else "wrong")
    return Given(case, chosen, answer.confidence, outcome, is_right, usage, _since(begun))


def table(scores: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the figures of several providers as rows of a table, side by side."""
    rows = [
        ("incidents", [str(score["incidents"]) for score in scores]),
        ("accuracy", [_percent(score["accuracy"]) for score in scores]),
        ("accuracy of choices", [_percent(score["accuracy_of_choices"]) for score in scores]),
        ("abstention", [_percent(score["abstention"]) for score in scores]),
        ("would act", [str(score["would_act"]) for score in scores]),
        ("would act wrongly", [str(score["would_act_wrongly"]) for score in scores]),
        ("calibration error", [_percent(score["calibration_error"]) for score in scores]),
    ]
    rows += [
        (f"right: {kind.replace('_', ' ')}", [_percent(score["by_kind"][kind]) for score in scores])
        for kind in KINDS
    ]
    return [
        *rows,
        ("errors", [str(score["errors"]) for score in scores]),
        ("tokens", [str(sum(score["tokens"].values())) for score in scores]),
        ("cost, USD", [score["cost_usd"] for score in scores]),
        ("latency p50, ms", [f"{score['latency_ms']['p50']:.1f}" for score in scores]),
        ("latency p95, ms", [f"{score['latency_ms']['p95']:.1f}" for score in scores]),
    ]


def _revealed(value: Any, mask: Mask) -> Any:
    if isinstance(value, dict) and "parameters" in value:
        return {**value, "parameters": mask.reveal(value["parameters"])}
    return value


def _share(truths: Iterable[bool]) -> float | None:
    values = list(truths)
    return round(sum(values) / len(values), 4) if values else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _at(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else 0.0


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
