"""Celery and Celery Beat on the platform's Redis: scheduled work, and the jobs that leave through the outbox.

Tasks carry ids alone. What is to be done stands in the database, so that nothing that somebody might put
into Redis is ever run.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import structlog
from celery import Celery, Task  # type: ignore[import-untyped]  # celery has no types
from celery.signals import (  # type: ignore[import-untyped]  # as above
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
)
from redis.asyncio import Redis

from fettle.central import features
from fettle.central.opening import open_platform
from fettle.kernel.jobs import JobSpec, Schedule, run_job
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings, SettingsError, load_settings

RUN_JOB: Final = "fettle.run_job"
RUN_SCHEDULED: Final = "fettle.run_scheduled"

_TASK_SECONDS: Final = 3600
_SEEN: Final = "fettle:schedule:seen"

log = structlog.get_logger("fettle.celery")


def broker_url(redis_url: str) -> str:
    """Return the address of a Redis as Celery writes it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{unquote(parts.path)}?virtual_host={database}"


def make_celery(settings: Settings) -> Celery:
    """Return the Celery application of a process.

    Raises:
        SettingsError: No Redis is configured.
    """
    if settings.redis_url is None:
        raise SettingsError(
            "FETTLE_REDIS_URL: no Redis is configured. Run 'fettle up', which starts one, or set it."
        )
    celery = Celery("fettle", broker=broker_url(settings.redis_url.get_secret_value()), task_cls=LoopTask)
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue="fettle",
        task_soft_time_limit=_TASK_SECONDS,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 2 * _TASK_SECONDS, "socket_timeout": 10},
        timezone="UTC",
        beat_schedule={entry.name: _beat_entry(entry) for entry in _schedules().values()},
    )
    celery.task(name=RUN_JOB)(_run_job)
    celery.task(name=RUN_SCHEDULED)(_run_scheduled)
    return celery


async def publish_job(celery: Celery, tenant_id: UUID, job_id: UUID) -> None:
    """Hand a job to the workers; handing it over twice is harmless.

    Raises:
        kombu.exceptions.OperationalError: Redis cannot be reached.
    """
    arguments = (str(tenant_id), str(job_id))
    await asyncio.to_thread(celery.send_task, RUN_JOB, args=arguments, task_id=str(job_id), retry=False)


async def run_scheduled(platform: Platform, entry: Schedule) -> bool:
    """Run what a schedule names, unless another worker is at it; returns whether it was run."""
    async with platform.database.raw_system() as connection, connection.transaction():
        free = await connection.fetchval(
            "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", entry.name
        )
        if free:
            await entry.run(platform)
    if platform.redis is not None:
        await platform.redis.set(_SEEN, f"{time.time():.0f}", ex=3600)
    return bool(free)


async def seconds_since_schedule(redis: Redis) -> float | None:
    """Return how long ago scheduled work ran, None where that was not within the last hour."""
    seen = await redis.get(_SEEN)
    return None if seen is None else max(0.0, time.time() - float(seen))


class LoopTask(Task):  # type: ignore[misc]  # celery has no types
    """A task with its worker process's own event loop and connections, and its name in each log line."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it with the log context bound."""
        with structlog.contextvars.bound_contextvars(task=self.name, task_id=self.request.id):
            return super().__call__(*args, **kwargs)


class WorkerLoop:
    """The event loop of one worker process, in a thread of its own, so that it goes on between tasks."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
        self._thread.start()
        self.platform = self.run(open_platform(settings))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and return what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            # A time limit or the process's end may have come first; one that is done is not touched.
            future.cancel()

    def close(self) -> None:
        """Close the connections and end the loop."""
        self.run(self.platform.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


_worker_loop: WorkerLoop | None = None


def main(settings: Settings, part: str) -> None:
    """Run one of Celery's processes until it is told to end.

    Args:
        settings: Where Redis is.
        part: ``celery``, which is the worker, or ``beat``.
    """
    celery = make_celery(settings)
    if part == "beat":
        schedule = settings.home / "celery-beat"
        celery.start(["beat", f"--schedule={schedule}", "--loglevel=warning"])
    else:
        celery.start(
            ["worker", "--concurrency=2", "--loglevel=warning", "--without-gossip", "--without-mingle",
             "--without-heartbeat"]
        )  # fmt: skip


@setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def _keep_our_logging(**_kwargs: object) -> None:
    """Stop Celery from setting up logging of its own, by being connected."""


@worker_process_init.connect  # type: ignore[untyped-decorator]  # as above
def _open_worker(**_kwargs: object) -> None:
    """Make the loop and the connections after the fork: neither survives one."""
    global _worker_loop  # noqa: PLW0603 - Celery's hooks share nothing but the module
    _worker_loop = WorkerLoop(load_settings())
    features.equip(_worker_loop.platform)
    _worker_loop.platform.parts["celery"] = make_celery(_worker_loop.platform.settings)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # as above
def _close_worker(**_kwargs: object) -> None:
    if _worker_loop is not None:
        _worker_loop.close()


def _loop() -> WorkerLoop:
    if _worker_loop is None:
        raise RuntimeError("a task runs in a worker process alone")
    return _worker_loop


def _run_job(tenant_id: str, job_id: str) -> None:
    loop = _loop()
    loop.run(run_job(loop.platform, UUID(tenant_id), UUID(job_id), _jobs()))


def _run_scheduled(name: str) -> None:
    loop = _loop()
    entry = _schedules().get(name)
    if entry is None:
        log.warning("schedule.unknown", name=name)
        return
    loop.run(run_scheduled(loop.platform, entry))


def _jobs() -> Mapping[str, JobSpec]:
    return features.jobs()


def _schedules() -> Mapping[str, Schedule]:
    return features.schedules()


def _beat_entry(entry: Schedule) -> dict[str, Any]:
    # A worker that was away finds one call of each, not one for each period that it missed.
    options = {"expires": entry.every_seconds}
    return {"task": RUN_SCHEDULED, "schedule": entry.every_seconds, "args": (entry.name,), "options": options}
