"""``/livez``, ``/readyz`` and ``/metrics``: for whoever runs the service, and his tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from relay import network
from relay.metrics import CONTENT_TYPE, Metrics


@dataclass(frozen=True, slots=True)
class State:
    """Whether a process should get traffic, and why not."""

    ready: bool
    checks: Mapping[str, bool]
    reason: str = ""  # for a person; "" = the checks say all


class Health:
    """The three paths of one process."""

    def __init__(self, state: Callable[[], State], metrics: Metrics, *, networks: Sequence[str] | None) -> None:
        """``networks``: beside loopback, those that may know more than yes or no; None = everybody who gets here."""
        self._state = state
        self._metrics = metrics
        self._near = None if networks is None else (*network.LOOPBACK, *network.networks(networks))

    def routes(self) -> list[Route]:
        """For the public port, or one of its own."""
        return [
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/metrics", self._render),
        ]

    async def _livez(self, _request: Request) -> Response:
        """Alive means: this process answers. Redis is not asked, or its outage would restart every pod."""
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        state = self._state()
        answer: dict[str, object] = {"ready": state.ready}
        if self._is_of_operator(request):
            answer |= {**state.checks, **({"reason": state.reason} if state.reason else {})}
        return JSONResponse(answer, status_code=200 if state.ready else 503)

    async def _render(self, request: Request) -> Response:
        if not self._is_of_operator(request):
            raise HTTPException(403, "not for this address: the operator may add it to RELAY_METRICS_NETWORKS")
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    def _is_of_operator(self, request: Request) -> bool:
        return self._near is None or network.is_in(request.client.host if request.client else "", self._near)
