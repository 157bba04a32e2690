"""A person makes a rule over time forget one key: what it counted and waits for there is as if it had never been."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.keeping import Keeper
from fettle.healing.temporal.queries import shown
from fettle.healing.temporal.rules import TemporalRule
from fettle.healing.temporal.service import RULES
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import NotFound
from fettle.kernel.events import NewEvent


async def forget_key(
    session: AsyncSession, tenant_id: UUID, rule: TemporalRule, key_id: str, *, actor: str
) -> dict[str, Any]:
    """Forget what a rule remembers of one key; a key that the rule expects is looked for anew.

    What was raised about it stays: its incident is ended by a person, for nobody says any more that it is over.

    Args:
        session: With the tenant bound, in a transaction that has locked nothing yet.
        tenant_id: The owner.
        rule: The rule as it holds now.
        key_id: The key's id, as the list of keys says it.
        actor: Who forgets it.

    Returns:
        The key as people read it, before.

    Raises:
        NotFound: The rule remembers no such key.
    """
    keeper = await Keeper.open(await driver(session), tenant_id, utcnow())
    row = await keeper.forget(rule, key_id)
    if row is None:
        raise NotFound(
            f"{rule.id} remembers no key {key_id}; it may have been forgotten since the list was read."
        )
    await keeper.save()
    told = NewEvent(
        stream_type="temporal_rule",
        stream_id=RULES.kept.stream(tenant_id, rule.id),
        type="temporal_rule.key_forgotten",
        data={"temporal_rule_id": rule.id, "key": row["key"]},
        actor=actor,
    )
    await events.append(session, tenant_id, [told])
    return shown(row)
