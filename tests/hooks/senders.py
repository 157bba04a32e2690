"""Programs that send: their bodies, and their signatures as their documentation says."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

SOURCES = "/api/v1/hook-sources"


@dataclass
class Sender:
    """A program that knows its source's address and secret."""

    api: Any
    source: dict[str, Any]
    secret: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.source["id"]

    @property
    def address(self) -> str:
        return f"/api/v1/hooks/{self.id}"

    async def send(self, body, *, path=None, **headers):
        """Send a body as this kind of source's program would; headers given here replace its own."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"content-type": "application/json", **self.signed(content), **self.headers}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        own = {name: value for name, value in own.items() if value is not None}
        return await self.api.client.post(path or self.address, content=content, headers=own)

    def signed(self, body: bytes, *, at: int | None = None) -> dict[str, str]:
        """Return the headers that prove a body, as its program makes them."""
        secret, now = self.secret or "", str(int(time.time()) if at is None else at)
        ways = {
            "token": lambda: {"authorization": f"Bearer {secret}"},
            "path_token": dict,
            "sns": dict,
            "github": lambda: {
                "x-hub-signature-256": "sha256=" + digest(secret, body),
                "x-github-delivery": str(uuid4()),
            },
            "pagerduty": lambda: {
                "x-pagerduty-signature": f"v1={digest('another', body)},v1={digest(secret, body)}"
            },
            "sentry": lambda: {"sentry-hook-signature": digest(secret, body)},
            "grafana": lambda: {
                "x-grafana-alerting-signature": digest(secret, now.encode() + b":" + body),
                "x-grafana-alerting-signature-timestamp": now,
            },
            "standard_webhooks": lambda: standard(secret, f"msg_{uuid4().hex}", now, body),
        }
        return ways[self.source["authentication"]]()

    async def shown(self):
        return (await self.api.client.get(f"{SOURCES}/{self.id}", headers=self.api.alder.headers())).json()

    async def payloads(self):
        path = f"{SOURCES}/{self.id}/payloads"
        return (await self.api.client.get(path, headers=self.api.alder.headers())).json()["items"]

    async def exceptions(self):
        """Return the bodies of the exceptions that came of what was sent, in order."""
        async with self.api.platform.database.raw_system() as connection:
            rows = await connection.fetch(
                "SELECT data FROM events WHERE type = 'exception.ingested' AND metadata ->> 'actor' = $1 "
                "ORDER BY position",
                f"source:{self.id}",
            )
        return [row["data"]["exception"] for row in rows]


def digest(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(secret: str, message: str, timestamp: str, body: bytes) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }


async def sender(api, kind: str, *, tenant=None, secret: str | None = None, **fields) -> Sender:
    """Set up a source, and return the program that sends to it."""
    headers = (tenant or api.alder).headers()
    body = {"name": f"{kind}-{uuid4().hex[:8]}", "kind": kind, **fields}
    made = await api.client.post(SOURCES, headers=headers, json=body)
    assert made.status_code == 201, made.text
    source = made.json()
    if secret is not None:
        given = await api.client.post(
            f"{SOURCES}/{source['id']}/secret", headers=headers, json={"secret": secret}
        )
        assert given.status_code == 200, given.text
        source = given.json()
    return Sender(api, source, secret or source["secret"])
