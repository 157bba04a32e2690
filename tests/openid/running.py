"""Runs the OpenID provider, and a browser that signs in there as a person would."""

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx

HERE = Path(__file__).parent
NODE = shutil.which("node", path=f"{HERE.parents[1] / '.venv' / 'node'}:{os.environ['PATH']}") or "node"
CLIENT_ID, CLIENT_SECRET = "fettle", "a secret that the provider gave us, with %:/ in it"
CALLBACK = "http://localhost/api/v1/auth/oidc/callback"


@dataclass
class OpenIdProvider:
    """A running provider."""

    issuer: str
    process: asyncio.subprocess.Process

    @property
    def place(self) -> str:
        """How an operator lists it in FETTLE_EGRESS_ALLOW."""
        return self.issuer.removeprefix("http://")

    async def knows(self, subject: str, **claims) -> None:
        """Tell the provider what it says of a person."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.put(f"{self.issuer}/people/{subject}", json=claims)
            assert answer.status_code == 204


@asynccontextmanager
async def openid_provider(*, port: int | None = None, **client) -> AsyncIterator[OpenIdProvider]:
    """Run a provider that knows us as a client, at a port that is free where none is said."""
    if port is None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    ours = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uris": [CALLBACK], **client}
    said = json.dumps({"port": port, "clients": [{k: v for k, v in ours.items() if v is not None}]})
    process = await asyncio.create_subprocess_exec(
        NODE, "provider.mjs", said, cwd=HERE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while b"listening" not in (line := await process.stdout.readline()):
                assert line, "the provider ended; run `make setup`"
        yield OpenIdProvider(f"http://127.0.0.1:{port}", process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@dataclass
class Browser:
    """A browser at the provider, with the provider's cookies."""

    client: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def sign_in(self, address: str, subject: str) -> str:
        """Go where we sent it, sign in and consent, and return the address that it is sent back to."""
        method, form = "GET", None
        for _ in range(12):
            answer = await self.client.request(method, address, data=form)
            if answer.is_redirect:
                method, form = "GET", None
                address = urljoin(address, answer.headers["location"])
                if address.startswith("http://localhost"):
                    return address
                continue
            assert answer.status_code == 200, answer.text
            action = re.search(r'action="([^"]+)"', answer.text)[1]
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
            method, address = "POST", urljoin(address, action)
            form = {"prompt": prompt, "login": subject, "password": "any"}
        raise AssertionError("the provider did not send the browser back")
