"""Runs the migrations as the schema's owner, on a connection that is handed over or by FETTLE_DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from fettle.kernel.settings import SettingsError, load_settings
from fettle.kernel.tenancy import Base


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_migrate() -> None:
    url = context.config.attributes.get("url")
    if url is None:
        settings = load_settings()
        if settings.database_url is None:
            raise SettingsError("FETTLE_DATABASE_URL: no database is configured for the migrations.")
        url = settings.database_url.get_secret_value()
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_connect_and_migrate())
