"""Lists of large mail: what a list of 20 and of 1,000 mails of 100 KB costs Redis and relay, over REST.

One inbox with 1,000 mails of 100 KB. The two lists take turns, one request at a time over one connection. CPU is that
of Redis and of relay's process from a request's first byte to its answer's last; wall time beside it, and Redis'
longest command (SLOWLOG), because nobody else is answered while it runs. A list has no text and no raw of its mails.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field

from bench.child import Broken, Lab
from bench.cost import Meter, Reading
from bench.mail import MAILS
from bench.posting import Senders
from bench.redis_facts import RedisFacts
from bench.relays import KEY, Relays, inbox
from bench.results import Plan, Section

_MAIL = "100 KB"
_LISTED = {20: 40, 1_000: 3}  # mails of a list, and how many such lists a round asks for
_AT_ONCE = 4


@dataclass
class _Lists:
    """Lists of one length, round by round; ms of one list."""

    redis: list[float] = field(default_factory=list)
    relay: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Lists of large mail",
        f"ms per list of an inbox with {max(_LISTED):,} mails of {_MAIL}: CPU of Redis and of relay, wall time, and"
        " Redis' longest command.",
        (
            "list of",
            "lists",
            "ms of Redis",
            "ms of relay",
            "ms from request to answer",
            "longest command of Redis",
        ),
    )
    with Lab() as lab:
        relays = Relays(lab, addresses=1, doors=1, settings={"RELAY_KEEP_MESSAGES": str(max(_LISTED))})
        facts = RedisFacts(relays.redis)
        Senders(lab).post(
            relays.door_in.door, count=max(_LISTED), connections=_AT_ONCE, mail=MAILS[_MAIL](), to=[inbox(0)]
        )
        found = {listed: _Lists() for listed in _LISTED}
        for _ in range(plan.repeats + 1):  # the first warms up
            for listed, lists in found.items():
                _ask(relays, facts, listed, lists)
    for listed, lists in found.items():
        readings = [Reading.of(values[1:]) for values in (lists.redis, lists.relay, lists.wall, lists.command)]
        for name, reading in zip(("redis", "relay", "wall", "command"), readings, strict=True):
            section.readings[f"lists.{listed}.{name}"] = reading
        asked = f"{_LISTED[listed] * (len(lists.redis) - 1)}"
        section.rows.append((f"{listed:,}", asked, *(reading.text(2) for reading in readings)))
    return [section]


def _ask(relays: Relays, facts: RedisFacts, listed: int, lists: _Lists) -> None:
    """Raises Broken when a list is not whole."""
    count = _LISTED[listed]
    connection = http.client.HTTPConnection("127.0.0.1", relays.door_in.port, timeout=60)
    facts.begin_slow_log()
    with Meter(relays.redis.pid) as redis, Meter(relays.door_in.pid) as relay:
        for _ in range(count):
            connection.request(
                "GET", f"/api/addresses/{inbox(0)}/messages?limit={listed}", headers={"Mailsac-Key": KEY}
            )
            answer = connection.getresponse()
            body = answer.read()
    connection.close()
    if answer.status != 200 or len(json.loads(body)) != listed:
        raise Broken(f"a list of {listed} was answered {answer.status} {body[:200]!r}")
    lists.redis.append(redis.cpu_ns / count / 1e6)
    lists.relay.append(relay.cpu_ns / count / 1e6)
    lists.wall.append(relay.wall_ns / count / 1e6)
    lists.command.append(facts.longest_command_ms())
