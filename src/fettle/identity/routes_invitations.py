"""Invitations and forgotten passwords over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from fettle.identity import accepting, invitations, partners, password_reset
from fettle.identity import schemas_invitations as schemas
from fettle.identity.access import (
    Access,
    CurrentPlatform,
    CurrentWho,
    SignedInCaller,
    TenantSession,
    address_of,
    require,
    token_of,
)
from fettle.identity.audit import Who
from fettle.identity.authentication import authenticator
from fettle.identity.invitations import Host, Issued, OfPartner, OfTenant, Place
from fettle.identity.partners import check_at
from fettle.identity.routes_people import CallerWho
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import limiter_of

router = APIRouter(route_class=StrictRoute)

_FORGOTTEN_PER_MINUTE = 120
_LINKS_PER_MINUTE = 600

MayInvite = Annotated[Access, Depends(require("users:write"))]


@router.get("/invitations", tags=["users"])
async def list_invitations(
    access: Annotated[Access, Depends(require("users:read"))], session: TenantSession, paging: Paging
) -> Page[schemas.InvitationOut]:
    """The invitations into the tenant that wait for an answer, newest first."""
    rows = await invitations.list_invitations(
        session, Place(tenant_id=access.tenant_id), after=paging.last_id(), limit=paging.limit + 1
    )
    return paging.by_id(rows, schemas.InvitationOut.model_validate)


@router.post("/invitations", tags=["users"], status_code=201)
async def invite(
    body: schemas.InvitationIn, platform: CurrentPlatform, access: MayInvite, who: CurrentWho
) -> schemas.InvitationIssued:
    """Ask somebody into the tenant by mail; without a mail server the link is in this answer, once."""
    return await _invite(platform, OfTenant(access), who, body)


@router.post("/invitations/{invitation_id}/resend", tags=["users"])
async def send_again(
    invitation_id: UUID, platform: CurrentPlatform, access: MayInvite, who: CurrentWho
) -> schemas.InvitationIssued:
    """Send a new link, good for seven days; those before are no longer good."""
    return _issued(await invitations.resend(platform, OfTenant(access), who, invitation_id))


@router.delete("/invitations/{invitation_id}", tags=["users"], status_code=204)
async def revoke(invitation_id: UUID, platform: CurrentPlatform, access: MayInvite, who: CurrentWho) -> None:
    """Take an invitation back."""
    await invitations.revoke(platform, OfTenant(access), who, invitation_id)


@router.get("/partners/{partner_id}/invitations", tags=["partners"])
async def list_partner_invitations(
    partner_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, paging: Paging
) -> Page[schemas.InvitationOut]:
    """The invitations to work for a partner that wait for an answer, newest first."""
    caller.refuse_one_time_password()
    check_at(caller, partner_id, "users:read")
    await partners.find_partner(platform, caller, partner_id)
    async with platform.database.system() as session:
        rows = await invitations.list_invitations(
            session, Place(partner_id=partner_id), after=paging.last_id(), limit=paging.limit + 1
        )
    return paging.by_id(rows, schemas.InvitationOut.model_validate)


@router.post("/partners/{partner_id}/invitations", tags=["partners"], status_code=201)
async def invite_to_partner(
    partner_id: UUID,
    body: schemas.InvitationIn,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.InvitationIssued:
    """Ask somebody to work for a partner, with one role in each of its tenants."""
    caller.refuse_one_time_password()
    return await _invite(platform, OfPartner(caller, partner_id), who, body)


@router.post("/partners/{partner_id}/invitations/{invitation_id}/resend", tags=["partners"])
async def send_partner_invitation_again(
    partner_id: UUID, invitation_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.InvitationIssued:
    """Send a new link, good for seven days; those before are no longer good."""
    caller.refuse_one_time_password()
    return _issued(await invitations.resend(platform, OfPartner(caller, partner_id), who, invitation_id))


@router.delete("/partners/{partner_id}/invitations/{invitation_id}", tags=["partners"], status_code=204)
async def revoke_partner_invitation(
    partner_id: UUID, invitation_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> None:
    """Take an invitation back."""
    caller.refuse_one_time_password()
    await invitations.revoke(platform, OfPartner(caller, partner_id), who, invitation_id)


@router.post("/auth/invitations/look", tags=["auth"])
async def look_at_invitation(
    body: schemas.LinkToken, request: Request, platform: CurrentPlatform
) -> schemas.InvitationLook:
    """What the invitation of a link is to."""
    await _limit(platform, request, "link", _LINKS_PER_MINUTE)
    found = await accepting.look(platform, body.token)
    return schemas.InvitationLook(
        tenant=found.place,
        email=found.email,
        name=found.name,
        role=found.role,
        has_account=found.has_account,
    )


@router.post("/auth/invitations/accept", tags=["auth"])
async def accept_invitation(
    body: schemas.InvitationAnswer, request: Request, platform: CurrentPlatform
) -> schemas.InvitationAccepted:
    """Accept an invitation, with a new account or as the owner of the one that its address has."""
    await _limit(platform, request, "link", _LINKS_PER_MINUTE)
    caller = None
    if "authorization" in request.headers:
        caller = await authenticator(platform).caller(token_of(request.headers))
    accepted = await accepting.accept(
        platform,
        body.token,
        name=body.name,
        password=body.password,
        caller=caller,
        address=address_of(request),
    )
    return schemas.InvitationAccepted(
        tenant=accepted.place,
        email=accepted.email,
        tenant_id=accepted.tenant_id,
        partner_id=accepted.partner_id,
        account_created=accepted.account_created,
    )


@router.post("/auth/password/forgot", tags=["auth"], status_code=202)
async def forgot_password(
    body: schemas.ForgottenPassword, request: Request, platform: CurrentPlatform
) -> schemas.ResetAccepted:
    """Have a link to a new password mailed; the answer is the same whether the address has an account or not."""
    await _limit(platform, request, "forgotten", _FORGOTTEN_PER_MINUTE)
    await password_reset.ask(platform, body.email)
    return schemas.ResetAccepted()


@router.post("/auth/password/reset", tags=["auth"], status_code=204)
async def reset_password(body: schemas.PasswordReset, request: Request, platform: CurrentPlatform) -> None:
    """Set a new password by the link that was mailed; every session ends, and nobody is signed in by it."""
    await _limit(platform, request, "link", _LINKS_PER_MINUTE)
    await password_reset.reset(platform, body.token, body.new_password, address=address_of(request))


async def _limit(platform: Platform, request: Request, what: str, per_minute: int) -> None:
    await limiter_of(platform).take(f"address:{address_of(request)}:{what}", per_minute=per_minute)


async def _invite(
    platform: Platform, host: Host, who: Who, body: schemas.InvitationIn
) -> schemas.InvitationIssued:
    issued = await invitations.invite(platform, host, who, email=body.email, name=body.name, role=body.role)
    return _issued(issued)


def _issued(issued: Issued) -> schemas.InvitationIssued:
    shown = schemas.InvitationOut.model_validate(issued.invitation).model_dump()
    return schemas.InvitationIssued(**shown, mailed=issued.mailed, link=issued.link)
