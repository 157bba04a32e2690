"""The installed versions of packs: put there once, never changed, seen by every tenant."""

import asyncio
import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound, Unavailable
from fettle.kernel.platform import Platform
from fettle.packs.files import SIGNATURE_FILE, read_archive
from fettle.packs.loading import DomainPack, load_files, with_version
from fettle.packs.models import PackVersion
from fettle.packs.problems import PackInvalid
from fettle.packs.shipped import shipped_packs
from fettle.packs.signing import parse_public_key, verify

Origin = Literal["shipped", "uploaded", "local"]

log = structlog.get_logger("fettle.packs")


def pack_stream(pack_id: str) -> UUID:
    """Return the id of a pack's event stream."""
    return uuid5(NAMESPACE_URL, f"urn:fettle:pack:{pack_id}")


def invalid(error: PackInvalid) -> Invalid:
    """Return what is wrong with a pack as a problem document: the pointer names file, line and path."""
    return Invalid(
        f"The pack is not valid: {len(error.problems)} problems. The first: {error.problems[0]}",
        errors=[
            FieldError(f"/{problem.file}:{problem.line}{problem.pointer}", f"{problem.message} {problem.fix}")
            for problem in error.problems[:100]
        ],
    )


async def read_upload(
    data: bytes, trusted_keys: Sequence[str], *, allow_unsigned: bool
) -> tuple[DomainPack, dict[str, Any] | None]:
    """Return the pack of an archive and its signature, which one of the trusted keys has made.

    Args:
        data: A zip, tar or tar.gz.
        trusted_keys: Base64 of Ed25519 public keys.
        allow_unsigned: Whether an archive without a signature file is taken; a wrong signature never is.

    Raises:
        Invalid: It is no pack, or nobody trusted has signed it.
    """
    return await asyncio.to_thread(_read_upload, data, trusted_keys, allow_unsigned=allow_unsigned)


def _read_upload(
    data: bytes, trusted_keys: Sequence[str], *, allow_unsigned: bool
) -> tuple[DomainPack, dict[str, Any] | None]:
    try:
        files = read_archive(data)
        pack = load_files(files)
        if allow_unsigned and SIGNATURE_FILE not in files:
            return pack, None
        return pack, verify(files, pack.id, pack.version, _keys(trusted_keys))
    except PackInvalid as error:
        raise invalid(error) from None


def _keys(texts: Sequence[str]) -> list[Ed25519PublicKey]:
    try:
        return [parse_public_key(text) for text in texts]
    except ValueError as error:
        raise Unavailable(
            f"FETTLE_PACKS_TRUSTED_KEYS cannot be used: {error}. The operator has to mend it."
        ) from None


async def install(
    session: AsyncSession,
    pack: DomainPack,
    *,
    origin: Origin,
    actor: str,
    signature: dict[str, Any] | None = None,
) -> bool:
    """Store a version of a pack; the same one again is the same one.

    Args:
        session: Of the system role.
        pack: Checked.
        origin: Where it came from.
        actor: Who installs it.
        signature: Its signature file.

    Returns:
        Whether it is new.

    Raises:
        Conflict: That version is installed with other content.
    """
    await hold_lock(await driver(session), "packs.catalogue")
    existing = await session.get(PackVersion, (pack.id, pack.version))
    if existing is not None:
        if existing.digest != pack.digest:
            raise Conflict(
                f"{pack.id} {pack.version} is installed with other content. Raise the version in pack.yaml."
            )
        return False
    session.add(
        PackVersion(
            pack_id=pack.id,
            version=pack.version,
            title=pack.title,
            origin=origin,
            is_default=False,
            digest=pack.digest,
            signature=signature,
            content=dict(pack.content),
            installed_by=actor,
        )
    )
    await session.flush()
    return True


async def ensure_shipped(platform: Platform) -> list[DomainPack]:
    """Install the packs that come with this version of Fettle and make them the default; safe to repeat.

    A shipped pack that was edited without a new version (in a checkout) is installed beside the old one,
    under a version that carries its digest.
    """
    packs = shipped_packs()
    async with platform.database.system() as session:
        return [await _ensure(session, pack) for pack in packs]


async def _ensure(session: AsyncSession, pack: DomainPack) -> DomainPack:
    await hold_lock(await driver(session), "packs.catalogue")
    existing = await session.get(PackVersion, (pack.id, pack.version))
    if existing is not None and existing.digest != pack.digest:
        pack = with_version(pack, f"{pack.version}+{pack.digest[:8]}")
    if await install(session, pack, origin="shipped", actor="system:setup"):
        log.info("packs.installed", pack_id=pack.id, version=pack.version, origin="shipped")
    if pack.content.get("default_active", False):
        mine = PackVersion.pack_id == pack.id
        other = PackVersion.version != pack.version
        await session.execute(
            update(PackVersion).where(mine, other, PackVersion.is_default).values(is_default=False)
        )
        await session.execute(update(PackVersion).where(mine, ~other).values(is_default=True))
    return pack


async def versions(session: AsyncSession, pack_id: str | None = None) -> list[PackVersion]:
    """Return installed versions without their content: by pack, the newest version first."""
    wanted = select(PackVersion)
    if pack_id is not None:
        wanted = wanted.where(PackVersion.pack_id == pack_id)
    found = list((await session.scalars(wanted)).all())
    found.sort(key=lambda row: version_key(row.version), reverse=True)
    found.sort(key=lambda row: row.pack_id)
    return found


async def load_version(session: AsyncSession, pack_id: str, version: str) -> DomainPack:
    """Return an installed version as a pack.

    Raises:
        NotFound: It is not installed.
    """
    wanted = select(PackVersion.content, PackVersion.digest).where(
        PackVersion.pack_id == pack_id, PackVersion.version == version
    )
    row = (await session.execute(wanted)).one_or_none()
    if row is None:
        raise NotFound(f"{pack_id} {version} is not installed. GET packs/{pack_id}/versions lists what is.")
    return DomainPack(row.content, row.digest)


def version_key(version: str) -> tuple[Any, ...]:
    """Return a key by which versions sort as Semantic Versioning says, build metadata last."""
    core, _, build = version.partition("+")
    numbers, _, pre = core.partition("-")
    identifiers = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"\.", pre) if part
    )
    return (tuple(int(part) for part in numbers.split(".")), not pre, identifiers, build)


@dataclasses.dataclass(frozen=True, slots=True)
class Effective:
    """The version of a pack that a tenant works with now.

    Attributes:
        pack_id: The pack.
        version: Its version.
        digest: Of that version.
        origin: Where that version came from.
        chosen: Whether the tenant chose it; otherwise it is the installation's default.
    """

    pack_id: str
    version: str
    digest: str
    origin: str
    chosen: bool
