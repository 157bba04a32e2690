"""Reads what Prometheus Alertmanager sends (webhook payload version 4) as exceptions; pure.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fettle.incidents.schemas import ExceptionIn

CHECK_TYPE = "alertmanager_alert"
SOURCE = "alertmanager"
MAX_ALERTS = 1_000

_OWN_LABELS_LIMIT = 100
_TEXT_LIMIT = 4_000


class Alert(BaseModel):
    """One alert of a notification; fields that this version does not know are passed over."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: AwareDatetime | None = None  # noqa: N815 - the sender's name
    endsAt: AwareDatetime | None = None  # noqa: N815 - the sender's name
    generatorURL: str | None = None  # noqa: N815 - the sender's name
    fingerprint: str = ""


class Notification(BaseModel):
    """What Alertmanager posts: the alerts of one group."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "version": "4",
                    "groupKey": '{}:{alertname="NodeFilesystemAlmostOutOfSpace"}',
                    "status": "firing",
                    "receiver": "fettle",
                    "alerts": [
                        {
                            "status": "firing",
                            "labels": {
                                "alertname": "NodeFilesystemAlmostOutOfSpace",
                                "instance": "files-1:9100",
                                "mountpoint": "/srv",
                                "severity": "warning",
                            },
                            "annotations": {"summary": "Less than 5 % left"},
                            "startsAt": "2026-11-20T08:00:00Z",
                            "endsAt": "0001-01-01T00:00:00Z",
                            "fingerprint": "c5b1e4d2a9f60713",
                        }
                    ],
                }
            ]
        },
    )

    version: Literal["4"]
    groupKey: str = ""  # noqa: N815 - the sender's name
    status: Literal["firing", "resolved"]
    receiver: str = ""
    alerts: Annotated[list[Alert], Field(min_length=1, max_length=MAX_ALERTS)]
    truncatedAlerts: int = 0  # noqa: N815 - the sender's name


def exceptions_of(notification: Notification) -> list[ExceptionIn]:
    """Return one exception for each alert of a notification.

    The alert's own fingerprint, a hash of its labels, makes firing, repeated and resolved notices one
    incident. An ``endsAt`` of the year 1 is how the sender writes that an alert has no end yet.
    """
    return [_exception(notification, alert) for alert in notification.alerts]


def _exception(notification: Notification, alert: Alert) -> ExceptionIn:
    started = _moment(alert.startsAt)
    ended = _moment(alert.endsAt) if alert.status == "resolved" else None
    name = alert.labels.get("alertname", "")
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or name or None
    details: dict[str, Any] = {
        "alertname": name or None,
        "annotations": alert.annotations,
        "receiver": notification.receiver,
        "group_key": notification.groupKey,
        "generator_url": alert.generatorURL,
        "starts_at": started.isoformat() if started else None,
        "ends_at": ended.isoformat() if ended else None,
    }
    return ExceptionIn(
        check_type=CHECK_TYPE,
        source=SOURCE,
        status=alert.status,
        summary=summary[:_TEXT_LIMIT] if summary else None,
        occurred_at=ended or started,
        dedup_key=alert.fingerprint[:500] or _labels_key(alert),
        details={key: value for key, value in details.items() if value is not None},
        labels={
            key[:200]: value[:_TEXT_LIMIT] for key, value in list(alert.labels.items())[:_OWN_LABELS_LIMIT]
        },
    )


def _labels_key(alert: Alert) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(alert.labels.items()))[:500] or "unlabelled"


def _moment(said: datetime | None) -> datetime | None:
    """Return a moment in UTC; None for the sender's "never", and for what has no UTC at the calendar's ends."""
    if said is None:
        return None
    try:
        moment = said.astimezone(UTC)
    except OverflowError:
        return None
    return moment if moment.year > 1 else None
