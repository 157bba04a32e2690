"""Calls of the API: one client, and every problem it answers told in one line with the right exit status."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from fettle.central.own_port import own_url
from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import settings
from fettle.cli.profile import load_profile
from fettle.kernel.settings import Settings

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_PAGE: Final = 200

_STATUSES: Final = {401: Exit.NOT_ALLOWED, 403: Exit.NOT_ALLOWED, 404: Exit.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """One Server-Sent Event."""

    id: str | None
    type: str
    data: Any


class Api:
    """The API of one installation, as the holder of a key.

    Args:
        url: The installation's address.
        api_key: The key.
        chosen: The settings here; a certificate of this machine's own is trusted.
    """

    def __init__(self, url: str, api_key: str, chosen: Settings) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=f"{url}/api/v1",
            timeout=_TIMEOUT,
            verify=_trust(chosen) if url.startswith("https:") else True,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "fettle-cli"},
        )

    @classmethod
    def of_profile(cls) -> Self:
        """Return the API that the environment or the saved profile names.

        Raises:
            CommandError: No key is known.
        """
        chosen = settings()
        profile = load_profile(chosen.home, own_url(chosen))
        if profile.api_key is None:
            raise CommandError(
                "no API key is known: set FETTLE_API_KEY to one made in the console, "
                "or run `fettle demo host`, which makes one.",
                Exit.NOT_ALLOWED,
            )
        return cls(profile.url, profile.api_key, chosen)

    def get(self, path: str, **parameters: Any) -> Any:
        """Read something; parameters that are None are left out."""
        return self._call("GET", path, params={k: v for k, v in parameters.items() if v is not None})

    def post(self, path: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Any:
        """Ask for something."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", path, json=body, headers=headers)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Put something in the place of what is there."""
        return self._call("PUT", path, json=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change some of something."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """Delete something."""
        self._call("DELETE", path)

    def upload(self, path: str, content: bytes) -> Any:
        """Send bytes that are no JSON."""
        return self._call("POST", path, content=content, headers={"Content-Type": "application/octet-stream"})

    def pages(self, path: str, *, limit: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page, at most `limit` of them."""
        left, cursor = limit, None
        while left is None or left > 0:
            page = self.get(path, cursor=cursor, limit=min(_PAGE, left or _PAGE), **parameters)
            yield from page["items"]
            cursor = page.get("next_cursor")
            left = None if left is None else left - len(page["items"])
            if cursor is None or not page["items"]:
                return

    @contextmanager
    def download(self, path: str, **parameters: Any) -> Iterator[httpx.Response]:
        """Lend an answer that is read as it comes.

        Raises:
            CommandError: The platform refused, or cannot be reached.
        """
        try:
            with self._http.stream("GET", path, params=parameters) as response:
                if response.is_error:
                    response.read()
                    raise _problem(response)
                yield response
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from None

    def stream(self, path: str, *, last_event_id: str | None = None) -> Iterator[StreamedEvent]:
        """Yield Server-Sent Events until the other side ends the stream.

        Raises:
            CommandError: The platform refused, or cannot be reached, now or in the middle.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        endless = httpx.Timeout(None, connect=5.0)
        try:
            with self._http.stream("GET", path, headers=headers, timeout=endless) as response:
                if response.is_error:
                    response.read()
                    raise _problem(response)
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from None

    def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from None
        if response.is_error:
            raise _problem(response)
        return response.json() if response.content else None


def _events(lines: Iterator[str]) -> Iterator[StreamedEvent]:
    """Read the stream as its standard says: a blank line ends an event, a colon begins a comment."""
    last_id: str | None = None
    kind = "message"
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield StreamedEvent(last_id, kind, json.loads("\n".join(data)))
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            last_id = value


def _problem(response: httpx.Response) -> CommandError:
    try:
        document = response.json()
        detail = document.get("detail") or document.get("title") or response.reason_phrase
        faults = [f"{fault['pointer'] or '/'} {fault['detail']}" for fault in document.get("errors", [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        detail, faults = f"the answer was {response.status_code} {response.reason_phrase}", []
    status = _STATUSES.get(response.status_code, Exit.REFUSED)
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        status = Exit.UNREACHABLE
    if status is Exit.NOT_ALLOWED and response.status_code == httpx.codes.UNAUTHORIZED:
        detail = "the API key does not hold, or not any more; set FETTLE_API_KEY to one made in the console."
    # What is wrong with each field says all; the detail says it again.
    return CommandError("; ".join(faults) or detail, status)


def _trust(chosen: Settings) -> ssl.SSLContext:
    from fettle.kernel.http.tls import trusting  # noqa: PLC0415 - only https needs it

    return trusting(httpx.create_ssl_context(), chosen)


def _unreachable(url: str, error: httpx.HTTPError) -> CommandError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return CommandError(
            f"{url} has a certificate that does not hold here: {reason.rstrip('.')}; set FETTLE_URL to a name that it "
            "has, or SSL_CERT_FILE to the file of its authority.",
            Exit.UNREACHABLE,
        )
    return CommandError(
        f"{url} does not answer ({type(error).__name__}); start it with `fettle up`, or set FETTLE_URL.",
        Exit.UNREACHABLE,
    )
