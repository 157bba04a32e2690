"""What is outside: servers on loopback that speak Slack's, PagerDuty's, Teams', SendGrid's and webhooks' protocols.

Each checks what it is sent as the real one does, answers as it does, and can be told to fail as it does.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections import deque
from dataclasses import dataclass, field

OK = {
    "slack": (200, b"ok"),
    "teams": (202, b""),
    "sendgrid": (202, b""),
    "webhook": (200, b"{}"),
}


def verify_webhook(secret, headers, body):
    """Verify as the specification of Standard Webhooks says, without a line of ours."""
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.split("_", 1)[1])
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split(" ")


@dataclass
class Taken:
    """A request that was taken."""

    kind: str
    body: dict
    headers: dict


@dataclass
class World:
    """All of them behind one port, told apart by path: ``/slack/<token>``, ``/pagerduty``, ``/teams/<token>``...

    Attributes:
        next: What the next requests are answered instead, by kind: a status with headers, ``reset``, ``slow``.
        knocks: Every request by kind, taken or not.
    """

    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    knocks: list[str] = field(default_factory=list)
    next: dict[str, deque] = field(default_factory=dict)
    webhook_secret: str = ""
    webhook_ids: set = field(default_factory=set)
    pagerduty: dict = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def fail(self, kind, *answers):
        self.next.setdefault(kind, deque()).extend(answers)

    def of(self, kind):
        return [one.body for one in self.taken if one.kind == kind]

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            kind = path.split("/")[1]
            self.knocks.append(kind)
            failing = self.next.get(kind)
            answer = failing.popleft() if failing else None
            if answer == "reset":
                writer.transport.abort()
                return
            if answer == "slow":
                await asyncio.sleep(60)
                writer.transport.abort()
                return
            status, more, text = answer or self._take(method, path, kind, headers, body)
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in more.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
            await writer.drain()
        writer.close()

    def _take(self, method, path, kind, headers, body):
        refused = self._refusal(method, path, kind, headers, body)
        if refused:
            return 400, {}, refused.encode()
        document = json.loads(body)
        self.taken.append(Taken(kind, document, headers))
        if kind == "pagerduty":
            return 202, {}, json.dumps({"status": "success", "dedup_key": document["dedup_key"]}).encode()
        status, text = OK.get(kind, (200, b""))
        return status, {"X-Message-Id": "sg-1"} if kind == "sendgrid" else {}, text

    def _refusal(self, method, path, kind, headers, body):
        if method != "POST" or headers.get("content-type") != "application/json":
            return "invalid_payload"
        document = json.loads(body)
        if kind in {"slack", "teams"} and path != f"/{kind}/planted-token":
            return "no_service"
        return getattr(self, f"_check_{kind}", lambda *_: None)(document, headers, body)

    def _check_slack(self, document, _headers, _body):
        if len(document["blocks"]) > 50 or not document["text"]:
            return "invalid_blocks"
        for block in document["blocks"]:
            text = block.get("text", {}).get("text", "x")
            most = {"header": 150, "section": 3000}.get(block["type"], 3000)
            if not 0 < len(text) <= most:
                return "invalid_blocks"
            for button in block.get("elements", []):
                if len(button["text"]["text"]) > 75 or len(button.get("value", "x")) > 2000:
                    return "invalid_blocks"
        return None

    def _check_pagerduty(self, document, _headers, _body):
        action, key = document["event_action"], document.get("dedup_key", "")
        if document["routing_key"] != "planted-routing-key" or len(key) > 255 or not key:
            return "invalid event"
        if action == "trigger":
            payload = document["payload"]
            if not payload["source"] or payload["severity"] not in {"critical", "error", "warning", "info"}:
                return "invalid event"
            if not 0 < len(payload["summary"]) <= 1024:
                return "invalid event"
            self.pagerduty[key] = "triggered"
        elif action in {"acknowledge", "resolve"}:
            self.pagerduty[key] = action
        else:
            return "invalid event"
        return None

    def _check_teams(self, document, _headers, body):
        card = document["attachments"][0]
        if document["type"] != "message" or len(body) > 28_000:
            return "bad card"
        if card["contentType"] != "application/vnd.microsoft.card.adaptive":
            return "bad card"
        return None if card["content"]["type"] == "AdaptiveCard" else "bad card"

    def _check_sendgrid(self, document, headers, _body):
        if headers.get("authorization") != "Bearer planted-sendgrid-key":
            return "unauthorized"
        kinds = [one["type"] for one in document["content"]]
        right = kinds == ["text/plain", "text/html"] and document["subject"] and document["from"]["email"]
        return None if right and document["personalizations"][0]["to"] else "bad request"

    def _check_webhook(self, _document, headers, body):
        if not verify_webhook(self.webhook_secret, headers, body):
            return "bad signature"
        self.webhook_ids.add(headers["webhook-id"])
        return None
