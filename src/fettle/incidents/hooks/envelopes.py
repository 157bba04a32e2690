"""Opens what came as its format says: JSON, CloudEvents, a message of SNS, an e-mail; pure."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from fettle.incidents.hooks.mail import read_mail
from fettle.incidents.hooks.signatures import Headers
from fettle.kernel import jsonio
from fettle.kernel.errors import FieldError, Invalid, Malformed
from fettle.kernel.http.problems import UnsupportedMediaType
from fettle.packs.sources import MAX_ITEMS

MAX_BODY: Final = 1_000_000
"""Largest body taken; far beyond what any of these senders writes."""

MAX_DEPTH: Final = 40
"""Deepest nesting taken."""

_BATCH: Final = "application/cloudevents-batch+json"
_STRUCTURED: Final = "application/cloudevents+json"
_MOST_HEADERS: Final = 50
_LONGEST_HEADER: Final = 500
_SECRET_WORDS: Final = ("authorization", "auth", "cookie", "signature", "token", "secret", "key", "password")
_REQUIRED: Final = ("id", "source", "type")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a mapping reads.

    Attributes:
        payload: Parsed JSON.
        key: What tells this delivery from every other, where the format has that; None where it has not.
    """

    payload: Any
    key: str | None = None


def open_body(kind: str, headers: Headers, body: bytes) -> Opened:
    """Open a body.

    Args:
        kind: The format: ``json``, ``cloudevents`` or ``email``; what SNS sends is opened where it is proved.
        headers: Of the request.
        body: As it came.

    Raises:
        Malformed: It cannot be read at all.
        Invalid: It can, and is not what the format says.
        UnsupportedMediaType: It says that it is something else.
    """
    media = (headers.get("content-type") or ("",))[0].partition(";")[0].strip().lower()
    if kind == "email":
        if media not in {"message/rfc822", "text/plain", "application/octet-stream", ""}:
            raise UnsupportedMediaType("Send the message as message/rfc822.")
        mail = read_mail(body)
        return Opened(mail, _digest("mail", mail["message_id"]) if mail["message_id"] else None)
    if kind == "cloudevents":
        return _cloud_events(media, headers, body)
    if media and not (media == "application/json" or media.endswith("+json") or media == "text/plain"):
        raise UnsupportedMediaType("Send the body as application/json.")
    return Opened(jsonio.parse(body, max_depth=MAX_DEPTH))


def shown_headers(headers: Headers) -> dict[str, str]:
    """Return the headers that a mapping may read: none that proves anything or holds a secret."""
    shown = {
        name: values[0][:_LONGEST_HEADER]
        for name, values in headers.items()
        if values and not any(word in name for word in _SECRET_WORDS)
    }
    return dict(list(shown.items())[:_MOST_HEADERS])


def _cloud_events(media: str, headers: Headers, body: bytes) -> Opened:
    if media == _BATCH:
        events = jsonio.parse(body, max_depth=MAX_DEPTH)
        if not isinstance(events, list) or len(events) > MAX_ITEMS:
            raise Invalid(
                f"A batch is a list of at most {MAX_ITEMS} events.", errors=[FieldError("", "no such list")]
            )
        pointers = [f"/{number}" for number in range(len(events))]
    elif media == _STRUCTURED:
        events, pointers = [jsonio.parse(body, max_depth=MAX_DEPTH)], [""]
    elif "ce-specversion" in headers:
        events, pointers = [_binary(media, headers, body)], ["/header"]
    else:
        raise UnsupportedMediaType(
            f"Send {_STRUCTURED}, {_BATCH}, or the headers ce-specversion, ce-id, ce-source and ce-type."
        )
    opened = [_event(event, pointer) for event, pointer in zip(events, pointers, strict=True)]
    told = jsonio.dumps_str([[event["source"], event["id"]] for event in opened])
    return Opened({"events": opened}, _digest("event", told) if opened else None)


def _event(event: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise Invalid("An event is a JSON object.", errors=[FieldError(pointer, "is no object")])
    version = event.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise Invalid(
            "Only CloudEvents 1.0 is read.", errors=[FieldError(f"{pointer}/specversion", "is not '1.0'")]
        )
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise Invalid(
                "An event has an id, a source and a type.",
                errors=[FieldError(f"{pointer}/{name}", "is missing or no text")],
            )
    data = event.get("data")
    if data is None and isinstance(event.get("data_base64"), str):
        data = _decoded(event["data_base64"], str(event.get("datacontenttype", "")), f"{pointer}/data_base64")
    return {**event, "data": data, "data_is_object": isinstance(data, dict)}


def _binary(media: str, headers: Headers, body: bytes) -> dict[str, Any]:
    event: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(values[0])
        for name, values in headers.items()
        if name.startswith("ce-")
    }
    if any(len(values) > 1 for name, values in headers.items() if name.startswith("ce-")):
        raise Malformed("A header of the event was sent more than once. Send it once.")
    if any("\x00" in value for value in event.values()):
        raise Malformed("A header of the event holds U+0000, which cannot be stored. Leave it out.")
    return {**event, "data": _data(media, body) if body else None}


def _data(media: str, body: bytes) -> Any:
    if media == "application/json" or media.endswith("+json"):
        return jsonio.parse(body, max_depth=MAX_DEPTH)
    return body.decode("utf-8", "replace").replace("\x00", "")


def _decoded(text: str, media: str, pointer: str) -> Any:
    try:
        body = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Invalid(
            "The event's data is not Base64.", errors=[FieldError(pointer, "is not Base64")]
        ) from None
    return _data(media.partition(";")[0].strip().lower(), body)


def _digest(kind: str, text: str) -> str:
    return f"{kind}:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def message_of(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mapping reads of a proved message of SNS: its words, and its JSON where it is an object."""
    text = str(parsed.get("Message", ""))
    message: Any = None
    if text.lstrip().startswith("{"):
        try:
            message = jsonio.parse(text.encode(), max_depth=MAX_DEPTH)
        except (Malformed, Invalid):
            message = None
    return {
        "topic": parsed.get("TopicArn"),
        "message_id": parsed.get("MessageId"),
        "subject": parsed.get("Subject") or None,
        "timestamp": parsed.get("Timestamp"),
        "text": text,
        "message": message,
        "attributes": parsed.get("MessageAttributes") or {},
    }
