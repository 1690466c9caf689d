"""Files of this package as pages: read once, given out with the headers that keep a page to itself.

A page is a file in pages/ and a line in ``_PAGES``; scripts, style and pictures lie in static/ and need no line. All
links are relative, and scripts know the service by where they lie: a proxy may serve us below a path of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PAGES: Mapping[str, str] = MappingProxyType(
    {
        "/": "test.html",
        "/dashboard": "dashboard.html",
        "/letter": "letter.html",
    }
)

# Whose askers are programs, whatever they accept.
_OF_PROGRAMS = ("/api/", "/inbound/", "/static/")

_LINK = re.compile(rb'(?<= )(?:href|src)="(?![#/]|[a-z]+:)')
_MOST_SLASHES = 32

Handler = Callable[[Request, Exception], Awaitable[Response]]

_HERE = Path(__file__).parent
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

# No script and no style but our files; nothing of another host; in nobody's frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The frame around a mail's HTML. What it holds inherits this, so it is here that a mail may have its own style; the
# pages, which hold a key, need not allow it. No network at all but for its script.
_LETTER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Asked again each time, and answered 304: a new version of the service is a new version of its pages.
    "cache-control": "no-cache",
}
_OWN_HEADERS = {
    "letter.html": {"content-security-policy": _LETTER_POLICY, "x-frame-options": "SAMEORIGIN"},
    # The frame's origin is none, so its script comes from elsewhere.
    "mail_frame.js": {"cross-origin-resource-policy": "cross-origin"},
}


@dataclass(frozen=True, slots=True)
class _File:
    """One file, ready to be given out."""

    body: bytes
    headers: Mapping[str, str]

    def answer(self, request: Request) -> Response:
        """The file, or 304 when the browser has it already (RFC 9110, section 13.1.2)."""
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {self.headers["etag"], "*"}:
            return Response(status_code=304, headers={**self.headers})
        is_page = self.headers["content-type"] == _MEDIA_TYPES[".html"]
        return Response(_linked(request, self.body) if is_page else self.body, headers={**self.headers})


def routes() -> list[Route]:
    """The pages, and what they are made of. Reads all files."""
    static = {path.name: _read(path) for path in sorted((_HERE / "static").iterdir()) if path.is_file()}

    async def piece(request: Request) -> Response:
        file = static.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return file.answer(request)

    pages = [_page(path, _read(_HERE / "pages" / name)) for path, name in _PAGES.items()]
    return [*pages, Route("/static/{name}", piece)]


def _page(path: str, file: _File) -> Route:
    async def page(request: Request) -> Response:
        return file.answer(request)

    return Route(path, page)


def _read(path: Path) -> _File:
    return _file(path.name, path.read_bytes())


def _file(name: str, body: bytes) -> _File:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, **_OWN_HEADERS.get(name, {})}
    media_type = _MEDIA_TYPES[Path(name).suffix]
    return _File(body, MappingProxyType({**headers, "content-type": media_type, "etag": etag}))


def or_missing(otherwise: Handler) -> Handler:
    """A handler of HTTPException: a page that leads on for a browser whose path nobody has, else what it was given."""
    file = _read(_HERE / "pages" / "missing.html")
    headers = {**file.headers, "cache-control": "no-store"}
    del headers["etag"]

    async def handler(request: Request, exc: Exception) -> Response:
        if isinstance(exc, HTTPException) and exc.status_code == 404 and _by_person(request):
            return Response(_linked(request, file.body), 404, headers)
        return await otherwise(request, exc)

    return handler


def _linked(request: Request, body: bytes) -> bytes:
    """A page with its links as they must be where its path has more slashes than one: that of nobody, or ``/docs/``.

    A path that nobody has may be of any length; one with hundreds of slashes gets links that lead nowhere.
    """
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    up = b"../" * min(path.count(b"/") - 1, _MOST_SLASHES)
    return _LINK.sub(rb"\g<0>" + up, body) if up else body


def _by_person(request: Request) -> bool:
    path = f"{request.scope['path']}/"
    return "text/html" in request.headers.get("accept", "") and not path.startswith(_OF_PROGRAMS)


def made(path: str, name: str, make: Callable[[], bytes]) -> Route:
    """A page that is made when it is first asked for, given out like those that lie here; ``name`` tells what it is.

    ``make`` runs in a thread: no message waits for a page.
    """
    making = asyncio.Lock()
    files: list[_File] = []

    async def page(request: Request) -> Response:
        async with making:
            if not files:
                files.append(_file(name, await asyncio.to_thread(make)))
        return files[0].answer(request)

    return Route(path, page)


def page_file(name: str) -> bytes:
    """A file of pages/, for who makes a page of it."""
    return (_HERE / "pages" / name).read_bytes()
