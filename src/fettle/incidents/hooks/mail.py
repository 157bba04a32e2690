"""Reads an e-mail (RFC 5322) as plain data; pure, and an error only where it is no e-mail at all."""

import email
import email.policy
import re
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from html.parser import HTMLParser
from typing import Any, Final

from fettle.kernel.errors import Malformed
from fettle.packs.sources import clean

_LONGEST_TEXT: Final = 20_000
_LONGEST_FIELD: Final = 1_000
_MOST_PARTS: Final = 100
_LONGEST_HEADER: Final = 500
_LONGEST_PAGE: Final = 200_000
_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*[ \t]*:")
_MOST_ADDRESSES: Final = 50


def read_mail(body: bytes) -> dict[str, Any]:
    """Return what an e-mail says: who, to whom, when, about what, its text, and what is attached by name.

    Raises:
        Malformed: There is not one header of an e-mail in it, or it has too many parts.
    """
    bounded = _bounded(body)
    try:
        mail = _read(email.message_from_bytes(bounded, policy=email.policy.default))
    except Exception:  # noqa: BLE001 - the reader of mail raises whatever it likes about what strangers write
        raise Malformed(
            "The message cannot be read as an e-mail. Send it as it came, as message/rfc822."
        ) from None
    if mail is None:
        raise Malformed("This is no e-mail. Send the whole message as message/rfc822, headers first.")
    return mail


def _bounded(body: bytes) -> bytes:
    """Return a message whose headers are short and whose parts are few.

    What reads headers takes a time that grows with the square of their length, and longer than a line or two
    is nothing that is read here.
    """
    kept: list[bytes] = []
    is_header, left, parts = True, _LONGEST_HEADER, 0
    follows_boundary = False
    for line in body.split(b"\n"):
        if follows_boundary:
            parts += _FIELD.match(line) is not None
            follows_boundary = False
        if is_header and line.strip():
            left = left if line[:1] in b" \t" else _LONGEST_HEADER
            kept.append(line[:left])
            left = max(0, left - len(line))
            continue
        is_header = follows_boundary = line.startswith(b"--")
        left = _LONGEST_HEADER
        kept.append(line)
    if parts > _MOST_PARTS:
        raise Malformed(f"The message has more than {_MOST_PARTS} parts. Send what it says without them.")
    return b"\n".join(kept)


def _read(message: EmailMessage) -> dict[str, Any] | None:
    if not any(name in message for name in ("from", "to", "subject", "date", "message-id")):
        return None
    return {
        "from": parseaddr(_header(message, "from") or "")[1].lower() or None,
        "from_name": parseaddr(_header(message, "from") or "")[0] or None,
        "to": [address.lower() for _, address in getaddresses([_header(message, "to") or ""])][
            :_MOST_ADDRESSES
        ],
        "subject": _header(message, "subject"),
        "date": _header(message, "date"),
        "message_id": _header(message, "message-id"),
        "text": _text(message),
        "attachments": [
            {"name": clean(part.get_filename() or "")[:200], "type": clean(part.get_content_type())[:200]}
            for part in list(message.iter_attachments())[:_MOST_PARTS]
        ]
        if message.is_multipart()
        else [],
    }


def _header(message: EmailMessage, name: str) -> str | None:
    value = message.get(name)
    return " ".join(clean(str(value)).split())[:_LONGEST_FIELD] or None if value is not None else None


def _text(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        text = raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        text = raw.decode("utf-8", "replace")
    if part.get_content_type() == "text/html":
        text = _words(text[:_LONGEST_PAGE])
    return clean(text).strip()[:_LONGEST_TEXT]


class _Words(HTMLParser):
    """Keeps the words of a page and leaves its markup, scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base's
        self._hidden += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"} and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _words(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    return "\n".join(line.strip() for line in "".join(parser.words).splitlines() if line.strip())
