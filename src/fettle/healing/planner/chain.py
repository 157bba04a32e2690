"""Asks the providers in an operator's order until one is sure; whatever fails, the caller gets a decision."""

import asyncio
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import structlog

from fettle.healing.planner import budgets, costs
from fettle.healing.planner.answers import AnswerError, read_answer
from fettle.healing.planner.breaker import Breakers
from fettle.healing.planner.budgets import Budget
from fettle.healing.planner.cache import cache_key, keep_answer, known_answer
from fettle.healing.planner.confidence import corrected
from fettle.healing.planner.guidance import NONE, Guidance
from fettle.healing.planner.masking import WITHHELD, Mask
from fettle.healing.planner.prompting import make_prompt
from fettle.healing.planner.words import (
    SURE,
    Answer,
    Attempt,
    Candidate,
    L2Decision,
    Provider,
    ProviderError,
    Question,
    Reply,
    Usage,
)
from fettle.healing.signature import pattern_signature
from fettle.kernel.database import Database
from fettle.kernel.redaction import redactor_of

_TRIES: Final = 3
_LONGEST_WAIT_SECONDS: Final = 10.0
_FIRST_WAIT_SECONDS: Final = 0.25
_SICK: Final = frozenset(
    {"timeout", "unreachable", "protocol", "tls", "rate_limited", "server", "credentials"}
)
"""What says that a provider is not well. What an incident's own text may bring about is not among it: else one
tenant's payload could keep every tenant from a provider."""

log = structlog.get_logger("fettle.planner")


@dataclass(slots=True)
class _Course:
    """One question on its way through the chain."""

    question: Question
    mask: Mask
    budget: Budget
    sure: float
    guidance: Guidance = NONE
    attempts: list[Attempt] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    best: tuple[Answer, Provider] | None = None


@dataclass(slots=True)
class _Tried:
    """What has come of asking one provider so far."""

    outcome: str = "broke"
    detail: str = "It ended in an error of Fettle's own."
    answer: Answer | None = None
    calls: int = 0
    spent: Usage = field(default_factory=Usage)


class Planner:
    """The chain.

    Args:
        database: Budgets, cache and memories.
        providers: In the order in which they are asked.
        breakers: One for each provider.
        timeout_seconds: For one call of one provider.
        whole_seconds: For everything.
    """

    def __init__(
        self,
        database: Database,
        providers: Sequence[Provider],
        breakers: Breakers,
        *,
        timeout_seconds: float,
        whole_seconds: float = 120.0,
    ) -> None:
        self._database = database
        self._providers = tuple(providers)
        self._breakers = breakers
        self._timeout = timeout_seconds
        self._whole = whole_seconds

    async def plan(
        self,
        tenant_id: UUID,
        incident: Mapping[str, Any],
        candidates: Sequence[Candidate],
        policy: Mapping[str, Any],
        vocabulary: Collection[str] = frozenset(),
        guidance: Guidance = NONE,
    ) -> L2Decision:
        """Return what is to be done for an incident; it never raises for want of an answer.

        Args:
            tenant_id: For whom.
            incident: As it was triaged.
            candidates: What may be chosen.
            policy: The tenant's Policy Pack.
            vocabulary: Words of the tenant's packs, which a model may see.
            guidance: What the incident's pack says.
        """
        begun = time.monotonic()
        signature = pattern_signature(incident)
        chosen = policy.get("planner") or {}
        sure = max(SURE, float(chosen.get("least_confidence", SURE)))
        prose = chosen.get("prose", WITHHELD)
        mask = Mask(
            redactor_of(tenant_id), incident, prose=prose, vocabulary=vocabulary, shows=guidance.shows
        )
        if not candidates:
            nothing = Attempt(
                "planner", "", "no_candidate", "The policy allows nothing for this incident.", 0
            )
            return L2Decision(None, signature, attempts=(nothing,), sure=sure)
        prompt = make_prompt(mask, incident, candidates, guidance.text)
        question = Question(tenant_id, incident, signature, candidates, prompt)
        course = _Course(question, mask, Budget.of(policy), sure, guidance)
        try:
            async with asyncio.timeout(self._whole):
                known = await self._from_cache(course, sure)
                if known is not None:
                    return replace(known, latency_ms=_since(begun))
                await self._ask_all(course)
        except TimeoutError:
            course.attempts.append(
                Attempt(
                    "planner", "", "timeout", f"No answer within {self._whole:g} s in all.", _since(begun)
                )
            )
        except Exception as error:
            log.exception("planner.broke", incident_id=str(incident.get("id")))
            course.attempts.append(Attempt("planner", "", "broke", type(error).__name__, _since(begun)))
        return await self._concluded(course, begun)

    async def _ask_all(self, course: _Course) -> None:
        for provider in self._providers:
            answer = await self._ask(course, provider)
            if answer is None or answer.choice is None:
                continue
            if course.best is None or answer.confidence > course.best[0].confidence:
                course.best = (answer, provider)
            if answer.confidence >= course.sure:
                return

    async def _ask(self, course: _Course, provider: Provider) -> Answer | None:
        """Ask one provider, again where that may help; whatever comes of it is among the attempts."""
        begun = time.monotonic()
        tried = _Tried()
        try:
            await self._try(course, provider, tried)
        except asyncio.CancelledError:
            tried.outcome, tried.detail = "timeout", "It had not answered when the time for all was over."
            raise
        finally:
            course.usage += tried.spent
            course.attempts.append(
                Attempt(
                    provider.name,
                    provider.model,
                    tried.outcome,
                    tried.detail,
                    _since(begun),
                    tried.spent,
                    tried.calls,
                )
            )
        return tried.answer

    async def _try(self, course: _Course, provider: Provider, tried: _Tried) -> None:
        for number in range(_TRIES):
            if not await self._breakers.may_ask(provider.name):
                if not tried.calls:
                    tried.outcome = "resting"
                    tried.detail = "It failed too often just now and is left alone."
                return
            tried.calls += 1
            try:
                reply = await self._call(course, provider)
                tried.spent += reply.usage
                tried.answer = await self._corrected(course, provider, self._read(course, reply))
            except ProviderError as error:
                tried.spent += error.usage
                tried.outcome, tried.detail = error.code, error.message
                await self._note(provider, error)
                wait = _wait(error, number)
                if wait is None or number == _TRIES - 1:
                    return
                await asyncio.sleep(wait)
                continue
            await self._breakers.note(provider.name, answered=True)
            tried.outcome, tried.detail = _told(tried.answer, course.sure)
            return

    async def _note(self, provider: Provider, error: ProviderError) -> None:
        """Let the breaker know: what a provider is ill with counts, what an incident brought about does not."""
        if error.code in _SICK:
            await self._breakers.note(provider.name, answered=False)
        elif error.code != "budget":
            await self._breakers.note(provider.name, answered=True)

    async def _call(self, course: _Course, provider: Provider) -> Reply:
        question = course.question
        held = None
        if provider.is_charged:
            most = provider.most_cost(question.prompt)
            held = await budgets.reserve(self._database, question.tenant_id, course.budget, most)
            if held is None:
                raise ProviderError(
                    "budget", "The day's budget of the tenant does not hold it.", retryable=False
                )
        try:
            async with asyncio.timeout(self._timeout):
                reply = await provider.ask(question)
        except TimeoutError:
            # What was held stays counted: nobody knows what the other side took for it.
            raise ProviderError("timeout", f"No answer within {self._timeout:g} s.", retryable=True) from None
        except ProviderError as error:
            if held is not None and error.code != "timeout":
                await budgets.correct(self._database, question.tenant_id, held, error.usage)
            raise
        if held is not None:
            await budgets.correct(self._database, question.tenant_id, held, reply.usage)
        return reply

    async def _corrected(self, course: _Course, provider: Provider, answer: Answer) -> Answer:
        """Return an answer with its confidence as it came true before for this tenant, never a higher one."""
        if answer.choice is None:
            return answer
        known = await costs.claims(self._database, course.question.tenant_id, provider.name)
        confidence = corrected(answer.confidence, [(one.claimed, one.healed) for one in known])
        return replace(answer, confidence=confidence, claimed=answer.confidence)

    def _read(self, course: _Course, reply: Reply) -> Answer:
        value = reply.value
        if isinstance(value, dict) and "parameters" in value:
            value = {**value, "parameters": course.mask.reveal(value["parameters"])}
        try:
            answer = read_answer(value, course.question.candidates, course.question.incident)
        except AnswerError as error:
            raise ProviderError("malformed", str(error), retryable=True) from None
        return replace(answer, reasoning=course.mask.redact(answer.reasoning))

    async def _from_cache(self, course: _Course, sure: float) -> L2Decision | None:
        question = course.question
        found = await known_answer(
            self._database, question.tenant_id, self._key(course), question.candidates, question.incident
        )
        if found is None or found[0].confidence < sure:
            return None
        answer, provider, model = found
        attempt = Attempt(provider, model, "cached", "It answered before for the same pattern.", 0)
        return L2Decision(
            self._told_here(course, answer),
            question.signature,
            provider,
            model,
            cached=True,
            attempts=(attempt,),
            sure=sure,
            claimed=_claimed(answer),
        )

    async def _concluded(self, course: _Course, begun: float) -> L2Decision:
        answer, provider = course.best or (None, None)
        question = course.question
        if answer is not None and provider is not None:
            if provider.is_charged and answer.confidence >= course.sure:
                await self._keep(course, answer, provider)
            answer = self._told_here(course, answer)
        return L2Decision(
            answer,
            question.signature,
            provider.name if provider is not None else "",
            provider.model if provider is not None else "",
            course.usage,
            _since(begun),
            attempts=tuple(course.attempts),
            sure=course.sure,
            claimed=_claimed(answer),
        )

    async def _keep(self, course: _Course, answer: Answer, provider: Provider) -> None:
        question = course.question
        try:
            await keep_answer(
                self._database, question.tenant_id, self._key(course), question.signature, answer,
                provider.name, provider.model,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - an answer that is not kept is asked for again
            log.warning("planner.answer_not_kept", error=type(error).__name__)

    def _key(self, course: _Course) -> str:
        names = [provider.name for provider in self._providers]
        return cache_key(course.question.signature, course.question.candidates, names, course.guidance.text)

    def _told_here(self, course: _Course, answer: Answer) -> Answer:
        """Return an answer with its words as they may be shown: with machines, without people and secrets."""
        return replace(answer, reasoning=course.mask.tell(answer.reasoning))


def _claimed(answer: Answer | None) -> float:
    if answer is None:
        return 0.0
    return answer.confidence if answer.claimed is None else answer.claimed


def _told(answer: Answer, sure: float) -> tuple[str, str]:
    if answer.choice is None:
        return "abstained", "It found nothing that clearly fits."
    if answer.confidence < sure:
        return "unsure", f"It would choose {answer.choice.name}, and is {answer.confidence:.0%} sure of it."
    return "chosen", f"It chose {answer.choice.name}, and is {answer.confidence:.0%} sure of it."


def _wait(error: ProviderError, number: int) -> float | None:
    """Return how long to wait before asking again, None for not at all."""
    if not error.retryable:
        return None
    if error.retry_after_seconds is not None:
        return error.retry_after_seconds if error.retry_after_seconds <= _LONGEST_WAIT_SECONDS else None
    return float(_FIRST_WAIT_SECONDS * 2**number) * (0.5 + random.random())  # noqa: S311 - spreads tries, no secret


def _since(begun: float) -> int:
    return int((time.monotonic() - begun) * 1000)
