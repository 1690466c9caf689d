"""A process: its listening sockets, its signals, the owner of its tasks, its exit code.

Exit codes: 0 stopped on request; 1 something failed that should not; 2 the configuration is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
import uvloop
import websockets.http11
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.app import Service
from relay.errors import ConfigError
from relay.settings import Settings
from relay.stream.wire import WireProtocol

log = structlog.get_logger()

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# After this a peer that acknowledges nothing is gone, whatever waits for it. On the listening socket, because
# accepted ones inherit it: a client that stopped reading could otherwise never be closed (its close frame waits
# behind a full buffer), and would hold up the end of the process.
_TCP_USER_TIMEOUT_MS = 20_000
_BACKLOG = 4096  # connections that a restart may bring at once; the kernel caps it at net.core.somaxconn
_PONG_SECONDS = 10.0
_MAX_CLIENT_FRAME_BYTES = 4096  # clients have nothing to say on this socket
_HEADERS_SECONDS = (
    10.0  # for a request line and all headers; who opens a connection and says nothing is gone by then
)
_POSTS_FINISH_SECONDS = 10.0  # for requests under way when the sockets have been closed

# websockets limits the request line to 8 KiB; 128 addresses of 254 characters need more.
websockets.http11.MAX_LINE_LENGTH = 64 * 1024


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket for IPv4 or IPv6. Raises ConfigError: the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as exc:
        sock.close()
        raise ConfigError([f"cannot listen on {host} port {port}: {exc.strerror or exc}"]) from exc
    sock.setblocking(False)
    return sock


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # as uvicorn writes it


class _Answer:
    """What a response with a body is written to: its head waits for the first of its body, so that both are one
    system call; uvicorn makes two, and each costs as much as half of the request."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # b"" when it has been written

    def write(self, data: bytes) -> None:
        if self._head is None and data != _CONTINUE:
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, with a deadline for request headers: it would wait for them for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _awaits_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._awaits_headers and self._deadline is None:  # a further request on this connection, not whole yet
            self._set_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._awaits_headers = True

    def on_headers_complete(self) -> None:
        self._awaits_headers = False
        self._meet_deadline()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = _Answer(self.transport)  # type: ignore[assignment]  # all that a cycle uses

    def connection_lost(self, exc: Exception | None) -> None:
        self._awaits_headers = False
        self._meet_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(_HEADERS_SECONDS, self.transport.abort)

    def _meet_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: it would end the sockets at once, and raise the signal again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.taking_requests = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.taking_requests.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Process:
    """Serves until told to stop; one :class:`Service` on its sockets, in one event loop."""

    def __init__(
        self,
        settings: Settings,
        public: socket.socket,
        internal: socket.socket | None = None,
        *,
        on_started: Callable[[Service], None] = lambda _service: None,
        ws: type[asyncio.Protocol] | str = WireProtocol,
    ) -> None:
        """``on_started`` is called once, in the event loop, when requests are taken; ``ws`` is uvicorn's setting.

        Raises ConfigError.
        """
        self.service = Service(settings)
        self._settings = settings
        self._on_started = on_started
        self._ws = ws
        self._servers = [(self._server(self.service.app, lifespan=True), public)]
        if self.service.internal and internal:
            self._servers.append((self._server(self.service.internal, lifespan=False), internal))
        self._stopping = asyncio.Event()

    def _server(self, app: object, *, lifespan: bool) -> _Server:
        return _Server(
            uvicorn.Config(
                app,  # type: ignore[arg-type]  # Starlette is an ASGI application
                http=_HttpProtocol,
                ws=self._ws,
                lifespan="on" if lifespan else "off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=self._settings.trusted_proxies,
                ws_max_size=_MAX_CLIENT_FRAME_BYTES,
                ws_ping_interval=self._settings.ping_seconds,
                ws_ping_timeout=_PONG_SECONDS,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=round(_POSTS_FINISH_SECONDS),
            )
        )

    def stop(self) -> None:
        """Asks for a graceful end; the second time, for one at once."""
        if self._stopping.is_set():
            for server, _ in self._servers:
                server.force_exit = True
                server.should_exit = True
        self._stopping.set()

    async def run(self) -> int:
        """Returns the exit code when everything has ended."""
        servers = [
            asyncio.create_task(server.serve(sockets=[sock]), name="server") for server, sock in self._servers
        ]
        leaving = asyncio.create_task(self._leave_when_told(), name="leave")
        watching = asyncio.create_task(self._watch(), name="watch")
        try:
            await asyncio.wait([*servers, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for server, _ in self._servers:
                server.should_exit = True
            ends = await asyncio.gather(*servers, return_exceptions=True)
            leaving.cancel()
            watching.cancel()
            ends += await asyncio.gather(leaving, watching, return_exceptions=True)
        return self._exit_code([end for end in ends if isinstance(end, BaseException)])

    async def _watch(self) -> None:
        """Returns when requests are no longer worth taking: the service's own tasks have failed. Raises why."""
        for server, _ in self._servers:
            await server.taking_requests.wait()
        self._on_started(self.service)
        assert self.service.failed is not None  # noqa: S101  # uvicorn has started: the lifespan has set it
        await self.service.failed

    async def _leave_when_told(self) -> None:
        await self._stopping.wait()
        log.info("service.leaving", sockets=len(self.service.node.hub))
        await self.service.leave()
        for server, _ in self._servers:
            server.should_exit = True

    def _exit_code(self, ends: list[BaseException]) -> int:
        errors = [end for end in ends if not isinstance(end, asyncio.CancelledError)]
        for error in errors:
            causes = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
            if configs := [cause for cause in causes if isinstance(cause, ConfigError)]:
                log.error("service.misconfigured", problems=configs[0].problems)
                return EXIT_CONFIG
            log.error("service.failed", exc_info=error)
        log.info("service.stopped")
        return EXIT_FAILED if errors else EXIT_STOPPED


def open_sockets(settings: Settings) -> tuple[socket.socket, socket.socket | None]:
    """The public and the internal listening socket. Raises ConfigError."""
    public = listening_socket(settings.host, settings.port)
    if settings.internal_port is None:
        return public, None
    return public, listening_socket(settings.host, settings.internal_port)


def run_process(settings: Settings, public: socket.socket, internal: socket.socket | None) -> int:
    """Serves in this process until SIGTERM or SIGINT; returns the exit code. Raises ConfigError."""

    async def main() -> int:
        # What is there now stays: the garbage collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        # And the rest seldom: nearly all goes by itself, and a look costs the more, the more sockets are open.
        gc.set_threshold(20_000, 50, 50)
        process = Process(settings, public, internal, on_started=_announce)
        loop = asyncio.get_running_loop()
        for number in ENDING_SIGNALS:
            loop.add_signal_handler(number, process.stop)
        # Who started us may have held them back until somebody listens for them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        return await process.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _announce(service: Service) -> None:
    settings = service.settings
    log.info(
        "service.started",
        senders=sorted(settings.sender_secrets()),
        redis="embedded" if settings.embedded else "external",
    )
    if settings.embedded:
        log.warning(
            "store.embedded", hint="mail and accounts end with this process; set RELAY_REDIS_URL to keep them"
        )
