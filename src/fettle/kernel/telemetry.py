"""Error reports to Sentry: only where the operator asked for them and sovereignty allows it, and redacted."""

import sys
from typing import Any

import structlog

from fettle.kernel.redaction import redact
from fettle.kernel.settings import Settings

_DROPPED = frozenset({"request", "user", "server_name", "extra", "breadcrumbs", "modules"})

log = structlog.get_logger("fettle.telemetry")


def start_telemetry(settings: Settings) -> bool:
    """Report errors to Sentry, if at all.

    Args:
        settings: A DSN alone is not enough: while ``sovereign`` is true nothing is sent anywhere.

    Returns:
        Whether errors are reported from now on.
    """
    if settings.sentry_dsn is None:
        return False
    if settings.sovereign:
        log.warning("no error is reported: FETTLE_SENTRY_DSN is set, but FETTLE_SOVEREIGN is true")
        return False
    import sentry_sdk  # noqa: PLC0415 - loads slowly, and hardly anybody asks for it

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        # Personal data is off unless asked for: send_default_pii is not set, and no integration collects.
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=0.0,
        auto_session_tracking=False,
        default_integrations=False,
        auto_enabling_integrations=False,
        before_send=clean_report,
    )
    return True


def report(error: BaseException) -> None:
    """Report an error that nobody expected; nothing happens unless `start_telemetry` allowed it."""
    if (sentry := sys.modules.get("sentry_sdk")) is not None:
        sentry.capture_exception(error)


def clean_report(event: Any, _hint: Any) -> Any:
    """Return a report without what names a person, a request's content or this machine, the rest redacted.

    Args:
        event: Sentry's event.
        _hint: What it was made from; it is not looked at.
    """
    kept = {key: value for key, value in event.items() if key not in _DROPPED}
    cleaned, _ = redact(kept)
    return cleaned
