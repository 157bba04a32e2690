"""The schema: brought to a revision by Alembic, as its owner."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_FOLDER = Path(__file__).resolve().parents[3] / "migrations"


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where the schema is and where it should be; None is an empty database."""

    current: str | None
    newest: str | None


async def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision; does nothing when it is there."""
    await asyncio.to_thread(command.upgrade, _config(owner_url), revision)


async def downgrade(owner_url: str, revision: str) -> None:
    """Take the schema back to a revision; ``base`` leaves nothing."""
    await asyncio.to_thread(command.downgrade, _config(owner_url), revision)


async def status(owner_url: str) -> SchemaStatus:
    """Read the schema's revision."""
    engine = create_async_engine(_async_url(owner_url))
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(_current)
    finally:
        await engine.dispose()
    return SchemaStatus(current, ScriptDirectory.from_config(_config(owner_url)).get_current_head())


def _current(connection: Connection) -> str | None:
    connection.execute(text("SELECT 1"))
    return MigrationContext.configure(connection).get_current_revision()


def _config(owner_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = owner_url
    return config


def _async_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
