"""``/docs``, ``/openapi.json`` and ``/asyncapi.json``: made when first asked for.

That takes some 40 ms, and to load this room as long, which most processes need not spend at their start.
"""

from __future__ import annotations

from typing import Any

import orjson

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


def made(path: str, public_url: str = "") -> bytes:
    """What is given out at one of the three paths. ``public_url``: as above."""
    return _docs() if path == "/docs" else orjson.dumps(openapi_and_asyncapi(public_url)[path])


def _docs() -> bytes:
    shell = web.page_file("docs.html").decode()
    filled = shell.replace("<!-- navigation -->", page.navigation(NOUNS))
    return filled.replace("<!-- content -->", page.content(NOUNS, frames())).encode()
