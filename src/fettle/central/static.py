"""The console's files: read once, compressed once, served from memory with the headers of each kind."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_REPOSITORY: Final = Path(__file__).resolve().parents[3]
_FOLDERS: Final = (Path(__file__).resolve().parent / "console", _REPOSITORY / "console" / "dist")
_COMPRESSED: Final = ("text/", "application/javascript", "application/json", "image/svg+xml")
_LEAST_COMPRESSED_BYTES: Final = 1_000
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_NOT_BUILT: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fettle</title></head>
<body><h1>The console is not built yet</h1>
<p>Stop Fettle and run <code>make up</code>, which builds it. The API works: see <a href="/api/docs">its
operations</a>.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    zipped: bytes | None
    headers: Mapping[str, str]


class Console:
    """The ASGI application of everything that is not the API.

    A path is looked up among the files that were read and never made into a file's name, so no path leads
    out of the folder. A path that is no file's is a page of the console, which routes by itself.

    Args:
        folder: Where the build stands; None for where it is put by ``make``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = _FOLDERS if folder is None else (folder,)
        self._assets: dict[str, _Asset] = {}
        self._built_at: int | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            return Response("Only GET is possible here.\n", 405, {"Allow": "GET, HEAD"}, "text/plain")
        path = scope["path"].lstrip("/")
        asset = self._assets.get(path)
        if asset is None or not path.startswith("assets/"):
            await anyio.to_thread.run_sync(self._read_again)
            asset = self._assets.get(path)
        if asset is None and path.startswith("assets/"):
            return Response("There is no such file.\n", 404, {"Cache-Control": _ASK_AGAIN}, "text/plain")
        if asset is None:
            asset = self._assets.get("index.html", _page(_NOT_BUILT))
        return _respond(asset, Headers(scope=scope))

    def _read_again(self) -> None:
        """Read the folder where its index changed, as a new build makes it."""
        for folder in self._folders:
            index = folder / "index.html"
            try:
                built_at = index.stat().st_mtime_ns
            except OSError:
                continue
            if built_at != self._built_at:
                self._assets = {
                    file.relative_to(folder).as_posix(): _read(file, folder)
                    for file in folder.rglob("*")
                    if file.is_file() and not file.is_symlink() and file.suffix != ".gz"
                }
                self._built_at = built_at
            return


def _read(file: Path, folder: Path) -> _Asset:
    body = file.read_bytes()
    if file.suffix == ".html":
        return _page(body)
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    hashed = file.relative_to(folder).parts[0] == "assets"
    return _asset(body, media_type, _FOR_EVER if hashed else _ASK_AGAIN)


def _page(body: bytes) -> _Asset:
    return _asset(body, "text/html; charset=utf-8", _ASK_AGAIN)


def _asset(body: bytes, media_type: str, caching: str) -> _Asset:
    media_type = media_type.replace("text/javascript", "text/javascript; charset=utf-8")
    compressible = media_type.startswith(_COMPRESSED) and len(body) >= _LEAST_COMPRESSED_BYTES
    return _Asset(
        body,
        gzip.compress(body, 9, mtime=0) if compressible else None,
        {
            "Content-Type": media_type,
            "Cache-Control": caching,
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding",
        },
    )


def _respond(asset: _Asset, asked: Headers) -> Response:
    etag = asset.headers["ETag"]
    if etag in {tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=dict(asset.headers))
    if asset.zipped is not None and "gzip" in asked.get("accept-encoding", ""):
        return Response(asset.zipped, headers={**asset.headers, "Content-Encoding": "gzip"})
    return Response(asset.body, headers=dict(asset.headers))
