"""Rules over time in the pipeline: they see accepted exceptions, in the transaction that moves the group's cursor."""

from collections.abc import Iterable
from typing import Final

from fettle.healing.temporal.current import Current, current_rules
from fettle.healing.temporal.keeping import Keeper
from fettle.healing.temporal.matching import Sighting
from fettle.healing.temporal.moments import read_time
from fettle.healing.temporal.raising import ACTOR, raise_all
from fettle.kernel import metrics
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import Event

GROUP: Final = "healing.temporal"
INGESTED: Final = "exception.ingested"

_RULES: Final = frozenset({"temporal_rule.created", "temporal_rule.changed", "temporal_rule.deleted"})
_SETS: Final = _RULES | {"pack.activated", "pack.rolled_back"}


async def see(batch: TenantBatch) -> None:
    """Let a tenant's rules see its exceptions; where no rule looks at any of them, nothing is read or written."""
    was_set = any(event.type in _SETS for event in batch.events)
    current = await current_rules(batch.platform, batch.session, batch.tenant_id, is_fresh=was_set)
    unheeded = _unheeded(current, batch.events) if was_set else []
    if not current.rules and not unheeded:
        return
    seen = [sighting for event in batch.events if (sighting := _sighting(current, event)) is not None]
    touches = [touch for sighting in seen for touch in current.rules.touched(sighting)]
    is_expecting = bool(current.rules.expecting) and not current.has_expected
    if not touches and not is_expecting and not unheeded:
        return
    now = utcnow()
    keeper = await Keeper.open(await driver(batch.session), batch.tenant_id, now)
    if unheeded:
        await keeper.drop_waiting(unheeded)
    if is_expecting:
        if keeper.expected != current.stamp:
            await keeper.expect(current.rules, current.stamp)
        metrics.after_commit(batch.session, current.know_expected)
    found = await keeper.take(touches)
    await keeper.save()
    await raise_all(batch.session, batch.tenant_id, found, keeper.limits, now)


def _unheeded(current: Current, changes: Iterable[Event]) -> list[str]:
    """Return the rules whose keys count no more: those that are gone, and those that wait and are switched off.

    What came meanwhile was not seen, so that once it is switched on again everything would be missing.
    """
    named = {str(event.data["temporal_rule_id"]) for event in changes if event.type in _RULES}
    known = {rule_id: current.rules.rules.get(rule_id) for rule_id in named}
    return sorted(
        rule_id for rule_id, rule in known.items() if rule is None or (rule.is_timed and not rule.enabled)
    )


def _sighting(current: Current, event: Event) -> Sighting | None:
    if event.type != INGESTED or event.metadata.get("actor") == ACTOR:
        return None
    exception = event.data["exception"]
    if not current.may_see(exception["check_type"]):
        return None
    body = current.packs.normalise(exception)
    body.setdefault("status", "firing")
    return Sighting(str(event.stream_id), body, read_time(exception.get("occurred_at")), event.occurred_at)


CONSUMERS: Final = [ConsumerSpec(GROUP, frozenset({INGESTED}) | _SETS, see)]
