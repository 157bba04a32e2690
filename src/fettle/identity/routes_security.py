"""How one's own account signs in, its sessions, and how a tenant lets people in, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from fettle.identity import passkeys, second_factors, sessions, sign_in_policy, step_up
from fettle.identity import schemas_sign_in as schemas
from fettle.identity.access import (
    Access,
    CurrentPlatform,
    CurrentWho,
    SignedInCaller,
    address_of,
    require,
)
from fettle.identity.authentication import authenticator
from fettle.identity.routes_sign_in import current_site
from fettle.identity.sign_in_policy import Policy
from fettle.kernel.errors import NotFound
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.get("/me/security", tags=["security"])
async def my_security(platform: CurrentPlatform, caller: SignedInCaller) -> schemas.SecurityOut:
    """How the account signs in."""
    found = await second_factors.security_of(platform, caller)
    enabled_at = found.totp_enabled_at
    return schemas.SecurityOut(
        totp=schemas.TotpOut(enabled_at=enabled_at) if enabled_at is not None else None,
        recovery_codes_left=found.recovery_codes_left,
        passkeys=[schemas.PasskeyOut.model_validate(one) for one in found.passkeys],
        password_changed_at=found.password_changed_at,
        has_password=found.has_password,
    )


@router.post("/me/confirm", tags=["security"], status_code=204)
async def confirm_myself(
    body: schemas.Confirmation, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """Prove once more who one is; for 10 minutes the session may then make sensitive changes."""
    await second_factors.confirm(
        platform, caller, password=body.password, code=body.code, address=address_of(request)
    )


@router.post("/me/totp", tags=["security"])
async def begin_totp(
    platform: CurrentPlatform, caller: SignedInCaller, body: schemas.PasswordOnly | None = None
) -> schemas.TotpEnrolment:
    """Begin to add an authenticator app; it counts once `POST /api/v1/me/totp/confirm` has seen a code."""
    begun = await second_factors.begin_totp(platform, caller, password=body.password if body else None)
    return schemas.TotpEnrolment(secret=begun.secret, uri=begun.uri)


@router.post("/me/totp/confirm", tags=["security"])
async def confirm_totp(
    body: schemas.TotpCode, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> schemas.RecoveryCodes:
    """Turn the authenticator app on; other sessions that showed no second factor end."""
    codes = await second_factors.confirm_totp(platform, caller, body.code, address=address_of(request))
    return schemas.RecoveryCodes(recovery_codes=codes)


@router.post("/me/totp/disable", tags=["security"], status_code=204)
async def disable_totp(
    body: schemas.TotpRemoval, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """Remove the authenticator app."""
    await second_factors.disable_totp(
        platform, caller, password=body.password, code=body.code, address=address_of(request)
    )


@router.post("/me/recovery-codes", tags=["security"])
async def renew_recovery_codes(
    request: Request,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    body: schemas.PasswordOnly | None = None,
) -> schemas.RecoveryCodes:
    """Replace the recovery codes; the old ones are good for nothing any more."""
    codes = await second_factors.new_codes(
        platform, caller, password=body.password if body else None, address=address_of(request)
    )
    return schemas.RecoveryCodes(recovery_codes=codes)


@router.post("/me/passkeys/options", tags=["security"])
async def passkey_registration_options(
    request: Request,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    body: schemas.PasswordOnly | None = None,
) -> schemas.PasskeyOptions:
    """Begin to add a passkey."""
    step_up.person(caller)
    options = await passkeys.registration_options(
        platform, caller, current_site(request, platform), password=body.password if body else None
    )
    return schemas.PasskeyOptions(challenge_id=options.challenge_id, public_key=options.public_key)


@router.post("/me/passkeys", tags=["security"], status_code=201)
async def add_passkey(
    body: schemas.PasskeyIn, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> schemas.PasskeyAdded:
    """Add a passkey; other sessions that showed no second factor end."""
    step_up.person(caller)
    added = await passkeys.register(
        platform,
        caller,
        current_site(request, platform),
        name=body.name,
        challenge_id=body.challenge_id,
        credential=body.credential,
        address=address_of(request),
    )
    shown = schemas.PasskeyOut.model_validate(added.passkey).model_dump()
    return schemas.PasskeyAdded(**shown, recovery_codes=added.recovery_codes)


@router.patch("/me/passkeys/{passkey_id}", tags=["security"])
async def rename_passkey(
    passkey_id: UUID,
    body: schemas.PasskeyName,
    request: Request,
    platform: CurrentPlatform,
    caller: SignedInCaller,
) -> schemas.PasskeyOut:
    """Give a passkey another name."""
    renamed = await passkeys.rename(platform, caller, passkey_id, body.name, address=address_of(request))
    return schemas.PasskeyOut.model_validate(renamed)


@router.delete("/me/passkeys/{passkey_id}", tags=["security"], status_code=204)
async def remove_passkey(
    passkey_id: UUID, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """Remove a passkey."""
    await passkeys.remove(platform, caller, passkey_id, address=address_of(request))


@router.get("/me/sessions", tags=["security"])
async def my_sessions(
    platform: CurrentPlatform, caller: SignedInCaller, paging: Paging
) -> Page[schemas.SessionOut]:
    """The account's sessions that are not over, newest first."""
    after = paging.last_id()
    rows = await sessions.list_sessions(platform, caller, after=after, limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    items = [
        schemas.SessionOut(
            id=row.id,
            address=row.address,
            agent=row.agent,
            methods=row.methods,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            current=row.id == caller.session_id,
        )
        for row in page
    ]
    return Page(items=items, next_cursor=cursor)


@router.post("/me/sessions/end-others", tags=["security"])
async def end_other_sessions(
    request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> schemas.SessionsEnded:
    """End every session of the account but this one; their access tokens stop working at once."""
    ended = await sessions.end_others(platform, caller, address=address_of(request))
    return schemas.SessionsEnded(ended=ended)


@router.delete("/me/sessions/{session_id}", tags=["security"], status_code=204)
async def end_my_session(
    session_id: UUID, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """End one of one's own sessions; its access tokens stop working at once."""
    await sessions.end_session(platform, caller, session_id, address=address_of(request))


@router.post("/users/{user_id}/second-factors/reset", tags=["users"], status_code=204)
async def reset_second_factors(
    user_id: UUID,
    body: schemas.FactorsReset,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Annotated[Access, Depends(require("users:write"))],
    who: CurrentWho,
) -> None:
    """Take every second factor from a member who has lost them; the account's sessions end.

    Only where the account acts in this tenant alone; of any other, a platform administrator may.
    """
    await step_up.refuse_stale(platform, caller, None)
    await second_factors.reset(platform, access, who, user_id, reason=body.reason)


@router.get("/tenants/{tenant_id}/security", tags=["tenants"])
async def get_sign_in_policy(
    tenant_id: UUID,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("sign_on:read"))],
) -> schemas.SignInPolicyOut:
    """How the tenant lets people in."""
    _own(access, tenant_id)
    policy = await sign_in_policy.policy_of(platform, tenant_id)
    return schemas.SignInPolicyOut.model_validate(policy)


@router.put("/tenants/{tenant_id}/security", tags=["tenants"])
async def set_sign_in_policy(
    tenant_id: UUID,
    body: schemas.SignInPolicyIn,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Annotated[Access, Depends(require("sign_on:write"))],
    who: CurrentWho,
) -> schemas.SignInPolicyOut:
    """Say how the tenant lets people in; it holds at once, for sessions that have begun, too."""
    _own(access, tenant_id)
    await step_up.refuse_stale(platform, caller, None)
    policy = Policy(body.require_mfa, body.session_hours, tuple(body.allowed_sign_in))
    to_revoke = await sign_in_policy.set_policy(platform, tenant_id, policy, who)
    await authenticator(platform).revoke(*to_revoke)
    return schemas.SignInPolicyOut.model_validate(policy)


def _own(access: Access, tenant_id: UUID) -> None:
    if access.tenant_id != tenant_id:
        raise NotFound("There is no such tenant for this account.")
