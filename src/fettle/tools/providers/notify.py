"""The tool `notify`: tells people, on the incident's timeline, in the log, and by e-mail where that is set up."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

import structlog

from fettle.kernel import events
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.settings import Settings
from fettle.tools.registry import OutcomeUnknown, Tool, ToolCall, ToolError, ToolRegistry, object_schema

_TIMEOUT_SECONDS: Final = 20.0
_PORTS: Final = {"smtp": 587, "smtps": 465}
_REQUESTED: Final = "notification.requested"
_SENT: Final = "notification.sent"
_FAILED: Final = "notification.failed"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = structlog.get_logger("fettle.notify")


def register(registry: ToolRegistry) -> None:
    """Add the tool."""
    address = {"type": "string", "maxLength": 254, "pattern": r"^[^@\s<>,;:\"]+@[^@\s<>,;:\"]+$"}
    registry.register(
        Tool(
            name="notify",
            version="1",
            title="Tell people",
            description="Puts a message on the incident's timeline and into the log, and mails it to `to`.",
            input_schema=object_schema(
                {
                    "subject": {"type": "string", "minLength": 1, "maxLength": 500},
                    "message": {"type": "string", "maxLength": 10_000},
                    "to": {"type": "array", "items": address, "maxItems": 20},
                    "severity": {"enum": ["info", "low", "medium", "high", "critical"]},
                },
                ("subject",),
            ),
            output_schema=object_schema(
                {"notification_id": {"type": "string"}, "channels": {"type": "array"}},
                ("notification_id", "channels"),
            ),
            idempotent=True,
            supports_dry_run=True,
            call=_notify,
        )
    )


async def _notify(call: ToolCall) -> dict[str, Any]:
    notification_id = uuid5(call.run_id, call.step_id)
    wanted = call.input.get("to") or []
    channels = ["timeline", "log", *(["email"] if wanted else [])]
    if wanted and call.platform.settings.smtp_url is None:
        raise ToolError(
            "no_email", "e-mail is not set up; set FETTLE_SMTP_URL and FETTLE_SMTP_FROM, or leave out `to`"
        )
    said = {"notification_id": str(notification_id), "channels": channels}
    if call.dry_run:
        return said
    history = await _history(call, notification_id)
    if not history:
        await _tell(call, notification_id, channels)
    if wanted and history[-1:] != [_SENT]:
        if history[-1:] == [_REQUESTED]:
            raise OutcomeUnknown(
                "the process ended while the e-mail was sent; ask its readers whether it came"
            )
        await _mail(call, notification_id, wanted, version=max(1, len(history)))
    return said


async def _history(call: ToolCall, notification_id: UUID) -> list[str]:
    async with call.platform.database.tenant(call.tenant_id) as session:
        stream = await events.read_stream(session, call.tenant_id, "notification", notification_id)
    return [event.type for event in stream]


async def _tell(call: ToolCall, notification_id: UUID, channels: list[str]) -> None:
    data = {
        "subject": call.input["subject"],
        "message": call.input.get("message", ""),
        "severity": call.input.get("severity", "info"),
        "channels": channels,
        "run_id": str(call.run_id),
    }
    await _append(call, notification_id, _REQUESTED, data, version=0)
    log.info("notification", subject=call.input["subject"], incident_id=str(call.incident_id))


async def _mail(call: ToolCall, notification_id: UUID, to: list[str], *, version: int) -> None:
    if version > 1:
        await _append(call, notification_id, _REQUESTED, {"again": True}, version=version)
        version += 1
    message = _message(call, notification_id, to)
    try:
        await asyncio.to_thread(_send, call.platform.settings, message)
    except smtplib.SMTPServerDisconnected:
        raise OutcomeUnknown("the mail server broke off; the e-mail may have been sent") from None
    except (OSError, smtplib.SMTPException) as error:
        reason = type(error).__name__
        await _append(call, notification_id, _FAILED, {"error": reason}, version=version)
        raise ToolError("email", f"the mail server did not take it: {reason}", retryable=True) from None
    await _append(call, notification_id, _SENT, {"recipients": len(to)}, version=version)


async def _append(
    call: ToolCall, notification_id: UUID, kind: str, data: dict[str, Any], *, version: int
) -> None:
    event = NewEvent(
        stream_type="notification",
        stream_id=notification_id,
        type=kind,
        data=data,
        actor="system:runner",
        correlation_id=call.incident_id,
    )
    try:
        async with call.platform.database.tenant(call.tenant_id) as session:
            await events.append(session, call.tenant_id, [event], expected_version=version)
    except Conflict:
        raise ToolError("twice", "another process sends the same notification", retryable=True) from None


def _message(call: ToolCall, notification_id: UUID, to: list[str]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(call.input["subject"].split())[:200]
    message["From"] = call.platform.settings.smtp_from or "fettle@localhost"
    message["To"] = ", ".join(to)
    # The same for every attempt, so that a mailbox can tell a repeated message.
    message["Message-ID"] = f"<{notification_id}@fettle>"
    message.set_content(call.input.get("message") or call.input["subject"])
    return message


def _send(settings: Settings, message: EmailMessage) -> None:
    assert settings.smtp_url is not None
    url = urlsplit(settings.smtp_url.get_secret_value())
    host = url.hostname or "127.0.0.1"
    port = url.port or _PORTS.get(url.scheme, 587)
    trust = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=trust)
    else:
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
    with server:
        if url.scheme != "smtps" and host not in _LOOPBACK:
            server.starttls(context=trust)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
