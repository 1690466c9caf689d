"""Replay: a socket that comes back and gets 1,000 mails of 3 KB that it missed, beside Centrifugo and nchan.

Each keeps 1,000 messages of one inbox or channel in Redis. A socket opens and asks for all of them: relay with
``since``, Centrifugo recovers from the channel's beginning, nchan from the oldest message. CPU of the service and of
Redis, and wall time, are from the opening to the last message; all must come, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import contestants, relays
from bench.child import Broken, Lab
from bench.contestants import CENTRIFUGO, NCHAN, Contestant, Cost
from bench.cost import Reading
from bench.listening import Listeners
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.results import Plan, Section
from bench.wire import Hello
from bench.yardsticks import centrifugo, nchan

_MAIL = "3 KB"
_MESSAGES = 1_000
_ONE_AFTER_THE_OTHER = 1  # so that they are kept in the order of their numbers


@dataclass
class _Turn:
    """A contestant that has kept the messages, and what its replays took."""

    contestant: Contestant
    listeners: Listeners
    costs: list[Cost] = field(default_factory=list)
    failed: str = ""

    def replay(self, last: int) -> None:
        """Raises Broken when a message did not come, or not in its place."""
        self.listeners.close_all()
        self.listeners.begin(nap_ms=0)
        with Cost(self.contestant) as cost:
            self.listeners.grow(1)
            self.listeners.wait_for(_MESSAGES)
        self.listeners.verify(each=_MESSAGES, last=last)
        self.costs.append(cost)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Replay",
        f"ms for {_MESSAGES:,} kept mails of {_MAIL} to a socket that comes back: CPU of the service and of Redis, and"
        " wall time until all are read.",
        ("contestant", "replays", "ms of the service", "ms of Redis", "ms until all are there"),
    )
    mail = MAILS[_MAIL]()
    json = contestants.json_of({_MAIL: mail})[_MAIL]
    with Lab() as lab:
        turns = [_turn(lab, one, one.body(mail, json)) for one in contestants.all_of(lab, section, keep=_MESSAGES)]
        for _ in range(2 * plan.repeats + 1):  # the first warms up
            for turn in turns:
                _try(section, turn)
    for turn in turns:
        if not turn.failed:
            _note(section, turn)
    return [section]


def _turn(lab: Lab, one: Contestant, mail: Mail) -> _Turn:
    senders = Senders(lab)
    senders.post(one.door, count=_MESSAGES, connections=_ONE_AFTER_THE_OTHER, mail=mail, to=[one.to_all])
    ask: dict[str, Callable[[], Listeners]] = {
        contestants.RELAY: lambda: Listeners(lab, one.port, relays.listen(relays.TO_ALL, since="1h")),
        CENTRIFUGO: lambda: Listeners(lab, one.port, centrifugo.LISTEN, _hello(one)),
        NCHAN: lambda: Listeners(lab, one.port, nchan.LISTEN_FROM_FIRST),
    }
    return _Turn(one, ask[one.name]())


def _hello(one: Contestant) -> Hello:
    """From the beginning, with the epoch that the channel has now."""
    return centrifugo.hello(centrifugo.ALL, since=centrifugo.epoch(one.port))


def _try(section: Section, turn: _Turn) -> None:
    """A contestant that fails is out, and said to be; the others go on."""
    try:
        if not turn.failed:
            turn.replay(_MESSAGES)
    except Broken as error:
        turn.failed = f"{turn.contestant.name}: {error}"
        section.failed.append(turn.failed)


def _note(section: Section, turn: _Turn) -> None:
    costs = turn.costs[1:]
    service = Reading.of([cost.service_ns / 1e6 for cost in costs])
    redis = Reading.of([cost.redis_ns / 1e6 for cost in costs])
    wall = Reading.of([cost.wall_ns / 1e6 for cost in costs])
    name = f"replay.{turn.contestant.name}"
    section.readings |= {f"{name}.service": service, f"{name}.redis": redis, f"{name}.wall": wall}
    section.rows.append((turn.contestant.name, f"{len(costs)}", service.text(), redis.text(), wall.text()))
