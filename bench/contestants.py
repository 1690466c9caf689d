"""relay and those it is measured beside, each with a redis-server of its own: posted to and listened to alike.

All of them take a message in over HTTP, keep it in Redis, and give it to WebSockets. Centrifugo and nchan get the
finished JSON, the very bytes that relay makes of the mail; relay gets the mail and parses it. So their cost is that of
keeping and delivering, and relay's beside it shows what the mail itself costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from websockets.sync.client import connect

from bench import relays
from bench.child import Lab
from bench.cost import Meter
from bench.listening import Listeners
from bench.mail import Mail
from bench.posting import Door
from bench.relays import Poster, Relays
from bench.results import Section
from bench.wire import Hello, mark
from bench.yardsticks import centrifugo, nchan
from tests.redis_server import RedisServer

RELAY, MEMORY = "relay", "relay, memory://"
CENTRIFUGO, NCHAN = centrifugo.Centrifugo.name, "nchan + Redis"
_RECEIVE_SECONDS = 60.0


@dataclass(frozen=True)
class Opening:
    """How a socket is opened, to listen to one thing."""

    request: str  # "{index}" in it is the socket's number, five digits
    hello: Hello = Hello()  # noqa: RUF009  # it is frozen


@dataclass(frozen=True)
class Contestant:
    """One service. Of two processes the first is posted to and measured, and the last has the sockets."""

    name: str
    pid: int
    redis: RedisServer | None
    doors: tuple[Door, ...]
    to_all: str  # the recipient that ``opens_all`` listens to
    to_own: str  # the recipient that ``opens_own`` listens to; "{index}" as in Opening
    port: int
    opens_all: Opening
    opens_own: Opening
    takes_json: bool

    @property
    def door(self) -> Door:
        return self.doors[0]

    @property
    def redis_pid(self) -> int:
        """0 = it has none of its own."""
        return self.redis.pid if self.redis else 0

    def listeners(self, lab: Lab, *, own: bool = False) -> Listeners:
        """A process for sockets of this service; none is open yet."""
        opening = self.opens_own if own else self.opens_all
        return Listeners(lab, self.port, opening.request, opening.hello)

    def recipients(self, count: int) -> list[str]:
        """Of sockets 0 to ``count - 1`` that listen to their own."""
        return [self.to_own.replace("{index}", f"{index:05d}") for index in range(count)]

    def body(self, mail: Mail, json: Mail) -> Mail:
        """What is posted here."""
        return json if self.takes_json else mail


class Cost:
    """``with Cost(contestant) as cost``; afterwards CPU in ns of its (first) process, of its Redis, and of both."""

    def __init__(self, contestant: Contestant) -> None:
        self._service = Meter(contestant.pid)
        self._redis = Meter(contestant.redis_pid) if contestant.redis_pid else None
        self.service_ns = self.redis_ns = self.wall_ns = 0

    def __enter__(self) -> Cost:
        for meter in filter(None, (self._redis, self._service)):
            meter.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for meter in filter(None, (self._service, self._redis)):
            meter.__exit__()
        self.service_ns, self.wall_ns = self._service.cpu_ns, self._service.wall_ns
        self.redis_ns = self._redis.cpu_ns if self._redis else 0

    @property
    def sum_ns(self) -> int:
        return self.service_ns + self.redis_ns


def all_of(
    lab: Lab, section: Section, *, keep: int, addresses: int = 0, doors: int = 1, memory: bool = False
) -> Iterator[Contestant]:
    """Starts those that are here; of the others the section says why they are not.

    ``keep``: messages of an inbox or channel. ``memory``: relay without a Redis takes part as well.
    As much may wait for a socket as comes: several mails of 1 MB at once are more than relay's limit, and Centrifugo's.
    """
    settings = {"RELAY_KEEP_MESSAGES": str(keep), "RELAY_SOCKET_BUFFER_BYTES": str(centrifugo.QUEUE_BYTES)}
    started = Relays(lab, addresses=addresses, doors=doors, settings=settings)
    yield _relay(RELAY, started.relays, started.redis)
    if memory:
        alone = relays.start(lab, relays.write_accounts(lab, addresses), settings)
        relays.wait_until_ready(alone)
        yield _relay(MEMORY, [alone], None)
    yield from peers_of(lab, section, keep=keep, doors=doors)


def peers_of(lab: Lab, section: Section, *, keep: int, doors: int = 1) -> Iterator[Contestant]:
    """:func:`all_of` but relay."""
    if why := centrifugo.missing():
        section.notes.append(f"Centrifugo: {why}")
    else:
        redis = lab.redis()
        yield _centrifugo([centrifugo.Centrifugo(lab, redis, keep=keep) for _ in range(doors)], redis)
    if why := nchan.missing():
        section.notes.append(f"nchan: {why}")
    else:
        redis = lab.redis()
        yield _nchan([nchan.Nchan(lab, redis, keep=keep) for _ in range(doors)], redis)


def json_of(mails: Mapping[str, Mail]) -> dict[str, Mail]:
    """What relay gives to a socket for each mail, with places for a number where the mail has them."""
    with Lab() as lab:
        relay = relays.start(lab, relays.write_accounts(lab, 0), {})
        relays.wait_until_ready(relay)
        poster = Poster(relay)
        url = f"ws://127.0.0.1:{relay.port}{relays.path_to_listen(relays.TO_ALL)}"
        with connect(url, max_size=None, compression=None) as websocket:
            found = {}
            for name, mail in mails.items():
                poster.post(mail.template)
                found[name] = _with_mark(websocket.recv(timeout=_RECEIVE_SECONDS, decode=False))
        return found


def _with_mark(received: bytes) -> Mail:
    """With the mark where the ``_id`` was."""
    head, member, rest = received.partition(b'"_id":"')
    return Mail(b'%b%b%b"%b' % (head, member, mark(0).encode(), rest.partition(b'"')[2]))


def _relay(name: str, started: list[relays.Relay], redis: RedisServer | None) -> Contestant:
    return Contestant(
        name, started[0].pid, redis, tuple(relay.door for relay in started), relays.TO_ALL, relays.INBOX,
        started[-1].port, Opening(relays.LISTEN_TO_ALL), Opening(relays.LISTEN_TO_OWN), takes_json=False,
    )  # fmt: skip


def _centrifugo(started: list[centrifugo.Centrifugo], redis: RedisServer) -> Contestant:
    all_, own = (Opening(centrifugo.LISTEN, centrifugo.hello(to)) for to in (centrifugo.ALL, "a{index}"))
    return Contestant(
        CENTRIFUGO, started[0].pid, redis, tuple(one.door for one in started), centrifugo.ALL, "a{index}",
        started[-1].port, all_, own, takes_json=True,
    )  # fmt: skip


def _nchan(started: list[nchan.Nchan], redis: RedisServer) -> Contestant:
    all_, own = (Opening(request) for request in (nchan.LISTEN_TO_ALL, nchan.LISTEN_TO_OWN))
    return Contestant(
        NCHAN, started[0].pid, redis, tuple(one.door for one in started), nchan.ALL, "a{index}",
        started[-1].port, all_, own, takes_json=True,
    )  # fmt: skip
