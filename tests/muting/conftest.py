"""One tenant with its pipeline, what mutes there, and a clock that tests can move."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from tests.healing.conftest import Pipeline
from tests.healing.conftest import packs as packs  # noqa: PLC0414 - a fixture

from fettle.healing.muting import releasing
from fettle.healing.muting.consumers import look_again
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

HOUR = timedelta(hours=1)


class Muting(Pipeline):
    """A tenant that sets what mutes."""

    async def set(self, kind: str, **document: Any) -> UUID:
        """Set something as it is stored, and let the pipeline hear of it."""
        mute_id = new_id()
        document.setdefault("title", kind)
        async with self.platform.database.tenant(self.tenant) as session:
            connection = await driver(session)
            await connection.execute(
                "INSERT INTO mutes (id, tenant_id, kind, title, document, ends_at, created_by, updated_by) "
                "VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, 't', 't')",
                mute_id, self.tenant, kind, document["title"], dumps_str(document), None,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO mute_sets (tenant_id) VALUES ($1) ON CONFLICT (tenant_id) "
                "DO UPDATE SET version = mute_sets.version + 1",
                self.tenant,
            )
        await self.heard()
        return mute_id

    async def silence(self, *matchers: tuple[str, str, str], ends_in: timedelta = HOUR, **more: Any) -> UUID:
        now = utcnow()
        return await self.set("silence", **{**_over(now, now + ends_in, matchers), **more})

    async def window(self, effect: str, *matchers, ends_in: timedelta = HOUR, **more: Any) -> UUID:
        now = utcnow()
        return await self.set("window", effect=effect, **{**_over(now, now + ends_in, matchers), **more})

    async def end(self, mute_id: UUID) -> None:
        """Let something that is set be over now."""
        await self.change(mute_id, ends_at=rfc3339(utcnow() - timedelta(seconds=1)))

    async def change(self, mute_id: UUID, **document: Any) -> None:
        async with self.platform.database.raw_system() as connection:
            await connection.execute(
                "UPDATE mutes SET document = document || $2::text::jsonb WHERE id = $1",
                mute_id,
                dumps_str(document),
            )
            await connection.execute("UPDATE mute_sets SET version = version + 1, due_at = now()")

    async def heard(self) -> None:
        """Let muting look at the tenant at once, and the process forget what it knew."""
        self.platform.parts.pop("healing.mutes", None)
        async with self.platform.database.tenant(self.tenant) as session:
            await look_again(TenantBatch(self.platform, session, self.tenant, []))

    async def look(self) -> None:
        """Let muting look at whoever is due, and the pipeline go on."""
        self.platform.parts.pop("healing.mutes", None)
        await self.rows(
            "UPDATE mute_sets SET due_at = now() WHERE tenant_id = $1 RETURNING tenant_id", self.tenant
        )
        await releasing.look_at_due(self.platform)
        await self.settle()

    async def states(self) -> dict[str, str]:
        return {row["host"]: row["state"] for row in await self.rows("SELECT host, state FROM incidents")}


def _over(starts, ends, matchers) -> dict[str, Any]:
    return {
        "matchers": [{"name": name, "op": op, "value": value} for name, op, value in matchers],
        "starts_at": rfc3339(starts),
        "ends_at": rfc3339(ends),
        "recurrence": None,
    }


@pytest.fixture
def muting(platform, packs, tenant) -> Muting:
    return Muting(platform, tenant)


@pytest_asyncio.fixture
async def other(platform, packs, other_tenant) -> Muting:
    return Muting(platform, other_tenant)
