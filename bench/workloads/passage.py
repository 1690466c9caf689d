"""A mail in and out beside Centrifugo and nchan: posted, kept in Redis, heard by one listener.

Cost is CPU time of the service's one process, and of its Redis, from the first post to the last frame. Contestants take
turns, round by round. relay gets the mail and parses it; the others get the finished JSON (bench/contestants.py).
``memory://`` is relay with its store inside of the process, as a first look has it. Of every mail one frame must come.
All goes to one inbox, which keeps 50 mails; at 5 MB and more, 10, so that no Redis here takes a gigabyte.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench import contestants
from bench.child import Broken, Lab
from bench.contestants import CENTRIFUGO, Contestant, Cost
from bench.cost import Reading
from bench.listening import Listeners
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.results import Plan, Section


@dataclass(frozen=True, slots=True)
class _Load:
    """How mail of one size is posted."""

    mail: str  # one of MAILS
    posts: int  # of a round
    at_once: int


@dataclass
class _Turn:
    """A contestant with its listener, and what it took, round by round."""

    contestant: Contestant
    listeners: Listeners
    senders: Senders
    costs: list[Cost] = field(default_factory=list)
    failed: str = ""

    def round(self, load: _Load, mail: Mail) -> None:
        """Raises Broken when a mail did not come, or came twice."""
        first = self.senders.next_number
        self.listeners.begin(record=True)
        with Cost(self.contestant) as cost:
            self.senders.post(
                self.contestant.door, count=load.posts, connections=load.at_once, mail=mail,
                to=[self.contestant.to_all],
            )  # fmt: skip
            self.listeners.wait_for(load.posts)
        came = sorted(number for _, number, _ in self.listeners.arrivals())
        if came != list(range(first, first + load.posts)):
            raise Broken(f"of {load.posts} mails {len(set(came))} came, {len(came)} times")
        self.costs.append(cost)


_KEEPS = (
    (50, (_Load("3 KB", 600, 16), _Load("30 KB", 300, 16), _Load("1 MB", 24, 16))),
    (10, (_Load("5 MB", 8, 2), _Load("20 MB", 3, 1))),
)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "A mail in and out",
        "µs of CPU per mail with one listener: of the service, of its Redis, and of both; mails a second as this"
        " machine did them. relay takes the mail, the others its JSON.",
        ("mail", "contestant", "mails", "µs of the service", "µs of Redis", "µs of both", "mails/s"),
    )
    mails = {load.mail: MAILS[load.mail]() for _, loads in _KEEPS for load in loads}
    json = contestants.json_of(mails)
    for keep, all_loads in _KEEPS:
        loads = [replace(load, posts=-(-load.posts // 2)) for load in all_loads] if plan.quick else all_loads
        with Lab() as lab:
            senders = Senders(lab)
            section.notes.clear()  # who is missing is missing both times
            turns = [
                _Turn(one, one.listeners(lab), senders)
                for one in contestants.all_of(lab, section, keep=keep, memory=True)
            ]
            for turn in turns:
                turn.listeners.grow(1)
            for load in loads:
                _measure(plan, section, turns, load, (mails[load.mail], json[load.mail]))
    _compare(section)
    return [section]


def _measure(plan: Plan, section: Section, turns: list[_Turn], load: _Load, mail: tuple[Mail, Mail]) -> None:
    for turn in turns:
        turn.costs = []
    for _ in range(plan.repeats + 1):  # the first warms up
        for turn in turns:
            _try(section, turn, load, turn.contestant.body(*mail))
    for turn in turns:
        if not turn.failed:
            _note(section, turn, load)


def _try(section: Section, turn: _Turn, load: _Load, mail: Mail) -> None:
    """A contestant that fails is out, and said to be; the others go on."""
    try:
        if not turn.failed:
            turn.round(load, mail)
    except Broken as error:
        turn.failed = f"{turn.contestant.name}, {load.mail}: {error}"
        section.failed.append(turn.failed)


def _note(section: Section, turn: _Turn, load: _Load) -> None:
    costs, per = turn.costs[1:], load.posts * 1000
    service = Reading.of([cost.service_ns / per for cost in costs])
    redis = Reading.of([cost.redis_ns / per for cost in costs])
    both = Reading.of([cost.sum_ns / per for cost in costs])
    rate = Reading.of([load.posts / cost.wall_ns * 1e9 for cost in costs])
    name = f"passage.{turn.contestant.name}.{load.mail}"
    section.readings |= {f"{name}.service": service, f"{name}.redis": redis, f"{name}.both": both}
    cells = (service.text(0), redis.text(0) if turn.contestant.redis else "–", both.text(0), rate.text(0))
    section.rows.append((load.mail, turn.contestant.name, f"{load.posts * len(costs):,}", *cells))


def _compare(section: Section) -> None:
    for _, loads in _KEEPS:
        for load in loads:
            both = [
                section.readings.get(f"passage.{name}.{load.mail}.both")
                for name in (contestants.RELAY, CENTRIFUGO)
            ]
            if both[0] and both[1]:
                ratio = both[0].median / both[1].median
                section.notes.append(f"{load.mail}: relay's sum is {ratio:.2f} × that of {CENTRIFUGO}")
