"""Signing in, in one half or two, and out again, over HTTP."""

from fastapi import APIRouter, Request, Response

from fettle.identity import passkeys, schemas, schemas_sign_in, second_factors, sign_in
from fettle.identity.access import CurrentPlatform, SignedInCaller, address_of
from fettle.identity.authentication import authenticator
from fettle.identity.challenges import Challenge
from fettle.identity.cookies import (
    REFRESH_COOKIE,
    clear_refresh_cookie,
    refuse_foreign_page,
    set_refresh_cookie,
    set_rotation_cookie,
)
from fettle.identity.sessions import Origin, SignedIn
from fettle.identity.signing_keys import jwks
from fettle.kernel.errors import Unauthenticated
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)


@router.post("/auth/login", tags=["auth"])
async def login(
    body: schemas.Credentials, request: Request, response: Response, platform: CurrentPlatform
) -> schemas.AccessToken | schemas_sign_in.ChallengeOut:
    """Sign in with address and password; the refresh token comes as a cookie.

    An account with a second factor gets a challenge instead, to be answered with `POST /api/v1/auth/mfa` or a
    passkey.
    """
    came_from = origin_of(request)
    begun = await sign_in.sign_in(
        platform, body.email, body.password, address=came_from.address, agent=came_from.agent
    )
    return handed_over(request, response, platform, begun)


@router.post("/auth/mfa", tags=["auth"])
async def answer_challenge(
    body: schemas_sign_in.ChallengeAnswer, request: Request, response: Response, platform: CurrentPlatform
) -> schemas.AccessToken:
    """Finish a sign-in with a code of the authenticator app, or with a recovery code."""
    signed_in = await second_factors.answer_challenge(
        platform, body.challenge, body.method, body.code, origin_of(request)
    )
    return hand_over(request, response, platform, signed_in)


@router.post("/auth/passkeys/options", tags=["auth"])
async def passkey_options(
    request: Request, platform: CurrentPlatform, body: schemas_sign_in.PasskeyQuestion | None = None
) -> schemas_sign_in.PasskeyOptions:
    """Begin to sign in with a passkey, or to finish a sign-in with one."""
    options = await passkeys.sign_in_options(
        platform, current_site(request, platform), challenge=body.challenge if body else None
    )
    return schemas_sign_in.PasskeyOptions(challenge_id=options.challenge_id, public_key=options.public_key)


@router.post("/auth/passkeys/verify", tags=["auth"])
async def answer_with_passkey(
    body: schemas_sign_in.PasskeyAnswer, request: Request, response: Response, platform: CurrentPlatform
) -> schemas.AccessToken:
    """Sign in with a passkey, or finish a sign-in with one; whatever is wrong, the challenge is used up."""
    signed_in = await passkeys.sign_in(
        platform,
        current_site(request, platform),
        challenge_id=body.challenge_id,
        credential=body.credential,
        challenge=body.challenge,
        origin=origin_of(request),
    )
    return hand_over(request, response, platform, signed_in)


@router.get("/auth/.well-known/jwks.json", tags=["auth"])
async def token_keys(response: Response, platform: CurrentPlatform) -> schemas_sign_in.Jwks:
    """The public keys that access tokens are signed with; also at `/.well-known/jwks.json`."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return schemas_sign_in.Jwks(keys=jwks(await authenticator(platform).keys.public()))


@router.post("/auth/refresh", tags=["auth"])
async def refresh(request: Request, response: Response, platform: CurrentPlatform) -> schemas.AccessToken:
    """Exchange the cookie's refresh token for a new pair; a token that comes twice ends the session."""
    refuse_foreign_page(request, platform.settings)
    try:
        signed_in = await sign_in.refresh(
            platform, request.cookies.get(REFRESH_COOKIE), address=address_of(request)
        )
    except Unauthenticated as refused:
        # A refusal is an answer, too: the next page need not wait for another.
        told = Response()
        set_rotation_cookie(request, told, platform.settings)
        refused.headers["Set-Cookie"] = told.headers["Set-Cookie"]
        raise
    return hand_over(request, response, platform, signed_in)


@router.post("/auth/logout", tags=["auth"], status_code=204)
async def logout(request: Request, response: Response, platform: CurrentPlatform) -> None:
    """End the cookie's session; its access tokens stop working at once."""
    refuse_foreign_page(request, platform.settings)
    token = request.cookies.get(REFRESH_COOKIE)
    if token is not None:
        await sign_in.sign_out(platform, token, address=address_of(request))
    clear_refresh_cookie(request, response, platform.settings)


@router.post("/auth/password", tags=["auth"], status_code=204)
async def change_password(
    body: schemas.PasswordChange, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """Change one's own password; every other session of the account ends."""
    await sign_in.change_password(
        platform,
        caller,
        current=body.current_password,
        new=body.new_password,
        address=address_of(request),
    )


def current_site(request: Request, platform: Platform) -> passkeys.Site:
    """Return who we are to the authenticator of whoever sends a request."""
    return passkeys.site_of(platform.settings, request.url.scheme, request.headers.get("host", ""))


def origin_of(request: Request) -> Origin:
    """Return where a sign-in comes from."""
    return Origin(address_of(request), request.headers.get("user-agent"))


def handed_over(
    request: Request, response: Response, platform: Platform, begun: SignedIn | Challenge
) -> schemas.AccessToken | schemas_sign_in.ChallengeOut:
    """Answer a sign-in's first half: with its tokens, or with what is still to be shown."""
    if isinstance(begun, SignedIn):
        return hand_over(request, response, platform, begun)
    response.headers["Cache-Control"] = "no-store"
    return schemas_sign_in.ChallengeOut(
        challenge=begun.token, methods=list(begun.methods), expires_in=begun.expires_in
    )


def hand_over(
    request: Request, response: Response, platform: Platform, signed_in: SignedIn
) -> schemas.AccessToken:
    """Answer with an access token, and put the refresh token into its cookie."""
    set_refresh_cookie(request, response, platform.settings, signed_in)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(
        access_token=signed_in.access_token,
        expires_in=signed_in.expires_in,
        must_change_password=signed_in.must_change_password,
    )
