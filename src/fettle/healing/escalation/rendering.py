"""A notice in the form that each channel wants, within the channel's limits; no I/O."""

import html
from typing import Any, Final

from fettle.healing.escalation.content import ACKNOWLEDGED, FIRING, RESOLVED, Notice
from fettle.kernel.clock import rfc3339

TAKE: Final = "fettle_take"
APPROVE: Final = "fettle_approve"
REJECT: Final = "fettle_reject"

_SLACK_TEXT: Final = 3_000
_SLACK_HEADER: Final = 150
_PAGERDUTY_SUMMARY: Final = 1_024
_SUBJECT: Final = 200
_SMS: Final = 480
_PAGERDUTY_SEVERITY: Final = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
    "info": "info",
}
_PAGERDUTY_ACTION: Final = {FIRING: "trigger", ACKNOWLEDGED: "acknowledge", RESOLVED: "resolve"}


def slack(notice: Notice, mention: str | None) -> dict[str, Any]:
    """Return the body of a Slack incoming webhook.

    Args:
        notice: What to say.
        mention: The Slack member id of whoever is meant.
    """
    headline = _cut(notice.headline, _SLACK_HEADER)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": headline, "emoji": False}}
    ]
    if mention is not None and notice.kind == FIRING:
        blocks.append(_slack_section(f"<@{mention}>, you are on call."))
    for heading, lines in notice.sections:
        body = "\n".join(f"• {_slack_escaped(line)}" for line in lines)
        blocks.append(_slack_section(_cut(f"*{heading}*\n{body}", _SLACK_TEXT)))
    if buttons := _slack_buttons(notice):
        blocks.append({"type": "actions", "block_id": f"fettle-{notice.message_id}", "elements": buttons})
    return {"text": _slack_escaped(notice.headline), "blocks": blocks}


def teams(notice: Notice) -> dict[str, Any]:
    """Return the body of a Teams Workflows webhook: one Adaptive Card."""
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": _plain_card(notice.headline),
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
        }
    ]
    for heading, lines in notice.sections:
        body.append(
            {"type": "TextBlock", "text": heading, "weight": "Bolder", "spacing": "Medium", "wrap": True}
        )
        body += [
            {"type": "TextBlock", "text": _plain_card(line), "spacing": "None", "wrap": True}
            for line in lines
        ]
    actions = []
    if notice.url is not None:
        title = "Look at it and take it" if notice.kind == FIRING else "Look at it"
        actions.append({"type": "Action.OpenUrl", "title": title, "url": notice.url})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": notice.headline,
        "body": body,
        "actions": actions,
    }
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


def pagerduty(notice: Notice, routing_key: str) -> dict[str, Any]:
    """Return an event of PagerDuty's Events API v2; a test is a trigger of the lowest severity."""
    action = _PAGERDUTY_ACTION.get(notice.kind, "trigger")
    event: dict[str, Any] = {"routing_key": routing_key, "event_action": action, "dedup_key": notice.key}
    if action != "trigger":
        return event
    severity = _PAGERDUTY_SEVERITY.get(notice.severity, "error") if notice.kind == FIRING else "info"
    event["payload"] = {
        "summary": _cut(notice.headline, _PAGERDUTY_SUMMARY),
        "source": notice.host or notice.site or notice.tenant,
        "severity": severity,
        "timestamp": rfc3339(notice.moment),
        "class": notice.check_type or "test",
        "group": notice.tenant,
        "custom_details": {heading: list(lines) for heading, lines in notice.sections},
    }
    event["client"] = "Fettle"
    if notice.url is not None:
        event["client_url"] = notice.url
        event["links"] = [{"href": notice.url, "text": "Look at it in Fettle"}]
    return event


def webhook(notice: Notice) -> dict[str, Any]:
    """Return the body of the generic webhook."""
    return {
        "type": f"escalation.{notice.kind}",
        "timestamp": rfc3339(notice.moment),
        "data": {
            "escalation_key": notice.key,
            "tenant": notice.tenant,
            "incident": {
                "id": str(notice.incident_id) if notice.incident_id else None,
                "number": notice.number,
                "title": notice.title,
                "severity": notice.severity,
                "check_type": notice.check_type,
                "host": notice.host,
                "site": notice.site,
            },
            "incidents": notice.members,
            "happened": list(notice.happened),
            "tried": list(notice.tried),
            "thinks": list(notice.thinks),
            "acknowledged_by": notice.by,
            "url": notice.url,
        },
    }


def subject(notice: Notice) -> str:
    """Return the subject of a mail, one line."""
    return _cut(" ".join(notice.headline.split()), _SUBJECT)


def mail_html(notice: Notice) -> str:
    """Return a mail as HTML, without anything that is loaded from elsewhere."""
    parts = [f"<h2>{html.escape(notice.headline)}</h2>"]
    for heading, lines in notice.sections:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        parts.append(f"<h3>{html.escape(heading)}</h3><ul>{items}</ul>")
    if notice.url is not None:
        address = html.escape(notice.url, quote=True)
        parts.append(f'<p><a href="{address}">Look at it in Fettle</a></p>')
    return f"<!doctype html><html><body>{''.join(parts)}</body></html>"


def sms(notice: Notice) -> str:
    """Return a text message."""
    link = f" {notice.url}" if notice.url else ""
    return _cut(notice.headline, _SMS - len(link)) + link


def _slack_buttons(notice: Notice) -> list[dict[str, Any]]:
    if notice.kind != FIRING or notice.incident_id is None:
        return []
    buttons = [_slack_button(TAKE, "Take it", str(notice.incident_id), "primary")]
    if notice.asked is not None:
        bound = f"{notice.asked.approval_id}:{notice.asked.plan_hash}"
        buttons += [
            _slack_button(APPROVE, "Approve the plan", bound, None),
            _slack_button(REJECT, "Reject the plan", bound, "danger"),
        ]
    if notice.url is not None:
        look = {"type": "plain_text", "text": "Look at it"}
        buttons.append({"type": "button", "action_id": "fettle_look", "text": look, "url": notice.url})
    return buttons


def _slack_button(action: str, words: str, value: str, style: str | None) -> dict[str, Any]:
    button: dict[str, Any] = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": words},
        "value": value,
    }
    return button if style is None else {**button, "style": style}


def _slack_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _slack_escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain_card(text: str) -> str:
    """Return a text of which an Adaptive Card makes no link, list or emphasis."""
    return "".join(f"\\{one}" if one in "\\`*_{}[]()#+|~" else one for one in text)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
