"""Hands the consumers of a tenant what they have not had, as the bus does, without its waiting."""

from fettle.kernel import events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver


class Consuming:
    """A tenant's events and the consumers that read them."""

    def __init__(self, platform, tenant, specs):
        self.platform = platform
        self.tenant = tenant
        self._specs = specs
        self._read_up_to = dict.fromkeys((spec.group for spec in specs), 0)

    async def consume(self):
        """Let each consumer read once; tells whether anything was new. What one fails at it reads again."""
        found_any = False
        for spec in self._specs:
            before = self._read_up_to[spec.group]
            try:
                found_any |= await self._consume_one(spec)
            except Exception:
                self._read_up_to[spec.group] = before
                raise
        return found_any

    async def _consume_one(self, spec):
        async with self.platform.database.tenant(self.tenant) as session:
            found = await self._unread(session, spec)
            if found:
                self._read_up_to[spec.group] = found[-1].position
                await spec.handle(TenantBatch(self.platform, session, self.tenant, found))
        return bool(found)

    async def settle(self):
        """Let consumers read until nothing is new."""
        while await self.consume():
            pass

    async def rows(self, query, *arguments):
        async with self.platform.database.raw_tenant(self.tenant) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def _unread(self, session, spec):
        connection = await driver(session)
        rows = await connection.fetch(
            f"SELECT {events.COLUMNS} FROM events WHERE tenant_id = $1 AND type = ANY($2) AND position > $3 "
            "ORDER BY position LIMIT $4",
            self.tenant,
            list(spec.types),
            self._read_up_to[spec.group],
            spec.batch_size,
        )
        return [events.from_row(row) for row in rows]
