"""Passkeys (WebAuthn): credentials that are found by themselves, verify their user, and sign a challenge once."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn.helpers import (
    options_to_json_dict,
    parse_authentication_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from fettle.identity import audit, challenges, second_factors, sessions, step_up
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import User
from fettle.identity.models_sign_in import Passkey, PasskeyChallenge
from fettle.identity.sessions import Origin, Proof, SignedIn
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound, Unauthenticated
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
MOST_PASSKEYS: Final = 20

_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_MALFORMED: Final = (
    WebAuthnException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    ArithmeticError,
    RecursionError,
    struct.error,
)
_TIMEOUT_MS: Final = int(CHALLENGE_LIFETIME.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Site:
    """Who we are to an authenticator: what is signed for one site is good for no other.

    Attributes:
        rp_id: The host's name, without its port.
        origin: The page's scheme, host and port.
    """

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Options:
    """What a browser is asked to sign.

    Attributes:
        challenge_id: Comes back with the answer.
        public_key: For ``navigator.credentials``.
    """

    challenge_id: UUID
    public_key: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Added:
    """A new passkey, and recovery codes where the account had none."""

    passkey: Passkey
    recovery_codes: list[str] | None


def site_of(settings: Settings, scheme: str, host: str) -> Site:
    """Return who we are: the public address, or this machine's own where there is none.

    Args:
        settings: Whose ``public_url`` it is.
        scheme: The request's.
        host: The request's checked Host header.

    Raises:
        Conflict: There is no public address, and the request came by another name than localhost.
    """
    if settings.public_url is not None:
        parts = urlsplit(settings.public_url)
        return Site((parts.hostname or "").lower(), f"{parts.scheme}://{parts.netloc}".lower())
    name = host.lower().partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return Site(name, f"{scheme}://{host.lower()}")
    raise Conflict(
        "Passkeys belong to a name. Open the console as http://localhost, or let its operator set "
        "FETTLE_PUBLIC_URL."
    )


async def registration_options(
    platform: Platform, caller: Caller, site: Site, *, password: str | None
) -> Options:
    """Ask a person's authenticator for a new credential.

    Raises:
        Forbidden: The caller cannot change how the account signs in, or not without a recent sign-in.
        Conflict: The account has as many as it may.
    """
    step_up.person(caller)
    await step_up.refuse_stale(platform, caller, password)
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
        present = await _descriptors(session, user.id)
        if len(present) >= MOST_PASSKEYS:
            raise _too_many()
        options = webauthn.generate_registration_options(
            rp_id=site.rp_id,
            rp_name="Fettle",
            user_id=user.id.bytes,
            user_name=user.email,
            user_display_name=user.name or user.email,
            timeout=_TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=present,
            supported_pub_key_algs=_ALGORITHMS,
        )
        challenge_id = await _remember(session, options.challenge, user.id, registers=True)
    return Options(challenge_id, options_to_json_dict(options))


async def register(
    platform: Platform,
    caller: Caller,
    site: Site,
    *,
    name: str,
    challenge_id: UUID,
    credential: Mapping[str, Any],
    address: str | None,
) -> Added:
    """Add a passkey; other sessions that showed no second factor end.

    Raises:
        Invalid: The challenge is not this person's, or not any more, or the credential does not answer it.
        Conflict: The credential is in use, or the account has as many as it may.
    """
    step_up.person(caller)
    challenge = await _use(platform, challenge_id, registers=True)
    if challenge is None or challenge.user_id != caller.user_id or caller.user_id is None:
        raise _not_accepted()
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge.challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    except _MALFORMED:
        raise _not_accepted() from None
    passkey = Passkey(
        id=new_id(),
        user_id=caller.user_id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=name,
        transports=_transports(credential),
        created_at=utcnow(),
    )
    async with platform.database.system() as session:
        # Under the account's lock: of several that were asked for at once, as many are added as there is room for.
        holder = select(User).where(User.id == caller.user_id).with_for_update()
        user = (await session.scalars(holder)).one()
        if len(await _descriptors(session, user.id)) >= MOST_PASSKEYS:
            raise _too_many()
        added = await session.scalar(
            insert(Passkey)
            .values({c.key: getattr(passkey, c.key) for c in Passkey.__table__.columns})
            .on_conflict_do_nothing(index_elements=["credential_id"])
            .returning(Passkey.id)
        )
        if added is None:
            raise Conflict("This passkey is in use. Remove it first.")
        has_codes = "recovery_code" in await challenges.methods_of(session, user)
        codes = None if has_codes else await second_factors.renew_codes(session, user.id)
        await second_factors.proved(session, caller, "passkey")
        who = Who(caller.actor, address)
        await audit.record(
            session, who, "passkey.added", tenant_id=None, target=("passkey", added), after={"name": name}
        )
        ended = await second_factors.end_unproved(session, caller)
    await authenticator(platform).revoke(*(f"session:{one}" for one in (caller.session_id, *ended)))
    return Added(passkey, codes)


async def sign_in_options(platform: Platform, site: Site, *, challenge: str | None) -> Options:
    """Ask a browser for a passkey: any that it has for us, or one of whoever has done the first half.

    Args:
        platform: The process's parts.
        site: Who we are.
        challenge: Of a sign-in whose first half is done.

    Raises:
        Unauthenticated: That sign-in is over.
    """
    async with platform.database.system() as session:
        pending = await challenges.look_up(session, challenge) if challenge is not None else None
        user_id = pending.user.id if pending is not None else None
        options = webauthn.generate_authentication_options(
            rp_id=site.rp_id,
            timeout=_TIMEOUT_MS,
            allow_credentials=await _descriptors(session, user_id) if user_id is not None else None,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        challenge_id = await _remember(session, options.challenge, user_id, registers=False)
    return Options(challenge_id, options_to_json_dict(options))


async def sign_in(
    platform: Platform,
    site: Site,
    *,
    challenge_id: UUID,
    credential: Mapping[str, Any],
    challenge: str | None,
    origin: Origin,
) -> SignedIn:
    """Sign in with a passkey, which is two factors in one; or finish a sign-in with it.

    Whatever is wrong gets the same answer, and uses the challenge up.

    Raises:
        Unauthenticated: The passkey is not accepted.
    """
    asked = await _use(platform, challenge_id, registers=False)
    answer = _read(credential)
    if asked is None or answer is None:
        raise _refused()
    async with platform.database.system() as session:
        found = await _holder(session, answer)
    if found is None:
        raise _refused()
    passkey, user = found
    if asked.user_id not in {None, user.id} or (challenge is None) != (asked.user_id is None):
        raise _refused()
    count = _verified_count(answer, asked.challenge, passkey, site)
    async with platform.database.system() as session:
        if count is None:
            await audit.record(
                session,
                Who(f"user:{user.id}", origin.address),
                "passkey.refused",
                tenant_id=None,
                target=("passkey", passkey.id),
            )
        else:
            await _note_use(session, passkey, count)
            if challenge is None:
                started = await sessions.start(session, user, Proof(("passkey",)), origin)
            else:
                pending = await challenges.look_up(session, challenge)
                if pending.user.id != user.id:
                    raise _refused()
                started = await challenges.finish(session, pending, "passkey", origin)
    if count is None:
        raise _refused()
    return await sessions.hand_out(platform, user, started)


async def rename(
    platform: Platform, caller: Caller, passkey_id: UUID, name: str, *, address: str | None
) -> Passkey:
    """Give one of the caller's passkeys another name.

    Raises:
        NotFound: They have no such passkey.
    """
    step_up.person(caller)
    async with platform.database.system() as session:
        passkey = await _own(session, caller, passkey_id)
        before, passkey.name = passkey.name, name
        await audit.record(
            session,
            Who(caller.actor, address),
            "passkey.renamed",
            tenant_id=None,
            target=("passkey", passkey_id),
            before={"name": before},
            after={"name": name},
        )
        return passkey


async def remove(platform: Platform, caller: Caller, passkey_id: UUID, *, address: str | None) -> None:
    """Remove one of the caller's passkeys.

    Raises:
        NotFound: They have no such passkey.
        RecentSignInRequired: The sign-in is not recent.
    """
    step_up.person(caller)
    async with platform.database.system() as session:
        await _own(session, caller, passkey_id)
    await step_up.refuse_stale(platform, caller, None)
    async with platform.database.system() as session:
        passkey = await _own(session, caller, passkey_id)
        await session.delete(passkey)
        await session.flush()
        await second_factors.forget_proof(session, passkey.user_id)
        await audit.record(
            session,
            Who(caller.actor, address),
            "passkey.removed",
            tenant_id=None,
            target=("passkey", passkey_id),
            before={"name": passkey.name},
        )
    await authenticator(platform).revoke(f"user:{caller.user_id}")


def _read(credential: Mapping[str, Any]) -> AuthenticationCredential | None:
    try:
        return parse_authentication_credential_json(dict(credential))
    except _MALFORMED:
        return None


async def _holder(session: AsyncSession, answer: AuthenticationCredential) -> tuple[Passkey, User] | None:
    row = (
        await session.execute(
            select(Passkey, User)
            .join(User, User.id == Passkey.user_id)
            .where(Passkey.credential_id == answer.raw_id, User.disabled_at.is_(None))
        )
    ).one_or_none()
    if row is None:
        return None
    handle = answer.response.user_handle
    if handle is not None and handle != row[1].id.bytes:
        return None
    return row[0], row[1]


def _verified_count(
    answer: AuthenticationCredential, challenge: bytes, passkey: Passkey, site: Site
) -> int | None:
    """Return the authenticator's counter where the answer is right in everything, None where it is not."""
    try:
        return webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        ).new_sign_count
    except _MALFORMED:
        return None


async def _note_use(session: AsyncSession, passkey: Passkey, count: int) -> None:
    # Only over the counter that was checked: a copy of the authenticator that races is refused.
    noted = await session.scalar(
        update(Passkey)
        .where(Passkey.id == passkey.id, Passkey.sign_count == passkey.sign_count)
        .values(sign_count=count, last_used_at=utcnow())
        .returning(Passkey.id)
    )
    if noted is None:
        raise _refused()


async def _descriptors(session: AsyncSession, user_id: UUID) -> list[PublicKeyCredentialDescriptor]:
    rows = await session.scalars(select(Passkey.credential_id).where(Passkey.user_id == user_id))
    return [PublicKeyCredentialDescriptor(id=one) for one in rows]


async def _remember(
    session: AsyncSession, challenge: bytes, user_id: UUID | None, *, registers: bool
) -> UUID:
    challenge_id = new_id()
    session.add(
        PasskeyChallenge(
            id=challenge_id,
            challenge=challenge,
            user_id=user_id,
            registers=registers,
            expires_at=utcnow() + CHALLENGE_LIFETIME,
        )
    )
    await session.flush()
    return challenge_id


async def _use(platform: Platform, challenge_id: UUID, *, registers: bool) -> PasskeyChallenge | None:
    """Use a challenge up, for good, whatever comes of it."""
    async with platform.database.system() as session:
        return await session.scalar(
            delete(PasskeyChallenge)
            .where(
                PasskeyChallenge.id == challenge_id,
                PasskeyChallenge.registers.is_(registers),
                PasskeyChallenge.expires_at > func.now(),
            )
            .returning(PasskeyChallenge)
        )


async def _own(session: AsyncSession, caller: Caller, passkey_id: UUID) -> Passkey:
    passkey = await session.scalar(
        select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == caller.user_id)
    )
    if passkey is None:
        raise NotFound("There is no such passkey.")
    return passkey


def _transports(credential: Mapping[str, Any]) -> list[str]:
    response = credential.get("response")
    told = response.get("transports") if isinstance(response, Mapping) else None
    known = {"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}
    return (
        sorted(known.intersection(one for one in told if isinstance(one, str)))
        if isinstance(told, list)
        else []
    )


def _not_accepted() -> Invalid:
    return Invalid(
        "The passkey was not accepted. Begin again, on this page and with this account.",
        errors=[FieldError("/credential", "does not answer the challenge")],
    )


def _too_many() -> Conflict:
    return Conflict(f"An account has {MOST_PASSKEYS} passkeys at most. Remove one first.")


def _refused() -> Unauthenticated:
    return Unauthenticated("The passkey was not accepted. Begin again, or sign in another way.")
