"""``/docs``, ``/openapi.json`` and ``/asyncapi.json``: made once, at the start."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.routing import Route

from relay import web
from relay.reference import NOUNS, asyncapi, openapi, page
from relay.reference.recorded import frames
from relay.reference.vocabulary import HOST


def documents(public_url: str = "") -> dict[str, dict[str, Any]]:
    """Both documents by path. ``public_url``: of this service, "" = not known."""
    return {
        "/openapi.json": openapi.document(NOUNS),
        "/asyncapi.json": asyncapi.document(public_url or HOST, frames()),
    }


def routes(public_url: str = "") -> list[Route]:
    """The paths of the reference, for app.py."""
    shell = web.page_file("docs.html").decode()
    filled = shell.replace("<!-- navigation -->", page.navigation(NOUNS))
    filled = filled.replace("<!-- content -->", page.content(NOUNS, frames()))
    return [
        web.made("/docs", "docs.html", filled.encode()),
        *(web.made(path, path, orjson.dumps(one)) for path, one in documents(public_url).items()),
    ]
