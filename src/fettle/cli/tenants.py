"""``fettle tenants``: everything of a tenant in one archive, or gone for good; for whoever runs the installation."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import on_platform
from fettle.cli.output import AsJson, print_json, show, table
from fettle.identity import data_erasure, data_export
from fettle.identity.audit import Entry, Who, record_read
from fettle.kernel.platform import Platform

app = typer.Typer(no_args_is_help=True)

_WHO = Who("system:cli")

Slug = Annotated[str, typer.Argument(help="The tenant's slug.", show_default=False)]


@app.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """List every tenant."""

    async def look(platform: Platform) -> list[dict[str, Any]]:
        async with platform.database.raw_system() as connection:
            rows = await connection.fetch("SELECT id, slug, name, created_at FROM tenants ORDER BY slug")
        return [dict(row) for row in rows]

    items = on_platform(look)
    rows = ([item["slug"], item["name"], item["id"], item["created_at"]] for item in items)
    show({"items": items}, as_json=as_json, text=table(("slug", "name", "id", "created"), rows))


@app.command()
def export(
    slug: Slug,
    file: Annotated[Path, typer.Option("--file", "-o", help="Where to; a ZIP archive.")],
    as_json: AsJson = False,
) -> None:
    """Write everything of a tenant into one archive, without its secrets."""

    async def write(platform: Platform) -> dict[str, Any]:
        tenant_id = await _tenant(platform, slug)
        await record_read(platform, tenant_id, Entry(_WHO, "data.downloaded", ("data", None)))
        with file.open("wb") as out:

            async def keep(piece: bytes) -> None:
                out.write(piece)

            return await data_export.write_archive(platform, tenant_id, keep)

    manifest = on_platform(write)
    size = file.stat().st_size
    show(
        manifest | {"file": str(file)}, as_json=as_json, text=f"{file}: {len(manifest['files'])} files, {size} bytes"
    )  # fmt: skip


@app.command()
def erase(
    slug: Slug,
    confirm: Annotated[str, typer.Option(help="The slug once more.")] = "",
    as_json: AsJson = False,
) -> None:
    """Erase a tenant for good, and print the signed statement of it. Run it again where it was interrupted."""
    if not confirm and not as_json:
        confirm = typer.prompt(f"Everything of {slug} will be gone for good. Type its slug to go on")

    async def do(platform: Platform) -> dict[str, Any] | None:
        erasure = await data_erasure.begin(platform, await _tenant(platform, slug), _WHO, confirm=confirm)
        return await data_erasure.erase(platform, erasure)

    record = on_platform(do)
    if record is None:
        raise CommandError("Another process is erasing; it goes on there.", Exit.REFUSED)
    print_json(record)


async def _tenant(platform: Platform, slug: str) -> UUID:
    async with platform.database.raw_system() as connection:
        found: UUID | None = await connection.fetchval("SELECT id FROM tenants WHERE slug = $1", slug)
    if found is None:
        raise CommandError(f"There is no tenant {slug}; `fettle tenants list` names them.", Exit.NOT_FOUND)
    return found
