"""What is left of ``/inbound``: a provider whose secret is not set, a name that no provider has, a slash too many.

A post there is mail that somebody believes to arrive. So it leaves a trace: a sentence for its provider, and a line in
the log and an event for the operator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.activity import Recorder
from relay.errors import NotFound
from relay.inbound.providers import NEED_API_KEY, PROVIDERS
from relay.metrics import Metrics
from relay.settings import PREFIX

PATH = "/inbound{rest:path}"

_METHODS = ("POST", "HEAD")
# What a person could have meant as a name; else it may be a secret that somebody put into the path.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_NOT_SHOWN = "…"

log = structlog.get_logger()


class Closed:
    """All paths below ``/inbound`` that are not an entrance, as an ASGI application."""

    def __init__(self, metrics: Metrics, activity: Recorder, entrances: Mapping[str, ASGIApp]) -> None:
        self._posts = metrics.inbound.labels
        self._activity = activity
        self._entrances = entrances

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises HTTPException: 405."""
        path = scope["path"].rstrip("/")
        if entrance := self._entrances.get(path):
            if scope["method"] not in _METHODS:
                raise HTTPException(405, headers={"Allow": ", ".join(_METHODS)})
            # A redirect would lose the mail at providers that follow none, or follow it without the body.
            return await entrance(scope, receive, send)
        given = path.removeprefix("/inbound").removeprefix("/")
        error = NotFound(_sentence(given))
        if scope["method"] == "POST":
            self._note(given, error, scope)
        # The body is passed over, and the connection kept: who is cut off while writing never reads why.
        return await JSONResponse(error.body(), error.status)(scope, receive, send)

    def _note(self, given: str, error: NotFound, scope: Scope) -> None:
        name, known, client = _shown(given), given in PROVIDERS, scope["client"][0] if scope.get("client") else ""
        self._posts(name if known else "unknown", str(error.status)).inc()
        log.warning("inbound.refused", provider=name, status=error.status, error=str(error), client=client)
        self._activity.refused_post(name, error.status, str(error), client=client, known=known)


def _shown(given: str) -> str:
    return given if _NAME.fullmatch(given) else _NOT_SHOWN


def _sentence(given: str) -> str:
    if given not in PROVIDERS:
        return f"there is no provider {_shown(given)}: relay providers lists all, and the URL of each"
    missing = [f"{PREFIX}{given.upper()}_SECRET"]
    if given in NEED_API_KEY:
        missing.append(f"{PREFIX}{given.upper()}_API_KEY")
    return f"no mail of {given} is taken here yet: its operator has to set {' and '.join(missing)}"
