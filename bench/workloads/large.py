"""Large mail, and how long it holds up everybody else: small posts to another process while one process takes it.

Two processes share a Redis. One gets mail of 3 KB by schedule, 200 a second, each to an address of its own choice among
100, and a post's time counts from its place in the schedule; the other gets one large mail meanwhile. Reported is the
longest time of the small posts, with and without the large one, and Redis' longest command (SLOWLOG): while that runs,
nobody at all is answered. The large mail is an attachment in base64, and in the last size all text, which makes a JSON
of twice its size. Nobody listens. What such mail costs is in the table "A mail in and out"; Redis' CPU here is of all
that it did meanwhile, two seconds of small posts included.

The machine's cores are shared by both processes, Redis and the senders: with two cores a post may wait for one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bench import contestants
from bench.child import Broken, Lab
from bench.contestants import Contestant
from bench.cost import Meter, Reading
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.redis_facts import RedisFacts
from bench.results import Plan, Section

_SMALL = "3 KB"
_SIZES = ("1 MB", "5 MB", "20 MB", "25 MiB", "25 MiB of text")
_QUICK_SIZES = ("1 MB", "25 MiB", "25 MiB of text")
_ADDRESSES = 100
_RATE = 200.0  # small posts a second
_CONNECTIONS = 16
_BEFORE_SECONDS = 0.3
_SECONDS = 2.0  # of small posts beside the large one; twice that, and again, where it takes longer
_MOST_SECONDS = 16.0
_ALONE_SECONDS = 1.0
_KEPT = 3


@dataclass
class _Turn:
    """A contestant, and what was measured of it with one size."""

    contestant: Contestant
    small: Senders
    large: Senders
    facts: RedisFacts
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    command_ms: list[float] = field(default_factory=list)
    taking_ms: list[float] = field(default_factory=list)
    redis_ms: list[float] = field(default_factory=list)
    seconds: float = _SECONDS
    failed: str = ""

    def clear(self) -> None:
        for values in (self.alone_ms, self.beside_ms, self.command_ms, self.taking_ms, self.redis_ms):
            values.clear()

    def round(self, small: Mail, large: Mail) -> None:
        """Raises Broken when a post was not answered as it should be, or the large one takes too long."""
        self._start(small, _ALONE_SECONDS)
        alone_ms = self.small.finish().longest_ns / 1e6
        while not self._beside(small, large):
            self.seconds *= 2
            if self.seconds > _MOST_SECONDS:
                raise Broken(f"the large mail is not taken in {_MOST_SECONDS:g} s")
        self.alone_ms.append(alone_ms)

    def _beside(self, small: Mail, large: Mail) -> bool:
        """Whether the large mail was taken before the last small post; else there is no result."""
        self.facts.begin_slow_log()
        with Meter(self.contestant.redis_pid) as redis:
            self._start(small, self.seconds)
            time.sleep(_BEFORE_SECONDS)
            try:
                taken = self.large.post(
                    self.contestant.doors[1], count=1, connections=1, mail=large, to=[self.contestant.to_all]
                )
            finally:
                beside = self.small.finish()
        if taken.seconds + _BEFORE_SECONDS > self.seconds:
            return False
        self.beside_ms.append(beside.longest_ns / 1e6)
        self.taking_ms.append(taken.seconds * 1e3)
        self.command_ms.append(self.facts.longest_command_ms())
        self.redis_ms.append(redis.cpu_ns / 1e6)
        return True

    def _start(self, small: Mail, seconds: float) -> None:
        self.small.start(
            self.contestant.doors[0], count=round(_RATE * seconds), connections=_CONNECTIONS, rate=_RATE,
            mail=small, to=self.contestant.recipients(_ADDRESSES),
        )  # fmt: skip


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Small posts beside a large mail",
        f"ms: the longest of {_RATE:g} small posts a second at one process, without and while another process takes"
        " one large mail; Redis' longest command meanwhile; how long the large mail took; Redis' CPU.",
        (
            "large mail", "contestant", "longest, alone", "longest, beside it", "longest command of Redis",
            "the large mail", "ms of Redis",
        ),
    )  # fmt: skip
    sizes = _QUICK_SIZES if plan.quick else _SIZES
    mails = {name: MAILS[name]() for name in (_SMALL, *sizes)}
    json = contestants.json_of(mails)
    with Lab() as lab:
        small, large = Senders(lab), Senders(lab)
        turns = [
            _Turn(one, small, large, RedisFacts(one.redis))
            for one in contestants.all_of(lab, section, keep=_KEPT, addresses=_ADDRESSES, doors=2)
            if one.redis
        ]
        for number, name in enumerate(sizes):
            for turn in turns:
                turn.clear()
            for _ in range(plan.repeats + (number == 0)):
                for turn in turns:
                    bodies = [turn.contestant.body(mails[size], json[size]) for size in (_SMALL, name)]
                    _try(section, turn, name, bodies)
            for turn in turns:
                if not turn.failed:
                    _note(section, turn, name, warm_ups=int(number == 0))
    return [section]


def _try(section: Section, turn: _Turn, name: str, bodies: list[Mail]) -> None:
    """A contestant that fails is out, and said to be; the others go on."""
    try:
        if not turn.failed:
            turn.round(*bodies)
    except Broken as error:
        turn.failed = f"{turn.contestant.name}, {name}: {error}"
        section.failed.append(turn.failed)


def _note(section: Section, turn: _Turn, name: str, *, warm_ups: int) -> None:
    columns = (turn.alone_ms, turn.beside_ms, turn.command_ms, turn.taking_ms, turn.redis_ms)
    alone, beside, command, taking, redis = (Reading.of(values[warm_ups:]) for values in columns)
    key = f"large.{turn.contestant.name}.{name}"
    section.readings |= {f"{key}.alone": alone, f"{key}.beside": beside, f"{key}.command": command}
    cells = (alone.text(), beside.text(), command.text(), taking.text(0), redis.text(0))
    section.rows.append((name, turn.contestant.name, *cells))
