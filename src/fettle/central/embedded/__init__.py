"""The database and the Redis that come with Fettle: started, secured and stopped as child processes.

Both listen on a Unix socket in a folder of ours alone, never on the network.
"""

from fettle.central.embedded.home import socket_folder
from fettle.central.embedded.postgres import PostgresServer, postgres_url, start_postgres
from fettle.central.embedded.redis import RedisServer, start_redis
from fettle.central.embedded.running import running_parts

__all__ = [
    "PostgresServer",
    "RedisServer",
    "postgres_url",
    "running_parts",
    "socket_folder",
    "start_postgres",
    "start_redis",
]
