"""Answers the runner before each step: the stop switch, open breakers, and at the first step the limits, too."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fettle.healing.brakes import admissions
from fettle.healing.brakes.admissions import Wanted
from fettle.healing.brakes.breakers import host_key
from fettle.healing.brakes.limits import action_limits
from fettle.healing.brakes.standing import brakes_of, names_of
from fettle.healing.plans import RUNBOOK_TOOL
from fettle.kernel.clock import utcnow
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.packs.service import active_packs
from fettle.tools.ledger import Execute, Phase
from fettle.tools.playbooks import Bundle, Call, Parallel, Step
from fettle.tools.runs import Run
from fettle.tools.step_guard import GUARD, Refusal

_BY: Final = "system:brakes"


class BrakeGuard:
    """Asked in ``Platform.parts["tools.guard"]``.

    Args:
        platform: The process's parts.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def ask(self, run: Run, bundle: Bundle, calls: Sequence[Execute], *, began: bool) -> Refusal | None:
        """Return why calls of tools may not begin, None where they may.

        The stop switch lets nothing begin, not even what undoes or verifies: nothing acts. Everything else lets
        a run that began undo and verify. Limits are asked once, before a run's first call.
        """
        brakes = await brakes_of(self._platform).of(run.tenant_id)
        if brakes.stop is not None:
            stopped = brakes.stop.brake()
            return Refusal(stopped.reason, stopped.detail, brakes.stop.by, undo=False)
        acting = [call for call in calls if call.phase is Phase.ACT]
        if not acting:
            return None
        host = host_key(run.incident.get("host"))
        tools = {call.tool for call in acting}
        if began:
            standing = brakes.on(playbook=run.playbook_id, host=host, tools=tools, now=utcnow())
            # The run that tries a breaker goes on whatever that breaker says.
            is_probe = any(circuit.probe == run.id for circuit in brakes.breakers.values())
            if standing is not None and not is_probe:
                return Refusal(standing.reason, standing.detail, _BY)
        if run.admitted:
            return None
        return await self._begin(run, bundle, began=began, host=host, standing=brakes.breakers)

    async def _begin(
        self, run: Run, bundle: Bundle, *, began: bool, host: str, standing: Mapping[tuple[str, str], object]
    ) -> Refusal | None:
        packs = await active_packs(self._platform, run.tenant_id)
        limits = action_limits(packs.policy)
        tools = {call.tool for call in _calls(bundle)}
        near = [
            name for name in names_of(playbook=run.playbook_id, host=host, tools=tools) if name in standing
        ]
        if not near and not limits.any:
            # A run that was leased before may have been held by what holds nothing any more.
            if run.fence > 1:
                await admissions.release(self._platform, run.tenant_id, run.id)
            run.admitted = True
            return None
        wanted = Wanted(
            tenant_id=run.tenant_id,
            run_id=run.id,
            incident_id=run.incident_id,
            playbook=run.playbook_id,
            definition=run.definition_hash,
            host=host,
            disruptive=_is_disruptive(bundle, packs),
            began=began,
            breakers=sorted(near),
            limits=limits,
        )
        held = await admissions.ask(self._platform, wanted)
        if held is None:
            run.admitted = True
            return None
        return Refusal(held.reason, held.detail, _BY, until=held.until)


def register(platform: Platform) -> None:
    """Have runs of this process ask the brakes."""
    platform.parts[GUARD] = BrakeGuard(platform)


def _is_disruptive(bundle: Bundle, packs: ActivePacks) -> bool:
    """Say whether users notice: a runbook is disruptive, or which one it will be is not known beforehand."""
    for call in _calls(bundle):
        if call.tool != RUNBOOK_TOOL:
            continue
        given = call.inputs.source
        name = given.get("runbook_id") if isinstance(given, Mapping) else None
        document = packs.runbooks.get(name) if isinstance(name, str) else None
        if document is None or document.get("disruptive"):
            return True
    return False


def _calls(bundle: Bundle) -> Iterator[Call]:
    for playbook in (bundle.main, *bundle.library.values()):
        yield from _of_steps(playbook.steps)


def _of_steps(steps: Sequence[Step]) -> Iterator[Call]:
    for step in steps:
        match step.body:
            case Call():
                yield step.body
            case Parallel():
                yield from _of_steps(step.body.steps)
            case _:
                pass
