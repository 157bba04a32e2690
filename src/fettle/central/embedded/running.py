"""Which embedded servers run on a home already."""

import socket as sockets
from pathlib import Path

from pydantic import SecretStr

from fettle.central.embedded.home import socket_folder
from fettle.central.embedded.postgres import postgres_url
from fettle.central.embedded.redis import answers, redis_url
from fettle.kernel.settings import Settings


def running_parts(settings: Settings) -> Settings | None:
    """Return the settings with the addresses of embedded parts that run on their home.

    Returns:
        None when the database is embedded and does not run.
    """
    sockets_at = socket_folder(settings.home)
    found: dict[str, SecretStr] = {}
    if settings.database_url is None:
        if not _listens(sockets_at / ".s.PGSQL.5432"):
            return None
        found["database_url"] = SecretStr(postgres_url(sockets_at, "fettle_owner"))
        found["database_app_url"] = SecretStr(postgres_url(sockets_at, "fettle_app"))
        found["database_system_url"] = SecretStr(postgres_url(sockets_at, "fettle_system"))
    if settings.redis_url is None and answers(sockets_at / "redis.sock"):
        found["redis_url"] = SecretStr(redis_url(sockets_at))
    return settings.model_copy(update=found)


def _listens(path: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
