"""Hosts: declared per tenant, and found again by name by whatever acts on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.fleet.models import Host
from fettle.kernel import events
from fettle.kernel.errors import FieldError, Invalid, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings

SANDBOXES: Final = "sandbox"
"""The folder of the home below which every sandbox is."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """What an executor needs to know of a host.

    Attributes:
        name: Its name.
        platform: Its operating system.
        executor: How runbooks reach it; ``local`` is this very machine.
        sandbox_root: The one folder that the local executor may touch.
    """

    name: str
    platform: str
    executor: str
    sandbox_root: Path | None


class HostDirectory:
    """Finds hosts for what acts on them; in ``Platform.parts["hosts"]``.

    Args:
        platform: The process's parts.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def find(self, tenant_id: UUID, name: str) -> HostRecord | None:
        """Return the tenant's host of a name, or None.

        A sandbox that is no longer below the installation's sandbox folder is left out.
        """
        async with self._platform.database.tenant(tenant_id) as session:
            host = await find_host_by_name(session, tenant_id, name)
        if host is None:
            return None
        root = Path(host.sandbox_root) if host.sandbox_root is not None else None
        if root is not None and not sandbox_within(self._platform.settings, root):
            root = None
        return HostRecord(host.name, host.platform, host.executor, root)

    async def count(self, tenant_id: UUID) -> int:
        """Return how many hosts a tenant has declared."""
        rows = await self._platform.database.fetch_bound(
            tenant_id, "SELECT count(*) AS hosts FROM hosts WHERE tenant_id = bound.tenant_id"
        )
        return int(rows[0]["hosts"])


async def declare_host(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    name: str,
    platform: str,
    executor: str,
    sandbox_root: Path | None,
    settings: Settings,
    actor: str,
) -> Host:
    """Declare a host, or change the one of that name.

    Args:
        session: With the tenant bound.
        tenant_id: Whose host it is.
        name: Its name, unique in the tenant.
        platform: Its operating system.
        executor: How runbooks reach it.
        sandbox_root: The one folder that the local executor may touch.
        settings: Where the installation's sandboxes are.
        actor: Whose wish it is.

    Raises:
        Invalid: The sandbox is not below the installation's sandbox folder, or the host is not local.
    """
    root = _checked_root(sandbox_root, executor, settings)
    values = {"platform": platform, "executor": executor, "sandbox_root": root}
    wanted = insert(Host).values(id=new_id(), tenant_id=tenant_id, name=name, **values)
    host = (
        await session.scalars(
            wanted.on_conflict_do_update(
                index_elements=["tenant_id", "name"], set_={**values, "updated_at": func.now()}
            ).returning(Host),
            execution_options={"populate_existing": True},
        )
    ).one()
    declared = NewEvent(
        stream_type="host",
        stream_id=host.id,
        type="host.declared",
        data={"name": name, **values},
        actor=actor,
    )
    await events.append(session, tenant_id, [declared])
    return host


async def find_host(session: AsyncSession, tenant_id: UUID, host_id: UUID) -> Host:
    """Return one host.

    Raises:
        NotFound: The tenant has no such host.
    """
    host = await session.scalar(select(Host).where(Host.tenant_id == tenant_id, Host.id == host_id))
    if host is None:
        raise NotFound("There is no such host.")
    return host


async def find_host_by_name(session: AsyncSession, tenant_id: UUID, name: str) -> Host | None:
    """Return the host of a name, or None."""
    return await session.scalar(select(Host).where(Host.tenant_id == tenant_id, Host.name == name))


async def list_hosts(
    session: AsyncSession, tenant_id: UUID, *, after: str | None, limit: int
) -> Sequence[Host]:
    """Return hosts by name.

    Args:
        session: With the tenant bound.
        tenant_id: Whose hosts.
        after: The last name of the page before.
        limit: How many at most.
    """
    wanted = select(Host).where(Host.tenant_id == tenant_id)
    if after is not None:
        wanted = wanted.where(Host.name > after)
    return (await session.scalars(wanted.order_by(Host.name).limit(limit))).all()


def sandbox_within(settings: Settings, root: Path) -> bool:
    """Return whether a folder, links followed, is below the installation's sandbox folder."""
    sandboxes = (settings.home / SANDBOXES).resolve()
    try:
        resolved = root.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return False
    return resolved != sandboxes and resolved.is_relative_to(sandboxes)


def _checked_root(root: Path | None, executor: str, settings: Settings) -> str | None:
    if root is None:
        return None
    if executor != "local":
        raise Invalid(
            "Only a host with the executor 'local' has a sandbox.",
            errors=[FieldError("/sandbox_root", "is for the executor 'local' alone")],
        )
    if not root.is_absolute() or not sandbox_within(settings, root):
        raise Invalid(
            "A sandbox is a folder below the installation's own sandbox folder.",
            errors=[FieldError("/sandbox_root", f"must be an absolute path below FETTLE_HOME/{SANDBOXES}")],
        )
    return str(root.resolve())
