"""Executes runs: leases them, asks the step machine what is next, records it, and only then does it.

The order holds for every effect: its start is committed under the run's fencing token, then the tool is
called, then what came of it is committed, together with the start of what follows. Hundreds of runs share a commit.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from fettle.kernel.clock import utcnow
from fettle.kernel.database import DATABASE_TROUBLE, is_unreachable
from fettle.kernel.errors import Problem
from fettle.kernel.group_commit import GroupCommitter
from fettle.kernel.leasing import LeasedWork
from fettle.kernel.platform import Platform
from fettle.tools import playbook_reader, recording, runs
from fettle.tools.calling import Caller, Outcome, lost, perform
from fettle.tools.ledger import BRAKE, Decision, Execute, Finish, Note, Phase, Record, State
from fettle.tools.ledger import Outcome as RunOutcome
from fettle.tools.playbooks import Bundle, PlaybookError
from fettle.tools.progress import advance
from fettle.tools.registry import ToolError, ToolRegistry
from fettle.tools.remembering import Remembered
from fettle.tools.run_leasing import POLL_SECONDS, RunLeasing
from fettle.tools.runs import LeaseLost, Run, Stopped, Write
from fettle.tools.step_guard import Refusal, guard_of, has_begun

CAPACITY: Final = 256
_LEASE_BATCH: Final = 128
_SHORT_WAIT_SECONDS: Final = 1.0

log = structlog.get_logger("fettle.runner")


class RunExecutor(LeasedWork[Run]):
    """One process's share of all runs.

    Args:
        platform: The process's parts.
        registry: The tools that runs may call.
        capacity: Runs under way at once.
    """

    def __init__(self, platform: Platform, registry: ToolRegistry, *, capacity: int = CAPACITY) -> None:
        super().__init__(
            platform,
            "runner",
            capacity=capacity,
            batch=_LEASE_BATCH,
            least_room=min(_LEASE_BATCH, capacity) // 2,
            poll_seconds=POLL_SECONDS,
            grace_seconds=platform.settings.lease_seconds,
        )
        self._registry = registry
        # A definition is named by the hash of its content, so it never grows old.
        self._bundles = Remembered(self._load, fresh_seconds=float("inf"))
        self._committer: GroupCommitter[Write, None] = GroupCommitter(
            lambda batch: runs.write(self._database, batch), max_batch=256, lanes=2
        )
        self._stopping = False
        self._interrupted: list[Run] = []
        self._leasing = RunLeasing(platform, self._owner, self._wake)

    async def _lease(self, limit: int) -> list[Run]:
        if interrupted := self._interrupted[:]:
            await self._release(interrupted)
            del self._interrupted[: len(interrupted)]
        return await self._leasing.take(limit)

    async def _release(self, held: list[Run]) -> None:
        await runs.release(self._database, [(run.id, run.fence) for run in held])

    async def _watch(self) -> None:
        await self._leasing.listen()

    async def _do(self, run: Run) -> None:
        try:
            await self._drive(run)
        finally:
            self._leasing.done(run)

    async def _drive(self, run: Run) -> None:
        try:
            bundle = await self._bundles.get((run.tenant_id, run.definition_hash))
            await _Drive(self, run, bundle).to_the_end()
        except LeaseLost:
            log.warning("runner.lease_lost", run_id=str(run.id))
        except PlaybookError as error:
            await self._give_up(run, f"the playbook cannot be read: {error}")
        except Problem as problem:
            await self._give_up(run, problem.detail)
        except DATABASE_TROUBLE as error:
            # Nothing is known of the last write; whoever leases the run next reads what the ledger holds.
            log.warning("runner.run_interrupted", run_id=str(run.id), error=type(error).__name__)
            # Back from an outage, nobody waits for a lease under which nobody works. A statement that is refused
            # would be so again: there the lease keeps the run from being tried without a pause.
            if is_unreachable(error):
                self._interrupted.append(run)
        except Exception as error:
            log.exception("runner.run_broke", run_id=str(run.id))
            await self._give_up(run, f"the executor broke: {type(error).__name__}")

    async def _give_up(self, run: Run, reason: str) -> None:
        log.error("runner.run_failed", run_id=str(run.id), reason=reason)
        decision = Decision(finish=Finish(RunOutcome.FAILED, reason))
        try:
            await self.submit(recording.record(run, [], decision, utcnow(), release_at=None))
        except Exception as error:  # noqa: BLE001 - the lease lapses, and the run is tried again
            log.warning("runner.run_left", run_id=str(run.id), error=type(error).__name__)

    async def submit(self, write: Write) -> None:
        """Record something with whatever else is due; returns once it is committed."""
        await self._committer.submit(write)

    async def stop(self, run: Run) -> None:
        """Let a run know that a person stopped it."""
        await runs.stop(self._database, run)

    async def refusal(self, run: Run, bundle: Bundle, calls: list[Execute]) -> Refusal | None:
        """Ask whether calls may begin; without anybody to ask, they may."""
        guard = guard_of(self._platform)
        if guard is None or not calls:
            return None
        return await guard.ask(run, bundle, calls, began=has_begun(run, bundle))

    async def perform(self, run: Run, execute: Execute) -> Outcome:
        """Call a tool, unless the run may be another's by now; a database that is away is waited for.

        Raises:
            LeaseLost: It may be.
        """
        caller = Caller(run.tenant_id, run.id, run.incident_id, run.incident)
        while True:
            if asyncio.get_running_loop().time() >= run.held_until and run.id not in await self._keep([run]):
                raise LeaseLost(str(run.id))
            try:
                return await perform(self._platform, self._registry, caller, execute)
            except DATABASE_TROUBLE:
                await asyncio.sleep(POLL_SECONDS)

    def is_idempotent(self, tool: str, version: str | None) -> bool:
        """Say whether a call that was cut off may be made again."""
        try:
            return self._registry.find(tool, version).idempotent
        except ToolError:
            return False

    async def _load(self, key: tuple[UUID, str]) -> Bundle:
        return playbook_reader.load(await runs.definition(self._database, *key))

    async def _renew(self, held: list[Run]) -> None:
        soon = asyncio.get_running_loop().time() + self._lease_seconds * 0.8
        if due := [run for run in held if run.held_until < soon]:
            await self._keep(due)

    async def _keep(self, held: list[Run]) -> set[UUID]:
        asked_at = asyncio.get_running_loop().time()
        kept = await runs.renew(
            self._database, self._owner, [(run.id, run.fence) for run in held], self._lease_seconds
        )
        for run in held:
            if run.id in kept:
                run.held_until = asked_at + self._lease_seconds
        return kept

    async def _stop(self) -> None:
        self._stopping = True
        await super()._stop()

    @property
    def is_stopping(self) -> bool:
        """Whether no further step shall begin."""
        return self._stopping


class _Drive:
    """Drives one run from what its ledger says to its end, or to a wait that is worth giving it back for."""

    def __init__(self, executor: RunExecutor, run: Run, bundle: Bundle) -> None:
        self._executor = executor
        self._run = run
        self._bundle = bundle
        self._ended: list[tuple[Execute, Outcome]] = []
        self._pending: dict[asyncio.Task[Outcome], Execute] = {}
        self._cut_off: set[str] = set()

    async def to_the_end(self) -> None:
        try:
            self._take_over()
            while await self._turn():
                pass
        finally:
            for task in self._pending:
                task.cancel()

    def _take_over(self) -> None:
        """Settle the calls that were under way when the process that had the run before ended."""
        for path, record in list(self._run.ledger.items()):
            if record.state is not State.STARTED:
                continue
            tool, version = recording.tool_of(self._bundle, path)
            if self._executor.is_idempotent(tool, version):
                self._cut_off.add(path)
                self._call_again(record)
            else:
                self._ended.append((recording.as_execute(record, tool), lost(path)))

    def _call_again(self, record: Record) -> None:
        if record.attempt == 1:
            del self._run.ledger[record.path]
            return
        record.attempt -= 1
        record.state = State.FAILED
        record.error = {"code": "interrupted", "message": "its process ended", "retryable": True}
        record.ended_at = self._run.started_at

    async def _turn(self) -> bool:
        now = utcnow()
        for execute, outcome in self._ended:
            self._run.ledger[execute.path] = recording.ended(execute, outcome, now)
        before = dict(self._run.ledger)
        decision = advance(self._bundle, self._run.parameters, self._run.incident, self._run.ledger, now)
        if self._executor.is_stopping:
            decision.execute.clear()
        refusal = await self._executor.refusal(self._run, self._bundle, decision.execute)
        if refusal is not None and (lost_calls := self._cut_off_among(decision)):
            self._ended += lost_calls
            return True
        if refusal is not None:
            decision = _braked(refusal)
        self._cut_off.difference_update(execute.path for execute in decision.execute)
        release_at = self._release_at(decision) if refusal is None else refusal.until
        write = recording.record(self._run, self._ended, decision, now, release_at=release_at)
        if not write.is_empty():
            try:
                await self._executor.submit(write)
            except Stopped:
                # Nothing of this turn was written, so it is taken again, with what the person said.
                self._run.ledger = before
                await self._executor.stop(self._run)
                return True
        self._ended = []
        if write.change is not None:
            return False
        # What is recorded as started is done, even if the process was asked to stop meanwhile.
        await self._do(decision)
        return True

    def _cut_off_among(self, decision: Decision) -> list[tuple[Execute, Outcome]]:
        """Return calls that were under way when their process ended, and that may not be made again now."""
        found = [execute for execute in decision.execute if execute.path in self._cut_off]
        self._cut_off.difference_update(execute.path for execute in found)
        return [(execute, lost(execute.path)) for execute in found]

    def _release_at(self, decision: Decision) -> recording.Moment | None:
        if self._pending or decision.execute or decision.finish is not None:
            return None
        if self._executor.is_stopping:
            return utcnow()
        if decision.wake_at is None:
            # Only a call that nobody makes any more leads here; the next lease settles it.
            return utcnow()
        wait_seconds = (decision.wake_at - utcnow()).total_seconds()
        return decision.wake_at if wait_seconds > _SHORT_WAIT_SECONDS else None

    async def _do(self, decision: Decision) -> None:
        calls = decision.execute
        if len(calls) == 1 and not self._pending:
            # The usual run has one step at a time, which needs no task of its own.
            self._ended.append((calls[0], await self._executor.perform(self._run, calls[0])))
            return
        for execute in calls:
            self._pending[asyncio.create_task(self._executor.perform(self._run, execute))] = execute
        wait_seconds = None
        if decision.wake_at is not None:
            wait_seconds = max(0.0, (decision.wake_at - utcnow()).total_seconds())
        if not self._pending:
            await asyncio.sleep(wait_seconds or 0.0)
            return
        done, _ = await asyncio.wait(self._pending, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self._ended.append((self._pending.pop(task), task.result()))


def _braked(refusal: Refusal) -> Decision:
    """Return what becomes of a run whose next step may not begin: it waits, or its ledger says who stopped it."""
    if refusal.until is not None:
        return Decision()
    said = {"by": refusal.by, "reason": refusal.detail, "undo": refusal.undo, "brake": refusal.reason}
    return Decision(notes=[Note(BRAKE, "Stop the run", Phase.ACT, State.SUCCEEDED, said)])
