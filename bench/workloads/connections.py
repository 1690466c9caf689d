"""Connections as senders have them: one that stays open for many posts, and a new one for every post.

Mail of 3 KB. A sender that keeps its connection posts one mail after the other; one that does not opens a connection
for each, one after the other too; and eight of each kind at once. Cost is CPU of the service and of Redis per post,
beside Centrifugo and nchan with their own way in, in turns. Nobody listens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench import contestants
from bench.child import Broken, Lab
from bench.contestants import Contestant, Cost
from bench.cost import Reading
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.results import Plan, Section

_MAIL = "3 KB"
_POSTS = 1_000
_ADDRESSES = 100
_KEPT = 50


@dataclass(frozen=True, slots=True)
class _Way:
    """How posts come."""

    name: str
    at_once: int
    each_its_own: bool


_WAYS = (
    _Way("one connection", 1, each_its_own=False),
    _Way("one each", 1, each_its_own=True),
    _Way("8 connections", 8, each_its_own=False),
    _Way("one each, 8 at once", 8, each_its_own=True),
)


@dataclass
class _Turn:
    """A contestant, and what posts cost it by way."""

    contestant: Contestant
    mail: Mail
    costs: dict[str, list[Cost]] = field(default_factory=lambda: {way.name: [] for way in _WAYS})
    failed: str = ""


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Connections of senders",
        f"µs of CPU per post of {_MAIL}, of the service and of Redis; posts a second as this machine did them.",
        ("connections", "contestant", "posts", "µs of the service", "µs of Redis", "posts/s"),
    )
    count = _POSTS // 4 if plan.quick else _POSTS
    mail = MAILS[_MAIL]()
    json = contestants.json_of({_MAIL: mail})[_MAIL]
    with Lab() as lab:
        senders = Senders(lab)
        turns = [
            _Turn(one, one.body(mail, json))
            for one in contestants.all_of(lab, section, keep=_KEPT, addresses=_ADDRESSES)
        ]
        for _ in range(plan.repeats + 1):  # the first warms up
            for way in _WAYS:
                for turn in turns:
                    _try(section, senders, turn, way, count)
    for way in _WAYS:
        for turn in turns:
            if not turn.failed:
                _note(section, turn, way, count)
    return [section]


def _try(section: Section, senders: Senders, turn: _Turn, way: _Way, count: int) -> None:
    """A contestant that fails is out, and said to be; the others go on."""
    if turn.failed:
        return
    try:
        with Cost(turn.contestant) as cost:
            senders.post(
                turn.contestant.door, count=count, connections=way.at_once, each_its_own=way.each_its_own,
                mail=turn.mail, to=turn.contestant.recipients(_ADDRESSES),
            )  # fmt: skip
        turn.costs[way.name].append(cost)
    except Broken as error:
        turn.failed = f"{turn.contestant.name}, {way.name}: {error}"
        section.failed.append(turn.failed)


def _note(section: Section, turn: _Turn, way: _Way, count: int) -> None:
    costs = turn.costs[way.name][1:]
    service = Reading.of([cost.service_ns / count / 1000 for cost in costs])
    redis = Reading.of([cost.redis_ns / count / 1000 for cost in costs])
    rate = Reading.of([count / cost.wall_ns * 1e9 for cost in costs])
    name = f"connections.{turn.contestant.name}.{way.name}"
    section.readings |= {f"{name}.service": service, f"{name}.redis": redis}
    cells = (service.text(0), redis.text(0), rate.text(0))
    section.rows.append((way.name, turn.contestant.name, f"{count * len(costs):,}", *cells))
