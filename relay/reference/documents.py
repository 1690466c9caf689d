"""``/docs``, ``/openapi.json`` and ``/asyncapi.json``: made when first asked for.

That takes some 40 ms, which most processes need not spend at their start.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from starlette.routing import Route

from relay import web
from relay.reference import NOUNS, asyncapi, openapi, page
from relay.reference.recorded import frames
from relay.reference.vocabulary import HOST


def openapi_and_asyncapi(public_url: str = "") -> dict[str, dict[str, Any]]:
    """Both documents by path. ``public_url``: of this service, "" = not known."""
    return {
        "/openapi.json": openapi.document(NOUNS),
        "/asyncapi.json": asyncapi.document(public_url or HOST, frames()),
    }


def routes(public_url: str = "") -> list[Route]:
    """The paths of the reference, for app.py."""

    def document(path: str) -> bytes:
        return orjson.dumps(openapi_and_asyncapi(public_url)[path])

    return [
        web.made("/docs", "docs.html", _docs),
        *(web.made(path, path, partial(document, path)) for path in ("/openapi.json", "/asyncapi.json")),
    ]


def _docs() -> bytes:
    shell = web.page_file("docs.html").decode()
    filled = shell.replace("<!-- navigation -->", page.navigation(NOUNS))
    return filled.replace("<!-- content -->", page.content(NOUNS, frames())).encode()
