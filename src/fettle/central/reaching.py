"""Whether a database and a Redis of the operator's own can be worked with, asked before anything stands on them."""

from typing import Final
from urllib.parse import urlsplit

import asyncpg
from pydantic import SecretStr
from redis.exceptions import RedisError

from fettle.central.processes import StartError
from fettle.kernel.redis import connect_redis, ping
from fettle.kernel.settings import Settings

_PATIENCE_SECONDS: Final = 10.0
_OLDEST_SERVER: Final = 160_000
_OTHER_PORTS: Final = {"postgresql": 5432, "redis": 6379, "rediss": 6379}

_SERVER: Final = "SELECT current_setting('server_version_num')::int"
_ROLE: Final = """
SELECT current_user AS name, own.rolsuper OR own.rolbypassrls AS unbound, EXISTS (
  SELECT FROM pg_roles AS r WHERE r.rolname = $1 AND pg_has_role(current_user, r.oid, 'MEMBER')
) AS member FROM pg_roles AS own WHERE own.rolname = current_user
"""


async def check_own_database(settings: Settings) -> None:
    """Ask the database that the operator named whether it is there, and whether its roles are what they have to be.

    Args:
        settings: As the operator chose them; a database that is not named is embedded, and not looked at.

    Raises:
        StartError: With one line that names the setting, what is wrong and what would be right.
    """
    named = {
        "FETTLE_DATABASE_URL": settings.database_url,
        "FETTLE_DATABASE_APP_URL": settings.database_app_url,
        "FETTLE_DATABASE_SYSTEM_URL": settings.database_system_url,
    }
    unset = [name for name, url in named.items() if url is None]
    if len(unset) == len(named):
        return
    if unset:
        given = next(name for name in named if name not in unset)
        raise StartError(f"{given} is set; {' and '.join(unset)} must be set with it.")
    await _check_server("FETTLE_DATABASE_URL", settings.database_url)
    await _check_role("FETTLE_DATABASE_APP_URL", settings.database_app_url, "fettle_app")
    await _check_role("FETTLE_DATABASE_SYSTEM_URL", settings.database_system_url, "fettle_system")


async def check_own_redis(settings: Settings) -> None:
    """Ask the Redis that the operator named whether it is there.

    Args:
        settings: As the operator chose them; a Redis that is not named is embedded, and not looked at.

    Raises:
        StartError: With one line that names the setting, what is wrong and what would be right.
        SettingsError: Its address cannot be read.
    """
    if settings.redis_url is None:
        return
    client = connect_redis(settings)
    try:
        await ping(client)
    except (RedisError, OSError, TimeoutError) as error:
        raise StartError(
            f"FETTLE_REDIS_URL: {_place(settings.redis_url)} does not answer as Redis ({type(error).__name__}); start "
            "it, mend the address or its password, or unset it for the embedded one."
        ) from None
    finally:
        await client.aclose()


async def _check_server(setting: str, url: SecretStr | None) -> None:
    if url is None:
        return
    connection = await _connected(setting, url)
    try:
        number = await connection.fetchval(_SERVER)
    finally:
        await connection.close()
    if number < _OLDEST_SERVER:
        raise StartError(
            f"{setting}: {_place(url)} is PostgreSQL {number // 10_000}; 16 or later is needed, patched."
        )


async def _check_role(setting: str, url: SecretStr | None, wanted: str) -> None:
    """Refuse a role that row-level security does not bind, or that no policy is made for."""
    if url is None:
        return
    connection = await _connected(setting, url)
    try:
        role = await connection.fetchrow(_ROLE, wanted)
    finally:
        await connection.close()
    if role is None or role["unbound"]:
        name = wanted if role is None else role["name"]
        raise StartError(
            f"{setting}: the role {name} is not bound by row-level security, so tenants would not be kept apart; "
            f"use {wanted}: CREATE ROLE {wanted} LOGIN NOSUPERUSER NOBYPASSRLS."
        )
    if not role["member"]:
        raise StartError(
            f"{setting}: it signs in as {role['name']}; it must be the role {wanted}: "
            f"CREATE ROLE {wanted} LOGIN NOSUPERUSER NOBYPASSRLS."
        )


async def _connected(setting: str, url: SecretStr) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url.get_secret_value(), timeout=_PATIENCE_SECONDS)
    except asyncpg.PostgresError as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StartError(f"{setting}: {_place(url)} refuses: {said}.") from None
    except (OSError, TimeoutError, asyncpg.InterfaceError, ValueError) as error:
        raise StartError(
            f"{setting}: {_place(url)} does not answer as PostgreSQL ({type(error).__name__}); start it, or mend the "
            "address."
        ) from None


def _place(url: SecretStr) -> str:
    """Return where an address leads, without whom it signs in as or the password."""
    parts = urlsplit(url.get_secret_value())
    if not parts.hostname:
        return parts.path or "the address"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or _OTHER_PORTS.get(parts.scheme, '?')}"
