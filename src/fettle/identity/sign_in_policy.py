"""How a tenant lets people in: whether a second factor is needed, by which ways, and for how long."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.models import Membership
from fettle.identity.models_sign_in import SignInPolicy
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid
from fettle.kernel.platform import Platform

WAYS: Final = ("password", "passkey", "oidc")
"""The first thing that a sign-in proves."""

SECOND_FACTORS: Final = frozenset({"totp", "recovery_code", "passkey", "oidc_mfa"})
"""Whatever proves that a person holds something, too; a passkey does so by itself."""

_POLICY: Final = (
    "SELECT p.require_mfa, p.allowed_sign_in, t.partner_id FROM sign_in_policies p "
    "JOIN tenants t ON t.id = p.tenant_id WHERE p.tenant_id = $1"
)


_SHUT: Final = """
SELECT p.tenant_id FROM sign_in_policies p JOIN tenants t ON t.id = p.tenant_id
WHERE (p.require_mfa AND $1::boolean)
   OR ($2::text <> ALL (p.allowed_sign_in) AND NOT $4::boolean AND coalesce(t.partner_id <> ALL ($3::uuid[]), true))
"""


class SecondFactorRequired(Forbidden):
    """The tenant asks for a second factor, and this sign-in showed none."""

    slug = "second-factor-required"
    title = "This tenant asks for a second factor"


class SignInWayRefused(Forbidden):
    """The tenant lets nobody in by the way that this sign-in took."""

    slug = "sign-in-way-refused"
    title = "This tenant asks for another way to sign in"


@dataclass(frozen=True, slots=True)
class Policy:
    """A tenant's rules.

    Attributes:
        require_mfa: Nobody is let in without a second factor.
        session_hours: How long a session of a member lasts at most.
        allowed_sign_in: Of `WAYS`.
    """

    require_mfa: bool = False
    session_hours: int | None = None
    allowed_sign_in: tuple[str, ...] = WAYS


async def check(
    platform: Platform, tenant_id: UUID, methods: Sequence[str], *, partners: Collection[UUID], is_admin: bool
) -> None:
    """Refuse a sign-in that the tenant's policy does not let in.

    Args:
        platform: The process's parts.
        tenant_id: The tenant.
        methods: What the sign-in proved, first things first.
        partners: The partners that the person belongs to: a partner's own people, like the platform's
            administrators, are in no tenant's directory, so the ways are not asked of them.
        is_admin: Whether it is a platform administrator.

    Raises:
        SecondFactorRequired: It showed none.
        SignInWayRefused: It took another way.
    """
    async with platform.database.raw_system() as connection:
        policy = await connection.fetchrow(_POLICY, tenant_id)
    if policy is None:
        return
    is_elsewhere = is_admin or policy["partner_id"] in partners
    if methods and methods[0] not in policy["allowed_sign_in"] and not is_elsewhere:
        allowed = " or ".join(policy["allowed_sign_in"])
        raise SignInWayRefused(f"This tenant lets people in by {allowed} alone. Sign in that way.")
    if policy["require_mfa"] and SECOND_FACTORS.isdisjoint(methods):
        raise SecondFactorRequired(
            "This tenant asks for a second factor. Add one with POST /api/v1/me/totp or a passkey."
        )


async def shut_to(
    platform: Platform, methods: Sequence[str], *, partners: Collection[UUID], is_admin: bool
) -> list[UUID]:
    """Return the tenants whose policy does not let a sign-in in, as `check` would say for each."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            _SHUT,
            SECOND_FACTORS.isdisjoint(methods),
            methods[0] if methods else None,
            list(partners),
            is_admin,
        )
    return [row["tenant_id"] for row in rows]


async def policy_of(platform: Platform, tenant_id: UUID) -> Policy:
    """Return a tenant's rules."""
    async with platform.database.tenant(tenant_id) as session:
        row = await session.scalar(select(SignInPolicy).where(SignInPolicy.tenant_id == tenant_id))
    return _policy(row)


async def set_policy(platform: Platform, tenant_id: UUID, policy: Policy, who: Who) -> list[str]:
    """Set a tenant's rules.

    Returns:
        The subjects to revoke, so that the rules hold at once.

    Raises:
        Invalid: Nobody could sign in any more.
    """
    unknown = set(policy.allowed_sign_in) - set(WAYS)
    if unknown or not policy.allowed_sign_in:
        fault = f"must be one or more of {', '.join(WAYS)}"
        raise Invalid(f"The ways to sign in {fault}.", errors=[FieldError("/allowed_sign_in", fault)])
    values = {
        "require_mfa": policy.require_mfa,
        "session_hours": policy.session_hours,
        "allowed_sign_in": [way for way in WAYS if way in policy.allowed_sign_in],
        "updated_at": utcnow(),
    }
    async with platform.database.tenant(tenant_id) as session:
        before = await session.scalar(select(SignInPolicy).where(SignInPolicy.tenant_id == tenant_id))
        told = _told(_policy(before))
        await session.execute(
            insert(SignInPolicy)
            .values(tenant_id=tenant_id, **values)
            .on_conflict_do_update(index_elements=["tenant_id"], set_=values)
        )
        members = (
            await session.scalars(select(Membership.user_id).where(Membership.tenant_id == tenant_id))
        ).all()
        await audit.record(
            session,
            who,
            "sign_in_policy.changed",
            tenant_id=tenant_id,
            target=("tenant", tenant_id),
            before=told,
            after=_told(policy),
        )
    return [f"user:{member}" for member in members]


def _policy(row: SignInPolicy | None) -> Policy:
    if row is None:
        return Policy()
    return Policy(row.require_mfa, row.session_hours, tuple(row.allowed_sign_in))


def _told(policy: Policy) -> dict[str, object]:
    return {
        "require_mfa": policy.require_mfa,
        "session_hours": policy.session_hours,
        "allowed_sign_in": list(policy.allowed_sign_in),
    }
