"""The composition root: the one place that builds everything and hands each part what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from relay import api, logs, store, web
from relay.accounts import Accounts
from relay.activity import Journal, Reader, Recorder
from relay.confined import Confined
from relay.delivery.bus import Bus
from relay.delivery.letterbox import Letterbox
from relay.delivery.node import Node, NodeLimits
from relay.delivery.replay import Replay
from relay.errors import ConfigError
from relay.inbound import providers
from relay.inbound.door import Entrance, entrances
from relay.inbound.intake import Intake, Observer
from relay.inbound.unserved import PATH as UNSERVED_PATH
from relay.inbound.unserved import UnservedPath
from relay.inbound.webhook.provider import Provider
from relay.letters.sweeper import Sweeper
from relay.mailbox import Mailbox
from relay.mailbox.account_room import AccountRoom
from relay.metrics import Metrics
from relay.queues.fetches import Fetches
from relay.queues.parked import Parked
from relay.service import late
from relay.service.health import Health, State
from relay.service.recovery import AccountsRecovery
from relay.settings import Settings
from relay.stream.door import Door as StreamDoor
from relay.waiting.wait import Waiting
from relay.work_bytes import WorkBytes

log = structlog.get_logger()

_END_SECONDS = 10.0  # for the tasks of a service to end when they are told to; the process then ends without them
_TURN_BYTES = 64 * 1024  # one read of a socket to Redis brings about as much


async def _settled(_url: str) -> None:
    """Nothing is fetched, so nothing is waited for."""


def _without_redirects(starlette: Starlette) -> Starlette:
    """Starlette would send a path with a slash too many to the Host of the request, with its query: with a key."""
    starlette.router.redirect_slashes = False
    return starlette


class Service:
    """One process's whole service. ``app`` is the public ASGI application, ``internal`` the operator's."""

    def __init__(self, settings: Settings) -> None:
        """Connects nothing yet. Raises ConfigError: the accounts file cannot be read; a provider lacks its API key."""
        self.settings = settings
        if problems := providers.without_api_key(settings):
            raise ConfigError(problems)
        self.store = store.connect(
            settings.redis_url.get_secret_value(),
            timeout_seconds=settings.redis_timeout_seconds,
            wait_replicas=settings.redis_wait_replicas,
        )
        self.metrics = Metrics(log_dropped=logs.dropped)
        retention = settings.retention
        # With a queue of its own: who reads a lot holds up nobody who publishes.
        self.letterbox = Letterbox(
            self.store.with_own_queue(), keep_messages=retention.messages, keep_seconds=retention.seconds
        )
        self._recovery = AccountsRecovery(self.store, self.letterbox, settings)
        self.accounts = Accounts.build(
            self.store,
            settings,
            restore=self._recovery.restored,
            settled=self._recovery.settled,
            metrics=self.metrics,
        )
        self.sweeper = Sweeper(self.store.with_own_queue(), retention)
        beside = self.store.with_own_queue()
        journal = Journal(beside, keep_seconds=settings.keep_seconds)
        self._reader = Reader(journal)
        self._activity = Recorder(beside, journal, self.metrics, on_written=self._reader.wake)
        room = AccountRoom(
            self.store.with_own_queue(),
            limit_bytes=settings.account_bytes,
            journal=self._activity,
            metrics=self.metrics,
        )
        self.bus = Bus(
            self.store,
            retention,
            restore=self._recovery.restored,
            note_due=self.sweeper.note,
            kept=None if self.store.clustered else room.kept,
        )
        self.mailbox = Mailbox(
            self.store.with_own_queue(),
            retention,
            starred_messages=settings.starred_messages,
            starred_bytes=settings.starred_bytes,
        )
        self.node = self._made_node()
        self.accounts.gate.on_expiry(self.node.key_ended)
        self._fetches = Fetches(self.store)
        self._confined = Confined()
        self.work = WorkBytes(settings.work_bytes, largest_bytes=settings.max_message_bytes)
        self.metrics.refuses_writes.set_function(lambda: bool(self.store.refuses_writes))
        self._documents = late.document_cache(settings)
        self._observer = Observer(self.metrics, self._activity)
        self._intake = self._made_intake()
        replay = Replay(self.letterbox, self.metrics, self._activity, limit=settings.replay_limit)
        self._stream = StreamDoor(
            self.node, replay, self.metrics, self._activity, settings, wrong_keys=self.accounts.gate.wrong_keys
        )
        self._waiting = Waiting(self.node, self.letterbox)
        self.became_ready = asyncio.Event()  # set while ``ready``
        self.became_unready = asyncio.Event()  # set while not
        self.became_unready.set()
        self._leaving = False
        self.failed: asyncio.Future[None] | None = None  # set while running; ends with the error that ended it
        self.internal = (
            _without_redirects(Starlette(routes=self._health().routes()))
            if settings.internal_port is not None
            else None
        )
        self.app = self._app()

    def _made_node(self) -> Node:
        settings = self.settings
        return Node(
            self.bus,
            self.letterbox,
            self.accounts.gate,
            self.metrics,
            self._activity,
            recovery=self._recovery,
            limits=NodeLimits(
                max_sockets_per_account=settings.max_sockets_per_account,
                turn_bytes=min(_TURN_BYTES, settings.socket_buffer_bytes // 2),
                probe_seconds=settings.redis_probe_seconds,
            ),
            on_connected=self._note_readiness,
        )

    def _made_intake(self) -> Intake:
        return Intake(
            self.bus,
            Parked(self.store),
            self._fetches,
            self._observer,
            work=self.work,
            confined=self._confined,
            fetched_from=self.settings.api_keys(),
            max_message_bytes=self.settings.max_message_bytes,
        )

    def _entrances(self) -> Mapping[str, Entrance]:
        return entrances(
            self._providers(self.settings),
            self._intake,
            self._observer,
            self.work,
            settled=self._documents.settled if self._documents else _settled,
            public_url=self.settings.public_url,
            max_message_bytes=self.settings.max_message_bytes,
            request_seconds=self.settings.request_seconds,
        )

    def _app(self) -> ASGIApp:
        inbound = self._inbound = self._entrances()
        self.routes: list[BaseRoute] = [
            *(Route(path, entrance, methods=["POST", "HEAD"]) for path, entrance in inbound.items()),
            Route(UNSERVED_PATH, UnservedPath(self.metrics, self._activity, inbound)),
            *self._stream.routes(),
            *api.routes(self._rooms()),
            *web.routes(),
            *late.reference_routes(self.settings.public_url),
            *([] if self.internal else self._health().routes()),
        ]
        handlers = dict(api.exception_handlers())
        handlers[HTTPException] = web.or_missing(handlers[HTTPException])
        starlette = _without_redirects(
            Starlette(routes=self.routes, lifespan=self._lifespan, exception_handlers=handlers)
        )

        below = urlsplit(self.settings.public_url).path

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if below:
                scope[api.PUBLIC_PATH] = below
            if scope["type"] != "lifespan" and len(path := scope["path"]) > 1 and path.endswith("/"):
                scope = {
                    **scope,
                    "path": path[:-1],
                }  # what is meant is plain, and nobody is sent there with his key
            # Straight to the door: the way through Starlette would cost as much as the proof and the log line.
            post = scope["type"] == "http" and scope["method"] == "POST"
            entrance = inbound.get(scope["path"]) if post else None
            await (entrance or starlette)(scope, receive, send)

        return app

    def _rooms(self) -> api.Rooms:
        return api.Rooms(
            self.accounts,
            self.mailbox,
            self.letterbox,
            self._waiting,
            self._reader,
            self._intake,
            self.node.survey,
        )

    def _providers(self, settings: Settings) -> list[Provider]:
        known = providers.enabled(settings)
        return list(late.with_documents(known, self._documents, settings).values())

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(self._run(), name="service")
        self.failed = asyncio.get_running_loop().create_future()
        running.add_done_callback(self._ended)
        try:
            yield
        finally:
            running.cancel()
            _, stuck = await asyncio.wait([running], timeout=_END_SECONDS)
            if stuck:
                log.error("service.stuck", seconds=_END_SECONDS)
            self._waiting.close()
            self._confined.close()
            await self.store.close()

    def _ended(self, running: asyncio.Task[None]) -> None:
        if self.failed and not self.failed.done() and not running.cancelled() and (error := running.exception()):
            self.failed.set_exception(error)

    async def _run(self) -> None:
        """Owns every background task. Ends only when one of them fails for good, or when cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.node.run(), name="node")
            tasks.create_task(self._recovery.run(), name="accounts")
            tasks.create_task(self._stream.wheel.run(), name="heartbeat")
            tasks.create_task(self._activity.run(), name="activity")
            tasks.create_task(self.sweeper.run(), name="sweeper")
            if self._documents:
                tasks.create_task(self._documents.run(), name="fetcher")
            if self.settings.api_keys():
                worker = late.fetch_worker(self.settings, self._fetches, self._intake, self.metrics, self.work)
                tasks.create_task(worker.run(), name="fetching")

    @property
    def ready(self) -> bool:
        """Whether this process should get traffic. A long accounts file that is being applied is no reason against it:
        who needs what is not there yet waits for it."""
        return self.node.connected and not self._leaving and not self.store.refuses_writes

    def _note_readiness(self) -> None:
        """Keeps both events equal to ``ready``. Called when something that it is made of has changed."""
        now, before = self.became_ready, self.became_unready
        if not self.ready:
            now, before = before, now
        before.clear()
        now.set()

    async def reload(self, settings: Settings) -> None:
        """Takes the accounts file and the secrets of providers anew, and drops nobody. All else is as it was started.

        Raises ConfigError: the file is wrong, and nothing changes.
        """
        await self._recovery.reload()
        for provider in self._providers(settings):
            if entrance := self._inbound.get(f"/inbound/{provider.name}"):
                entrance.use(provider)

    async def leave(self) -> None:
        """Stops being ready, and closes the sockets, spread over ``RELAY_DRAIN_SECONDS`` at most."""
        self._leaving = True
        self._note_readiness()
        self._reader.leave()
        self._waiting.leave()
        await self._stream.leave(seconds=self.settings.drain_seconds)

    def _health(self) -> Health:
        networks = None if self.settings.internal_port is not None else self.settings.metrics_networks
        return Health(self._state, self.metrics, networks=networks)

    def _state(self) -> State:
        refused = self.store.refuses_writes
        checks = {
            "redis": self.node.connected,
            "writes": not refused,
            "accounts": self._recovery.applied.is_set(),
            "staying": not self._leaving,
        }
        return State(self.ready, checks, f"Redis refuses writes: {refused}" if refused else "")
