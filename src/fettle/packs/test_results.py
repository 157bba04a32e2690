"""Keeps how the test cases of packs came out for a tenant, the last of each pack."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.ids import new_id
from fettle.packs.loading import DomainPack
from fettle.packs.models import PackTestRun
from fettle.packs.testing import PackTestReport

KEPT: Final = 20
"""How many results of a pack a tenant keeps."""


async def keep(
    session: AsyncSession, tenant_id: UUID, pack: DomainPack, report: PackTestReport, *, actor: str
) -> None:
    """Store a result, and forget the oldest beyond those that are kept."""
    session.add(
        PackTestRun(
            id=new_id(),
            tenant_id=tenant_id,
            pack_id=pack.id,
            version=pack.version,
            digest=pack.digest,
            passed=report.passed,
            report=report.document(),
            ran_by=actor,
        )
    )
    await session.flush()
    newest = (
        select(PackTestRun.id)
        .where(PackTestRun.tenant_id == tenant_id, PackTestRun.pack_id == pack.id)
        .order_by(PackTestRun.id.desc())
        .limit(KEPT)
    )
    await session.execute(
        delete(PackTestRun).where(
            PackTestRun.tenant_id == tenant_id,
            PackTestRun.pack_id == pack.id,
            PackTestRun.id.not_in(newest),
        )
    )


async def listed(
    session: AsyncSession, tenant_id: UUID, pack_id: str, version: str | None
) -> Sequence[PackTestRun]:
    """Return the results that are kept, newest first."""
    wanted = select(PackTestRun).where(PackTestRun.tenant_id == tenant_id, PackTestRun.pack_id == pack_id)
    if version is not None:
        wanted = wanted.where(PackTestRun.version == version)
    return (await session.scalars(wanted.order_by(PackTestRun.id.desc()).limit(KEPT))).all()
