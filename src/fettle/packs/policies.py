"""A tenant's Policy Pack: its versions, and what is wrong with a new one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.events import NewEvent
from fettle.packs.loading import policy_findings
from fettle.packs.models import PolicyVersion
from fettle.packs.yaml_reader import pointer

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('fettle.policy.' || :tenant, 0))")


async def current_policy(session: AsyncSession, tenant_id: UUID) -> PolicyVersion | None:
    """Return the version of a tenant's policy that holds, or None where it has chosen none."""
    return await session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.tenant_id == tenant_id)
        .order_by(PolicyVersion.version.desc())
        .limit(1)
    )


async def put_policy(
    session: AsyncSession,
    tenant_id: UUID,
    policy: Mapping[str, Any],
    *,
    actor: str,
    expected_version: int | None = None,
    request_id: str | None = None,
) -> int:
    """Store a new version of a tenant's policy; it holds from the end of this transaction on.

    Args:
        session: With the tenant bound.
        tenant_id: Whose policy.
        policy: A whole Policy Pack.
        actor: Who changes it.
        expected_version: The version that the caller has read, 0 for none; None to replace whatever holds.
        request_id: The request that it came with.

    Returns:
        The new version.

    Raises:
        Invalid: It is no Policy Pack.
        Conflict: Somebody else changed it meanwhile.
    """
    _refuse_invalid(policy)
    await session.execute(_LOCK, {"tenant": str(tenant_id)})
    before = await current_policy(session, tenant_id)
    version = before.version if before else 0
    if expected_version is not None and expected_version != version:
        raise Conflict(
            f"The policy is at version {version} now. Read it again and repeat what still applies."
        )
    session.add(
        PolicyVersion(tenant_id=tenant_id, version=version + 1, content=dict(policy), changed_by=actor)
    )
    await session.flush()
    event = NewEvent(
        stream_type="policy",
        stream_id=tenant_id,
        type="policy.changed",
        data={"version": version + 1, "policy": policy, "previous": before.content if before else None},
        actor=actor,
        request_id=request_id,
    )
    await events.append(session, tenant_id, [event])
    return version + 1


def _refuse_invalid(policy: Mapping[str, Any]) -> None:
    errors = [
        FieldError(f"/policy{pointer(path)}", f"{message} {fix}")
        for path, message, fix in policy_findings(policy)
    ]
    if not errors:
        for index, window in enumerate(policy.get("maintenance_windows", ())):
            try:
                ZoneInfo(window["timezone"])
            except (ZoneInfoNotFoundError, ValueError):
                fault = f"'{window['timezone']}' is no time zone. Write its IANA name, such as Europe/Berlin."
                errors.append(FieldError(f"/policy/maintenance_windows/{index}/timezone", fault))
    if errors:
        raise Invalid("The policy is not valid.", errors=errors[:100])
