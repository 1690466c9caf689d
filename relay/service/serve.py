"""A process: its listening sockets, its signals, the owner of its tasks, its exit code.

Exit codes: 0 stopped on request; 1 something failed that should not; 2 the configuration is wrong.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Literal

import structlog
import uvicorn
import uvloop

from relay.errors import ConfigError
from relay.service import descriptors
from relay.service.app import Service
from relay.service.clients import Clients
from relay.service.connection import Connection, Limits
from relay.service.server import Server
from relay.settings import Settings

log = structlog.get_logger()

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNAL = signal.SIGHUP
HURRY_SIGNAL = signal.SIGUSR1  # from the parent of several processes to each: end at once

# After this a peer that acknowledges nothing is gone, whatever waits for it. On the listening socket, because
# accepted ones inherit it: a client that stopped reading could otherwise never be closed (its close frame waits
# behind a full buffer), and would hold up the end of the process.
_TCP_USER_TIMEOUT_MS = 20_000
# What the kernel has not sent of a connection, inherited in the same way. Else it takes megabytes, of which a slow line
# has a minute, and a ping, a pong or a close stands behind them all.
_UNSENT_BYTES = 128 * 1024
_BACKLOG = 4096  # connections that a restart may bring at once; the kernel caps it at net.core.somaxconn
_PONG_SECONDS = 10.0
_MAX_CLIENT_FRAME_BYTES = 4096  # clients have nothing to say on this socket
_POSTS_FINISH_SECONDS = 10.0  # for requests under way when the sockets have been closed


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket for IPv4 or IPv6. Raises ConfigError: the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux and macOS
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as exc:
        sock.close()
        raise ConfigError([f"cannot listen on {host} port {port}: {exc.strerror or exc}"]) from exc
    sock.setblocking(False)
    return sock


class Process:
    """Serves until told to stop; one :class:`Service` on its sockets, in one event loop."""

    def __init__(
        self,
        settings: Settings,
        public: socket.socket,
        internal: socket.socket | None = None,
        *,
        on_started: Callable[[Service], None] = lambda _service: None,
        portable: bool = False,
        again: Callable[[], Settings] | None = None,
    ) -> None:
        """``on_started`` is called once, in the event loop, when requests are taken. ``portable``: WebSockets by
        uvicorn's own protocol, as any other server would run them.

        ``again`` reads the settings anew, for :meth:`reload`; None = they are as they were.

        Raises ConfigError.
        """
        self._again = again or (lambda: settings)
        self._reloads: set[asyncio.Task[None]] = set()
        self.service = Service(settings)
        self._settings = settings
        self._on_started = on_started
        self.portable = portable
        self._ws: Literal["none", "websockets-sansio"] = "websockets-sansio" if portable else "none"
        self._servers = [(self._server(self.service.app, lifespan=True), public)]
        if self.service.internal and internal:
            self._servers.append((self._server(self.service.internal, lifespan=False), internal))
        self._stopping = asyncio.Event()

    def _server(self, app: object, *, lifespan: bool) -> Server:
        return Server(
            uvicorn.Config(
                app,  # type: ignore[arg-type]  # Starlette is an ASGI application
                http=partial(Connection, limits=self._limits(public=lifespan)),  # type: ignore[arg-type]
                ws=self._ws,
                lifespan="on" if lifespan else "off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=self._settings.trusted_proxies,
                timeout_graceful_shutdown=round(_POSTS_FINISH_SECONDS),
                timeout_keep_alive=self._settings.keepalive_seconds,  # type: ignore[arg-type]  # a float will do
                # These are for uvicorn's own WebSockets.
                ws_max_size=_MAX_CLIENT_FRAME_BYTES,
                ws_ping_interval=self._settings.ping_seconds,
                ws_ping_timeout=_PONG_SECONDS,
                ws_per_message_deflate=False,
            )
        )

    def _limits(self, *, public: bool) -> Limits:
        """The internal port is the operator's: there is no limit for those who may reach it."""
        settings = self._settings
        proxies = settings.trusted_proxies if public else "*"
        clients = Clients(max_per_client=settings.max_connections_per_client, trusted_proxies=proxies)
        return Limits(settings.request_seconds, clients)

    def stop(self) -> None:
        """Asks for a graceful end. Asking again changes nothing."""
        self._stopping.set()

    def reload(self) -> None:
        """Reads the accounts file and the secrets again; what is wrong is logged, and changes nothing."""
        task = asyncio.ensure_future(self._reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        try:
            await self.service.reload(await asyncio.to_thread(self._again))
        except ConfigError as error:
            problems = error.problems
            log.error("service.not_reloaded", problems=problems, hint="nothing has changed")  # noqa: TRY400
        else:
            log.info("service.reloaded")

    def hurry(self) -> None:
        """Ends without waiting for anybody."""
        for server, _ in self._servers:
            server.hurry()
        self._stopping.set()

    def stop_or_hurry(self) -> None:
        """What a person means who presses Ctrl-C, and presses it again."""
        if self._stopping.is_set():
            self.hurry()
        self.stop()

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
                server.end()
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
            server.end()

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


def run_process(
    settings: Settings,
    public: socket.socket,
    internal: socket.socket | None,
    *,
    parent_fd: int | None = None,
    again: Callable[[], Settings] | None = None,
) -> int:
    """Serves in this process until SIGTERM or SIGINT; returns the exit code. Raises ConfigError.

    ``again``: as of :class:`Process`. ``parent_fd``: of a parent that has several of us; it becomes readable when the
    parent is gone.
    """

    descriptors.raise_limit()

    async def main() -> int:
        # What is there now stays: the garbage collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        # And the rest seldom: nearly all goes by itself, and a look costs the more, the more sockets are open.
        gc.set_threshold(20_000, 50, 50)
        process = Process(settings, public, internal, on_started=_announce, again=again)
        loop = asyncio.get_running_loop()
        for number in ENDING_SIGNALS:
            loop.add_signal_handler(number, process.stop_or_hurry if parent_fd is None else process.stop)
        loop.add_signal_handler(RELOAD_SIGNAL, process.reload)
        if parent_fd is not None:
            loop.add_signal_handler(HURRY_SIGNAL, process.hurry)
            loop.add_reader(parent_fd, _orphaned, loop, parent_fd, process)
        # Who started us may have held them back until somebody listens for them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDING_SIGNALS, RELOAD_SIGNAL))
        return await process.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _orphaned(loop: asyncio.AbstractEventLoop, parent_fd: int, process: Process) -> None:
    loop.remove_reader(parent_fd)  # which stays readable
    log.warning("worker.orphaned")
    process.stop()


def _announce(service: Service) -> None:
    settings = service.settings
    log.info(
        "service.started",
        providers=sorted(settings.provider_secrets()),
        redis="embedded" if settings.embedded else "external",
    )
    if settings.embedded:
        log.warning(
            "store.embedded", hint="mail and accounts end with this process; set RELAY_REDIS_URL to keep them"
        )
