"""Everything of one tenant in one archive: each table as JSON lines, its evidence, and a manifest of hashes."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from fettle.evidence.service import export_lines
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection
from fettle.kernel.jobs import Job
from fettle.kernel.jsonio import dumps
from fettle.kernel.platform import Platform
from fettle.kernel.tenancy import TENANT_SETTING

FORMAT: Final = "fettle.tenant-export/1"
KEPT: Final = timedelta(days=7)
"""So long a finished export can be downloaded."""

_PIECE: Final = 1_000_000
_ROWS: Final = 500
_LEFT_OUT: Final = {
    "data_exports": "exports themselves",
    "data_export_parts": "exports themselves",
    "idempotency_keys": "answers to repeated requests, kept for a day",
    "evidence_bundles": "in evidence.jsonl, as it verifies",
}

# Bytes are hashes and sealed secrets, and what the application's role may not read is one, too.
_COLUMNS: Final = """
SELECT c.relname AS table_name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.atttypid NOT IN ('bytea'::regtype, 'tsvector'::regtype) AND has_column_privilege(c.oid, a.attnum, 'SELECT')
  AND (c.relname = 'tenants' OR EXISTS (
    SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped))
GROUP BY c.relname ORDER BY c.relname
"""
_PEOPLE: Final = (
    "SELECT to_jsonb(u)::text FROM (SELECT id, email, name, created_at FROM users ORDER BY id) AS u"
)

Sink = Callable[[bytes], Awaitable[None]]
Report = Callable[[float], Awaitable[None]]


async def _to_nobody(_progress: float) -> None:
    """Report to nobody."""


@dataclass(slots=True)
class _Archive:
    """A ZIP archive that is written piece by piece to where it cannot be wound back."""

    sink: Sink
    files: list[dict[str, Any]] = field(default_factory=list)
    _buffer: "_Buffer" = field(init=False)
    _zip: zipfile.ZipFile = field(init=False)

    def __post_init__(self) -> None:
        self._buffer = _Buffer()
        self._zip = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6)

    async def add(self, name: str, lines: AsyncIterator[bytes]) -> None:
        digest, size, rows = hashlib.sha256(), 0, 0
        with self._zip.open(name, "w", force_zip64=True) as file:
            async for piece in lines:
                digest.update(piece)
                size += len(piece)
                rows += piece.count(b"\n")
                file.write(piece)
                await self._drain(_PIECE)
        self.files.append({"name": name, "lines": rows, "bytes": size, "sha256": digest.hexdigest()})

    async def finish(self, manifest: dict[str, Any]) -> None:
        self._zip.writestr("manifest.json", dumps({**manifest, "files": self.files}))
        self._zip.close()
        await self._drain(1)

    async def _drain(self, least: int) -> None:
        if self._buffer.size >= least:
            await self.sink(self._buffer.take())


class _Buffer(io.RawIOBase):
    """Takes what the archive writes until it is taken on."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.size += len(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken, self._pieces, self.size = b"".join(self._pieces), [], 0
        return taken


async def write_archive(
    platform: Platform, tenant_id: UUID, sink: Sink, report: Report = _to_nobody
) -> dict[str, Any]:
    """Write a tenant's archive; the tables are read as they were at one moment, under the tenant's own policies.

    No secret is in it: sealed values, hashes of credentials and whatever the application's role cannot read
    are left out.

    Args:
        platform: The process's parts.
        tenant_id: Whose data.
        sink: Takes the archive piece by piece.
        report: Is told how much is written, from 0 to 1, after each table.

    Returns:
        The manifest, which is also the archive's last file.
    """
    archive = _Archive(sink)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "tenant_id": str(tenant_id),
        "exported_at": rfc3339(utcnow()),
        "left_out": _LEFT_OUT,
    }
    async with platform.database.raw_app() as connection:
        # It only reads, so it has no transaction id and holds no reader of the event store back.
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            await connection.execute("SELECT set_config($1, $2, true)", TENANT_SETTING, str(tenant_id))
            tables = await connection.fetch(_COLUMNS)
            for number, row in enumerate(tables):
                table = row["table_name"]
                await report(number / len(tables))
                if table not in _LEFT_OUT:
                    lines = _rows(connection, table, row["columns"], tenant_id)
                    await archive.add(f"tables/{table}.jsonl", lines)
            await archive.add("people.jsonl", _texts(connection, _PEOPLE))
        finally:
            await connection.execute("ROLLBACK")
    await archive.add("evidence.jsonl", export_lines(platform, tenant_id))
    await archive.finish(manifest)
    return {**manifest, "files": archive.files}


async def run_export(job: Job) -> dict[str, Any]:
    """Make an export that was asked for; a second run begins again."""
    database, tenant_id = job.platform.database, job.tenant_id
    export_id = UUID(job.arguments["export_id"])
    async with database.raw_tenant(tenant_id) as connection:
        await connection.execute(
            "DELETE FROM data_export_parts WHERE tenant_id = $1 AND export_id = $2", tenant_id, export_id
        )
    digest, number, size = hashlib.sha256(), 0, 0

    async def keep(piece: bytes) -> None:
        nonlocal number, size
        async with database.raw_tenant(tenant_id) as connection:
            await connection.execute(
                "INSERT INTO data_export_parts (tenant_id, export_id, number, data) VALUES ($1, $2, $3, $4)",
                tenant_id, export_id, number, piece,
            )  # fmt: skip
        digest.update(piece)
        number, size = number + 1, size + len(piece)

    manifest = await write_archive(job.platform, tenant_id, keep, job.report)
    now = utcnow()
    async with database.raw_tenant(tenant_id) as connection:
        await connection.execute(
            "UPDATE data_exports SET state = 'ready', finished_at = $3, expires_at = $4, size_bytes = $5, sha256 = $6 "
            "WHERE tenant_id = $1 AND id = $2",
            tenant_id, export_id, now, now + KEPT, size, digest.hexdigest(),
        )  # fmt: skip
    return {"export_id": str(export_id), "bytes": size, "files": len(manifest["files"])}


async def read_archive(platform: Platform, tenant_id: UUID, export_id: UUID) -> AsyncIterator[bytes]:
    """Read a finished export piece by piece."""
    number = 0
    while True:
        async with platform.database.raw_tenant(tenant_id) as connection:
            piece = await connection.fetchval(
                "SELECT data FROM data_export_parts WHERE tenant_id = $1 AND export_id = $2 AND number = $3",
                tenant_id, export_id, number,
            )  # fmt: skip
        if piece is None:
            return
        yield piece
        number += 1


async def forget_exports(platform: Platform) -> None:
    """Delete the exports whose time is over."""
    async with platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM data_exports WHERE expires_at < now()")


async def _rows(
    connection: DriverConnection, table: str, columns: Iterable[str], tenant_id: UUID
) -> AsyncIterator[bytes]:
    names = ", ".join(f'"{name}"' for name in columns)
    owner = "id" if table == "tenants" else "tenant_id"
    select = f'SELECT to_jsonb(r)::text FROM (SELECT {names} FROM "{table}" WHERE {owner} = $1) AS r'  # noqa: S608 - names of the catalog
    async for piece in _texts(connection, select, tenant_id):
        yield piece


async def _texts(connection: DriverConnection, select: str, *arguments: object) -> AsyncIterator[bytes]:
    lines: list[str] = []
    async for row in connection.cursor(select, *arguments, prefetch=_ROWS):
        lines.append(row[0])
        if len(lines) == _ROWS:
            yield "".join(f"{line}\n" for line in lines).encode()
            lines = []
    if lines:
        yield "".join(f"{line}\n" for line in lines).encode()
