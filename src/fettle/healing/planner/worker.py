"""The planner at work: takes requests under a lease, asks the chain outside of any transaction, brings the outcome."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog

from fettle.healing.planner import requests
from fettle.healing.planner.breaker import breakers_of
from fettle.healing.planner.chain import Planner
from fettle.healing.planner.concluding import conclude, leave_to_person, offered
from fettle.healing.planner.costs import note_spent
from fettle.healing.planner.endpoints import read_chain
from fettle.healing.planner.guidance import Guidance
from fettle.healing.planner.requests import PlanRequest
from fettle.healing.planner.retrieval import RetrievalPlanner
from fettle.healing.planner.vocabulary import vocabulary_of
from fettle.healing.planner.wires import egress_to_models, provider_of
from fettle.healing.planner.words import Attempt, L2Decision
from fettle.healing.signature import pattern_signature
from fettle.kernel.database import is_contended, is_unreachable
from fettle.kernel.leasing import LeasedWork, keep_listening
from fettle.kernel.platform import Platform

CAPACITY: Final = 16
MOST_LEASES: Final = 5
"""A request over which so many workers died, or whose outcome broke at so many, goes to a person."""

_POLL_SECONDS: Final = 0.5

log = structlog.get_logger("fettle.planner")


async def run_planner(platform: Platform) -> None:
    """Plan until cancelled; what is under way is then given back."""
    await PlannerWorker(platform, make_planner(platform)).run()


def make_planner(platform: Platform) -> Planner:
    """Return the chain that the operator chose.

    Raises:
        SettingsError: It cannot be read.
    """
    settings = platform.settings
    egress = egress_to_models(settings)
    providers = [
        provider_of(entry, egress, settings) or RetrievalPlanner(platform.database)
        for entry in read_chain(settings)
    ]
    return Planner(
        platform.database,
        providers,
        breakers_of(platform),
        timeout_seconds=settings.planner_timeout_seconds,
    )


class PlannerWorker(LeasedWork[PlanRequest]):
    """One process's share of the planning.

    Args:
        platform: The process's parts.
        planner: The chain.
        capacity: Most requests at once.
    """

    def __init__(self, platform: Platform, planner: Planner, *, capacity: int = CAPACITY) -> None:
        # A model may think for long; at the end nobody waits for it, and another process asks anew.
        super().__init__(
            platform, "planner", capacity=capacity, poll_seconds=_POLL_SECONDS, grace_seconds=0.0
        )
        self._planner = planner
        self._patterns: defaultdict[tuple[UUID, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def _lease(self, limit: int) -> list[PlanRequest]:
        return await requests.lease(self._database, self._owner, limit, self._lease_seconds)

    async def _renew(self, held: list[PlanRequest]) -> None:
        await requests.renew(self._database, self._owner, held, self._lease_seconds)

    async def _release(self, held: list[PlanRequest]) -> None:
        await requests.release(self._database, self._owner, held)

    async def _watch(self) -> None:
        await keep_listening(self._database, self._wake, requests.CHANNEL)

    def _end(self, one: PlanRequest) -> None:
        super()._end(one)
        if not self._active:
            self._patterns.clear()

    async def _do(self, request: PlanRequest) -> None:
        try:
            if not await self._plan(request):
                log.warning("planner.lease_lost", incident_id=str(request.incident_id))
        except Exception as error:
            # Nothing was written; whoever leases the request next begins anew.
            if is_unreachable(error) or is_contended(error):
                log.warning("planner.request_interrupted", error=type(error).__name__)
            else:
                log.exception("planner.request_broke", incident_id=str(request.incident_id))

    async def _plan(self, request: PlanRequest) -> bool:
        decision = L2Decision(None, pattern_signature(request.incident))
        try:
            decision = await self._decision(request)
            return await conclude(self._platform, request, decision)
        except Exception as error:
            # Without an answer of the database nobody knows whether the outcome was written, and its cost with it.
            if not is_unreachable(error):
                await self._note_spent(request, decision)
            if request.fence < MOST_LEASES or is_unreachable(error) or is_contended(error):
                raise
            log.exception("planner.request_given_up", incident_id=str(request.incident_id))
            broke = Attempt("planner", "", "broke", f"Its outcome broke: {type(error).__name__}.", 0)
        return await leave_to_person(
            self._platform, request, replace(decision, attempts=(*decision.attempts, broke))
        )

    async def _note_spent(self, request: PlanRequest, decision: L2Decision) -> None:
        """Keep what a decision cost whose outcome was undone: the next one costs anew."""
        try:
            async with self._database.tenant(request.tenant_id) as session:
                await note_spent(session, request.tenant_id, decision)
        except Exception:
            # A figure that is lost must not hide why the outcome broke, nor keep the incident from a person.
            log.exception("planner.cost_unrecorded", incident_id=str(request.incident_id))

    async def _decision(self, request: PlanRequest) -> L2Decision:
        signature = pattern_signature(request.incident)
        if request.fence > MOST_LEASES:
            detail = f"{MOST_LEASES} workers ended over it."
            return L2Decision(None, signature, attempts=(Attempt("planner", "", "broke", detail, 0),))
        async with self._database.tenant(request.tenant_id) as session:
            _, packs, choices = await offered(self._platform, session, request)
        check_type = str(request.incident.get("check_type") or "")
        # Of many incidents of one pattern, the first is planned and the others find its answer.
        async with self._patterns[request.tenant_id, signature]:
            return await self._planner.plan(
                request.tenant_id,
                request.incident,
                choices,
                packs.policy,
                vocabulary_of(packs),
                Guidance.of(packs.guidance(check_type), check_type),
            )
