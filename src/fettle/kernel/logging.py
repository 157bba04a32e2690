"""Logs: one JSON object a line on standard error (or readable lines on a terminal), redacted last of all."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import IO, Any, Final

import orjson
import structlog

from fettle.kernel import context
from fettle.kernel.redaction import redact
from fettle.kernel.settings import Settings

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_NOISY: Final = {
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
    "celery.redirected": logging.WARNING,
}
_LONGEST_TEXT: Final = 8_000
_DEEPEST: Final = 12
_MOST_ITEMS: Final = 200
_INT64: Final = 2**63

EventDict = MutableMapping[str, Any]


def configure_logging(settings: Settings, *, stream: IO[str] | None = None) -> None:
    """Send all logs, structlog's and the standard library's, one way.

    Args:
        settings: Its ``log_level`` and ``log_format``.
        stream: Where to; standard error unless a test asks otherwise.
    """
    out = stream or sys.stderr
    readable = settings.log_format == "console" or (settings.log_format == "auto" and out.isatty())
    shared: list[Any] = [
        add_context,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render_exception,
                redact_event,
                structlog.dev.ConsoleRenderer(colors=out.isatty()) if readable else _as_json,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.log_level])
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "alembic"):
        named = logging.getLogger(name)
        named.handlers.clear()
        named.propagate = True
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def add_context(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Add whose work this line is about: request, tenant, actor."""
    for name, variable in (
        ("request_id", context.request_id),
        ("tenant_id", context.tenant_id),
        ("actor", context.actor),
    ):
        value = variable.get()
        if value is not None and name not in event:
            event[name] = value
    return event


def render_exception(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Write an exception out as text, so that redaction sees it; frames only, never their variables."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error))[-_LONGEST_TEXT:]
    event.pop("stack_info", None)
    return event


def redact_event(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Take out whatever must not be kept; the last processor before the line is written."""
    cleaned, _ = redact(_plain(dict(event), 0))
    return dict(cleaned)


def _plain(value: Any, depth: int) -> Any:
    """Return a value as JSON: what is none becomes its text, what has no end becomes shorter."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < _INT64 else str(value)
    if isinstance(value, str):
        return _shortened(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): _plain(child, depth + 1) for key, child in list(value.items())[:_MOST_ITEMS]}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
    return _shortened(str(value))


def _shortened(text: str) -> str:
    shown = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."
    return shown.encode(errors="replace").decode()  # a lone surrogate cannot be written


def _as_json(_logger: Any, _name: str, event: EventDict) -> str:
    line = {"at": event.pop("at", None), "level": event.pop("level", None), "event": event.pop("event", "")}
    return orjson.dumps({**line, **event}, default=str).decode()
