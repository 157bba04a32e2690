"""A tenant's Policy Pack: its versions, and what is wrong with a new one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import BigInteger, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.events import NewEvent
from fettle.packs.loading import policy_findings
from fettle.packs.models import PolicyVersion
from fettle.packs.shipped import default_policy
from fettle.packs.yaml_reader import Path, pointer


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
    refuse_invalid(policy)
    await hold_lock(await driver(session), "policy", tenant_id)
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


async def past_policies(
    session: AsyncSession, tenant_id: UUID, *, before: int | None, limit: int
) -> Sequence[PolicyVersion]:
    """Return the versions of a tenant's policy, newest first."""
    wanted = select(PolicyVersion).where(PolicyVersion.tenant_id == tenant_id)
    if before is not None:
        wanted = wanted.where(PolicyVersion.version < literal(before, BigInteger))
    return (await session.scalars(wanted.order_by(PolicyVersion.version.desc()).limit(limit))).all()


async def restore_policy(
    session: AsyncSession,
    tenant_id: UUID,
    to: int,
    *,
    actor: str,
    expected_version: int,
    request_id: str | None = None,
) -> int:
    """Let the policy be again what it was in a version, as a new one; version 0 is the installation's default.

    Raises:
        NotFound: There was no such version.
        Invalid: It would not be accepted any more.
        Conflict: Somebody else changed the policy meanwhile.
    """
    content: Mapping[str, Any] = default_policy()
    if to > 0:
        row = await session.get(PolicyVersion, (tenant_id, to))
        if row is None:
            raise NotFound(f"The policy has no version {to}.")
        content = row.content
    return await put_policy(
        session, tenant_id, content, actor=actor, expected_version=expected_version, request_id=request_id
    )


def policy_problems(policy: Any) -> Iterator[tuple[Path, str, str]]:
    """Yield everything that is wrong with a Policy Pack: path, message and fix."""
    wrong = False
    for found in policy_findings(policy):
        wrong = True
        yield found
    if wrong:
        return
    for index, window in enumerate(policy.get("maintenance_windows", ())):
        try:
            ZoneInfo(window["timezone"])
        except (ZoneInfoNotFoundError, ValueError):
            message = f"'{window['timezone']}' is no time zone."
            fix = "Write its IANA name, such as Europe/Berlin."
            yield ("maintenance_windows", index, "timezone"), message, fix


def refuse_invalid(policy: Mapping[str, Any]) -> None:
    """Refuse what is no Policy Pack.

    Raises:
        Invalid: With the pointer of everything that is wrong.
    """
    errors = [
        FieldError(f"/policy{pointer(path)}", f"{message} {fix}")
        for path, message, fix in policy_problems(policy)
    ]
    if errors:
        raise Invalid("The policy is not valid.", errors=errors[:100])
