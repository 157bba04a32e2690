"""Redis: cache, limits and live fan-out; every key of a tenant begins with the tenant."""

import time
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from fettle.kernel.settings import Settings, SettingsError

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_RETRIES = 2


def connect_redis(settings: Settings) -> Redis:
    """Return a client of the configured Redis; it connects when first used.

    Args:
        settings: With ``redis_url``: ``unix://path?db=0``, ``redis://`` or, with TLS, ``rediss://``.

    Raises:
        SettingsError: No Redis is configured, or its address cannot be read.
    """
    if settings.redis_url is None:
        raise SettingsError("FETTLE_REDIS_URL: no Redis is configured. Run 'fettle up', which starts one.")
    try:
        client: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), _RETRIES),
            retry_on_error=[RedisConnectionError],
        )
    except ValueError as error:
        raise SettingsError(f"FETTLE_REDIS_URL: {error}. Mend it in the environment or in .env.") from None
    return client


async def ping(redis: Redis) -> float:
    """Return how many milliseconds Redis took to answer.

    Raises:
        redis.exceptions.RedisError: It does not answer.
    """
    begun = time.perf_counter()
    await redis.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py types it not
    return (time.perf_counter() - begun) * 1000


def tenant_key(tenant_id: UUID | str, *parts: str) -> str:
    """Return the key of something of a tenant, ``fettle:<tenant>:<parts>``.

    Args:
        tenant_id: The tenant; it is read as a UUID, so that nothing else can stand in its place.
        *parts: What it is; none of them may hold a colon, which would name something else.

    Raises:
        ValueError: A part is empty or holds a colon, or the tenant is no UUID.
    """
    if not parts or any(not part or ":" in part for part in parts):
        raise ValueError(f"a Redis key's parts must be given and hold no colon: {parts!r}")
    tenant = tenant_id if isinstance(tenant_id, UUID) else UUID(tenant_id)
    return f"fettle:{tenant}:{':'.join(parts)}"
