"""The floor of taking mail in: Starlette under uvicorn that answers 200 to a POST and looks at nothing.

``python -m bench.yardsticks.empty PORT``: the server that relay stands on, set as relay sets it, and no work.
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.child import Lab, free_port
from bench.posting import Door


def door(port: int) -> Door:
    """Where empty posts go."""
    return Door(port, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n")


class Empty:
    """A process that answers empty POSTs."""

    def __init__(self, lab: Lab) -> None:
        self.port = free_port()
        self.child = lab.python("bench.yardsticks.empty", str(self.port))
        self.child.ready_on(self.port)

    @property
    def pid(self) -> int:
        return self.child.pid


async def _answer(_request: Request) -> Response:
    return Response()


def main(port: int) -> None:
    """Serves until it is told to end."""
    uvicorn.run(
        Starlette(routes=[Route("/", _answer, methods=["POST"])]), host="127.0.0.1", port=port, loop="uvloop",
        http="httptools", access_log=False, log_level="error", timeout_graceful_shutdown=1,
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
