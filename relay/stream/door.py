"""``GET /incoming-messages``, upgraded: who may listen is let in, who may not is told why.

The socket is accepted only when its subscriptions are confirmed, so a client that sees it open misses nothing
from then on. A refusal is accepted too, told in a control frame and closed: a browser shows no HTTP body.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from relay.accounts.wrong_keys import WrongKeys
from relay.activity import Recorder
from relay.activity.kinds import shown
from relay.delivery.letter import Listener
from relay.delivery.node import Node
from relay.delivery.replay import Replay, Resume, Resuming
from relay.errors import LEAVING, OUR_FAULT, UNAUTHORIZED, Close, Refused, Starting, TooManyRequests, Unavailable
from relay.metrics import Metrics
from relay.settings import Settings
from relay.stream import frames, handshake
from relay.stream.handshake_batcher import HandshakeBatcher
from relay.stream.heartbeat import Wheel
from relay.stream.portable import PortableListener, say_goodbye
from relay.stream.request import KEY_SUBPROTOCOL, SUBPROTOCOL, ListenRequest, asked_for, parse
from relay.stream.wire import Wire, WireContext

log = structlog.get_logger()

_PAUSE_BETWEEN_CLOSES_SECONDS = 0.01  # at most; clients that were closed together come back together


class Door:
    """The door out."""

    def __init__(
        self,
        node: Node,
        replay: Replay,
        metrics: Metrics,
        activity: Recorder,
        settings: Settings,
        *,
        wrong_keys: WrongKeys,
    ) -> None:
        self._node = node
        self._history = replay
        self._metrics = metrics
        self._activity = activity
        self._settings = settings
        self._wrong_keys = wrong_keys
        self._leaving = False
        self._batcher = HandshakeBatcher()
        self.wheel = Wheel(ping_seconds=settings.ping_seconds)
        self._surroundings = WireContext(self.wheel, settings.socket_buffer_bytes, self._wire_ended)
        self._refusing = WireContext(self.wheel, settings.socket_buffer_bytes, lambda _wire, _close: None)

    def routes(self) -> list[BaseRoute]:
        """The one endpoint, and a word for those who meet it without a WebSocket."""
        return [
            WebSocketRoute("/incoming-messages", self._endpoint),
            Route("/incoming-messages", _upgrade_required),
            WebSocketRoute("/{path:path}", _no_such_socket),
        ]

    async def leave(self, *, seconds: float) -> None:
        """Closes all sockets with 1012, spread over at most ``seconds``; new ones are refused from now on."""
        self._leaving = True
        listeners: list[Listener] = list(self._node.hub)
        pause = min(_PAUSE_BETWEEN_CLOSES_SECONDS, seconds / max(len(listeners), 1))
        for listener in listeners:
            listener.end(LEAVING, "this process is leaving; connect again")
            await asyncio.sleep(pause)

    async def _endpoint(self, websocket: WebSocket) -> None:
        client = _client(websocket)
        try:
            await self._listen(websocket)
        except Refused as refused:
            if refused.close is UNAUTHORIZED:
                try:
                    self._wrong_keys.count(client, "socket")
                except TooManyRequests as error:
                    await self._deny(websocket, error, client)
                    return
            log.info("socket.refused", code=refused.close.code, error=refused.text, client=client)
            code, names = refused.close.code, self._asked_for(websocket)
            self._activity.socket_refused(refused.account, code, refused.text, client=client, asked_for=names)
            await self._refuse(websocket, refused)
        except Unavailable as error:
            log.warning("socket.unavailable", error=str(error), client=client)
            names, close = self._asked_for(websocket), LEAVING if isinstance(error, Starting) else OUR_FAULT
            self._activity.socket_refused("", close.code, str(error), client=client, asked_for=names)
            await self._refuse(websocket, Refused(close, str(error)))
        except WebSocketDisconnect:
            pass  # the client left during the handshake

    async def _listen(self, websocket: WebSocket) -> None:
        if opener := _opener(websocket):
            await self._batcher.turn()
            await self._listen_on_wire(websocket, opener)
        else:
            await self._listen_portably(websocket)

    async def _listen_on_wire(self, websocket: WebSocket, opener: handshake.Open) -> None:
        """The slim way: the connection outlives this endpoint, see wire.py."""
        request = await self._parse(websocket)
        listener = Wire(
            key_hash=request.key_hash,
            addresses=request.addresses,
            domains=request.domains,
            context=self._surroundings,
            client=_client(websocket),
        )
        await self._node.admit(listener, request.account)
        try:
            hand_over = opener(_chosen(websocket))
        except WebSocketDisconnect:
            self._node.leave(listener)
            raise
        self._opened(listener)
        listener.open(hand_over, request.frames, _greeting(request), resumes=request.resume is not None)
        if request.resume:
            await self._replay(listener, request.resume)

    async def _replay(self, listener: Resuming, resume: Resume) -> None:
        """Returns when the listener is live, or has ended."""
        try:
            await self._history.run(listener, resume)
        except Unavailable as error:
            listener.end(OUR_FAULT, f"{error} with since, where you are now")

    async def _listen_portably(self, websocket: WebSocket) -> None:
        request = await self._parse(websocket)
        limit_bytes = self._settings.socket_buffer_bytes
        listener = PortableListener(request, limit_bytes=limit_bytes, client=_client(websocket))
        await self._node.admit(listener, request.account)
        try:
            await websocket.accept(subprotocol=_chosen(websocket))
            self._opened(listener)
            for text in _greeting(request):
                await websocket.send_text(text)
            resume = request.resume
            end = await listener.carry(websocket, partial(self._replay, listener, resume) if resume else None)
        finally:
            self._node.leave(listener)
        self._ended(listener, end.close if end else None)
        if end:
            await say_goodbye(websocket, end)

    def _opened(self, listener: Wire | PortableListener) -> None:
        self._metrics.sockets.inc()
        self._activity.socket_opened(listener.account, _names(listener), client=listener.client)
        log.info(
            "socket.open",
            account=listener.account,
            addresses=len(listener.addresses),
            domains=len(listener.domains),
            client=listener.client,
        )

    def _wire_ended(self, listener: Wire, close: Close | None) -> None:
        self._node.leave(listener)
        self._ended(listener, close)

    def _ended(self, listener: Wire | PortableListener, close: Close | None) -> None:
        self._metrics.sockets.dec()
        self._activity.socket_closed(listener.account, _names(listener), close, client=listener.client)
        if close is None:
            log.info("socket.left", account=listener.account, client=listener.client)
            return
        self._metrics.closed.labels(str(close.code)).inc()
        log.info(
            "socket.closed",
            account=listener.account,
            code=close.code,
            reason=close.reason,
            client=listener.client,
        )

    async def _parse(self, websocket: WebSocket) -> ListenRequest:
        if self._leaving:
            raise Refused(LEAVING, "this process is leaving; connect again")
        return parse(
            websocket,
            default_frames=self._settings.default_frames,
            max_addresses=self._settings.max_addresses_per_socket,
            # Asked in the bytes: the query is not parsed before its length is looked at.
            now_ms=await self._history.now_ms() if b"since=" in websocket.scope["query_string"] else 0,
        )

    def _asked_for(self, websocket: WebSocket) -> frozenset[str]:
        return asked_for(websocket, max_addresses=self._settings.max_addresses_per_socket)

    async def _refuse(self, websocket: WebSocket, refused: Refused) -> None:
        self._metrics.closed.labels(str(refused.close.code)).inc()
        if opener := _opener(websocket):
            wire = Wire(key_hash="", addresses=(), domains=(), context=self._refusing)
            wire.end(refused.close, refused.text)
            wire.open(opener(_chosen(websocket)), "message")
        else:
            await websocket.accept(subprotocol=_chosen(websocket))
            await say_goodbye(websocket, refused)

    async def _deny(self, websocket: WebSocket, error: TooManyRequests, client: str) -> None:
        """Before the upgrade: it is cheaper, and who guesses keys reads no close codes."""
        self._activity.socket_refused("", error.status, str(error), client=client)
        self._metrics.closed.labels(str(error.status)).inc()
        await websocket.send_denial_response(JSONResponse(error.body(), error.status, headers=dict(error.headers)))


async def _upgrade_required(_request: Request) -> JSONResponse:
    """Plain HTTP; also what a proxy makes of an upgrade that it does not pass on."""
    error = "this is a WebSocket: the request has no Upgrade header, or a proxy on the way removed it"
    headers = {"upgrade": "websocket", "connection": "upgrade"}
    return JSONResponse({"error": error, "message": error}, 426, headers=headers)  # RFC 9110 section 15.5.22


async def _no_such_socket(websocket: WebSocket) -> None:
    error = "there is no WebSocket at this path; it is /incoming-messages"
    await websocket.send_denial_response(JSONResponse({"error": error, "message": error}, 404))


def _greeting(request: ListenRequest) -> list[str]:
    return [frames.listening(request.addresses, request.domains)] if request.frames == "envelope" else []


def _names(listener: Listener) -> list[str]:
    return [*listener.addresses, *listener.domains]


def _client(websocket: WebSocket) -> str:
    """Its address, as far as trusted proxies tell, who may tell anything; "" when the server does not know it."""
    return shown(websocket.client.host) if websocket.client else ""


def _opener(websocket: WebSocket) -> handshake.Open | None:
    """Takes the connection out of ASGI; None under another server than ours."""
    opener: handshake.Open | None = websocket.scope.get("extensions", {}).get(handshake.EXTENSION)
    return opener


def _chosen(websocket: WebSocket) -> str | None:
    """RFC 6455 section 4.2.2: only what the client offered may be chosen.

    A browser of whose offers none is chosen ends the connection before it has seen why: so its key is chosen, when it
    offered nothing else.
    """
    offered: list[str] = websocket.scope.get("subprotocols", [])
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return next((name for name in offered if name.startswith(KEY_SUBPROTOCOL)), None)
