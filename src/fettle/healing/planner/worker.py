"""The planner at work: takes requests under a lease, asks the chain outside of any transaction, brings the outcome."""

import asyncio
import contextlib
from collections import defaultdict
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from fettle.healing.planner import requests
from fettle.healing.planner.breaker import breakers_of
from fettle.healing.planner.chain import Planner
from fettle.healing.planner.concluding import conclude, offered
from fettle.healing.planner.endpoints import ANTHROPIC, OPENAI, Endpoint, read_chain
from fettle.healing.planner.requests import PlanRequest
from fettle.healing.planner.retrieval import RetrievalPlanner
from fettle.healing.planner.wires import AnthropicCompatible, OpenAICompatible
from fettle.healing.planner.words import Attempt, L2Decision, Provider
from fettle.healing.signature import pattern_signature
from fettle.kernel.context import tenant_id as tenant_context
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.tools.egress import Egress

CAPACITY: Final = 16
MOST_LEASES: Final = 5
"""A request over which so many workers died goes to a person."""

_POLL_SECONDS: Final = 0.5
_DATABASE_TROUBLE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)

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
    # The planner's endpoints are listed apart, so that no playbook reaches a model and no model's list a tool's.
    egress = Egress(settings.model_copy(update={"egress_allow": settings.planner_allow}))
    providers = [_provider(platform, entry, egress) for entry in read_chain(settings)]
    return Planner(
        platform.database,
        providers,
        breakers_of(platform),
        timeout_seconds=settings.planner_timeout_seconds,
    )


def _provider(platform: Platform, entry: Endpoint, egress: Egress) -> Provider:
    if entry.kind == OPENAI:
        return OpenAICompatible(entry, egress, platform.settings.planner_timeout_seconds)
    if entry.kind == ANTHROPIC:
        return AnthropicCompatible(entry, egress, platform.settings.planner_timeout_seconds)
    return RetrievalPlanner(platform.database)


class PlannerWorker:
    """One process's share of the planning.

    Args:
        platform: The process's parts.
        planner: The chain.
        capacity: Most requests at once.
    """

    def __init__(self, platform: Platform, planner: Planner, *, capacity: int = CAPACITY) -> None:
        self._platform = platform
        self._planner = planner
        self._capacity = capacity
        self._owner = new_id()
        self._lease_seconds = platform.settings.lease_seconds
        self._active: dict[asyncio.Task[None], PlanRequest] = {}
        self._ended = asyncio.Event()
        self._patterns: defaultdict[tuple[UUID, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Plan until cancelled."""
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(wake), name="planner-wakeup")
            group.create_task(self._keep_leases(), name="planner-leases")
            try:
                await self._lease(wake)
            finally:
                await self._stop()

    async def run_once(self) -> int:
        """Plan what is due now; returns how many requests that were."""
        leased = await requests.lease(
            self._platform.database, self._owner, self._capacity, self._lease_seconds
        )
        keeper = asyncio.create_task(self._keep_leases())
        for request in leased:
            self._begin(request)
        while self._active:
            await asyncio.wait(list(self._active))
        keeper.cancel()
        return len(leased)

    async def _lease(self, wake: asyncio.Event) -> None:
        while True:
            room = self._capacity - len(self._active)
            if not room:
                self._ended.clear()
                await self._ended.wait()
                continue
            wake.clear()
            try:
                leased = await requests.lease(self._platform.database, self._owner, room, self._lease_seconds)
            except _DATABASE_TROUBLE as error:
                log.warning("planner.interrupted", error=type(error).__name__)
                leased = []
            for request in leased:
                self._begin(request)
            if not leased:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()

    def _begin(self, request: PlanRequest) -> None:
        task = asyncio.create_task(self._work(request), name=f"plan-{request.incident_id}")
        self._active[task] = request
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._active.pop(task, None)
        if not self._active:
            self._patterns.clear()
        self._ended.set()

    async def _work(self, request: PlanRequest) -> None:
        tenant_context.set(str(request.tenant_id))
        try:
            decision = await self._decision(request)
            if not await conclude(self._platform, request, decision):
                log.warning("planner.lease_lost", incident_id=str(request.incident_id))
        except _DATABASE_TROUBLE as error:
            # Nothing was written; whoever leases the request next begins anew.
            log.warning("planner.request_interrupted", error=type(error).__name__)
        except Exception:
            log.exception("planner.request_broke", incident_id=str(request.incident_id))

    async def _decision(self, request: PlanRequest) -> L2Decision:
        signature = pattern_signature(request.incident)
        if request.fence > MOST_LEASES:
            detail = f"{MOST_LEASES} workers ended over it."
            return L2Decision(None, signature, attempts=(Attempt("planner", "", "broke", detail, 0),))
        async with self._platform.database.tenant(request.tenant_id) as session:
            _, packs, choices = await offered(self._platform, session, request)
        # Of many incidents of one pattern, the first is planned and the others find its answer.
        async with self._patterns[request.tenant_id, signature]:
            return await self._planner.plan(request.tenant_id, request.incident, choices, packs.policy)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            held = list(self._active.values())
            if not held:
                continue
            try:
                await requests.renew(self._platform.database, self._owner, held, self._lease_seconds)
            except _DATABASE_TROUBLE as error:
                log.warning("planner.renewal_failed", error=type(error).__name__)

    async def _listen(self, wake: asyncio.Event) -> None:
        while True:
            try:
                connection = await self._platform.database.listen(wake)
            except _DATABASE_TROUBLE:
                await asyncio.sleep(1.0)
                continue
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _, ended=ended: ended.set())
            try:
                await ended.wait()
            finally:
                with contextlib.suppress(*_DATABASE_TROUBLE):
                    await connection.close(timeout=1.0)

    async def _stop(self) -> None:
        held = dict(self._active)
        for task in held:
            task.cancel()
        if held:
            await asyncio.wait(list(held))
            with contextlib.suppress(*_DATABASE_TROUBLE):
                await requests.release(self._platform.database, self._owner, list(held.values()))
