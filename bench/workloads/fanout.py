"""One message to 1, 10, 100, 1,000 and 10,000 sockets: what a delivery costs, by size of the frame.

All contestants are up at the same time and take turns, burst by burst, so that a moment in which the machine is
slow falls on all of them. In a burst each message is sent when every socket has the one before (seen from the
listeners' side), so nothing queues and nothing is coalesced. Cost is CPU time of the process that has the sockets.
For relay that is the second of two processes: the mail is taken in by the first. For stock it holds the receiving
from Redis too, for nchan and Centrifugo the HTTP POST, and for all of them being woken; "further delivery" is free of
all that: (C(N) - C(N/10)) / (N - N/10), C being the cost of a whole message. Redis' CPU is per message, and of what the
process that takes the mail in asks of it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from bench.child import Broken, Lab
from bench.cost import Meter, Reading
from bench.listening import Listeners
from bench.mail import Mail, plain_mail
from bench.relays import LISTEN_TO_ALL, Poster, Relays, mail_for_frame
from bench.results import Plan, Section
from bench.yardsticks import bare, centrifugo, nchan, stock

KB = 1_024
_SIZES = (KB, 10 * KB, 100 * KB)
_SOCKETS = (1, 10, 100, 1_000, 10_000)
_MOST_BYTES = 2 << 30  # of one contestant's turns with one size and one number of sockets
_BURST_DELIVERIES = 20_000
_BURST_BYTES = 100 << 20
_LEAST_MESSAGES = 4
_ENVELOPE_BYTES = 80  # Centrifugo's, around the message


class Contestant(Protocol):
    """Somebody who sends one message to all of its sockets."""

    name: str

    @property
    def pid(self) -> int:
        """Of the process whose CPU time counts."""

    @property
    def redis_pid(self) -> int:
        """0 = it has none."""

    def publish(self, frame_bytes: int, number: int) -> None:
        """Sends message ``number``, with a frame of about that many bytes, to all. Raises Broken."""


class Relay:
    """relay: posted to one process, delivered by the other."""

    name = "relay"

    def __init__(self, relays: Relays) -> None:
        self.pid, self.redis_pid = relays.door_out.pid, relays.redis.pid
        self.port = relays.door_out.port
        self._poster = Poster(relays.door_in)
        self._mails: dict[int, Mail] = {}
        self._overhead_bytes = 0

    def publish(self, frame_bytes: int, number: int) -> None:
        self._poster.post(self._mail(frame_bytes).numbered(number))

    def learn_overhead(self, listeners: Listeners) -> None:
        """Finds out how large the frame of an empty mail is, to post mails for frames of a given size."""
        listeners.begin()
        self._poster.post(plain_mail(0).numbered(1))
        listeners.wait_for_each()
        self._overhead_bytes = listeners.verify(each=1, last=1)

    def _mail(self, frame_bytes: int) -> Mail:
        if frame_bytes not in self._mails:
            self._mails[frame_bytes] = mail_for_frame(frame_bytes, self._overhead_bytes)
        return self._mails[frame_bytes]


@dataclass
class Turn:
    """A contestant with its sockets."""

    contestant: Contestant
    listeners: Listeners
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    failed: str = ""

    def burst(self, frame_bytes: int, messages: int) -> tuple[float, float, int]:
        """CPU time of one message in ns, Redis' too, and the size of its frame. Raises Broken when one was missed."""
        last = 0
        self.listeners.begin()
        pid = self.contestant.pid
        with Meter(pid) as meter, Meter(self.contestant.redis_pid or pid) as redis:
            for _ in range(messages):
                last = next(self.numbers)
                self.contestant.publish(frame_bytes, last)
                self.listeners.wait_for_each()
        size = self.listeners.verify(each=messages, last=last)
        return meter.cpu_ns / messages, redis.cpu_ns / messages, size


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Fan-out of one message",
        "µs of CPU per delivery: the whole cost of a message divided by its sockets; in the last column what"
        " one further socket costs beyond a tenth of them, without the message's own cost. Size is that of the"
        " frame's payload. Median (lowest–highest) of the repeats.",
        (
            "frame", "sockets", "contestant", "messages", "µs per delivery", "µs per further delivery",
            "µs of Redis per message",
        ),
    )  # fmt: skip
    with Lab() as lab:
        turns = list(_turns(lab, section))
        for sockets in _SOCKETS[: 4 if plan.quick else 5]:
            for turn in turns:
                _try(turn, section, partial(_grow, turn, sockets))
            for frame_bytes in _SIZES[: 2 if plan.quick else 3]:
                _measure(plan, section, [turn for turn in turns if not turn.failed], sockets, frame_bytes)
    for turn in turns:
        _compare_further(section, turn.contestant.name)
    section.rows.sort(key=lambda row: (int(row[0].split()[0]), int(row[1].replace(",", ""))))
    return [section]


def _turns(lab: Lab, section: Section) -> Iterator[Turn]:
    relays = Relays(lab)
    yield Turn(relay := Relay(relays), Listeners(lab, relay.port, LISTEN_TO_ALL))
    yield Turn(other := stock.Stock(lab, lab.redis()), Listeners(lab, other.port, stock.LISTEN_TO_ALL))
    yield Turn(floor := bare.Bare(lab), Listeners(lab, floor.port, bare.LISTEN))
    if why := nchan.missing():
        section.notes.append(f"nchan: {why}")
    else:
        yield Turn(third := nchan.Nchan(lab), Listeners(lab, third.port, nchan.LISTEN_TO_ALL))
        yield Turn(fourth := nchan.Nchan(lab, lab.redis()), Listeners(lab, fourth.port, nchan.LISTEN_TO_ALL))
    if why := centrifugo.missing():
        section.notes.append(f"Centrifugo: {why}")
    else:
        last = centrifugo.Centrifugo(lab, lab.redis())
        yield Turn(last, Listeners(lab, last.port, centrifugo.LISTEN, centrifugo.hello(centrifugo.ALL)))


def _try(turn: Turn, section: Section, step: Callable[[], None]) -> None:
    """A contestant that fails is out, and said to be; the others go on."""
    try:
        if not turn.failed:
            step()
    except Broken as error:
        turn.failed = f"{turn.contestant.name}: {error}"
        section.failed.append(turn.failed)


def _grow(turn: Turn, sockets: int) -> None:
    turn.listeners.grow(sockets)
    if isinstance(turn.contestant, Relay) and sockets == 1:
        turn.contestant.learn_overhead(turn.listeners)
        turn.numbers = count(2)


def _measure(plan: Plan, section: Section, turns: list[Turn], sockets: int, frame_bytes: int) -> None:
    messages = min(200, _BURST_DELIVERIES // sockets, _BURST_BYTES // (sockets * frame_bytes))
    messages = max(_LEAST_MESSAGES, messages)
    if (plan.repeats + 1) * messages * sockets * frame_bytes > _MOST_BYTES:
        section.notes.append(f"skipped: {sockets:,} sockets × {frame_bytes // KB} KB, more than 2 GB to move")
        return
    costs: dict[str, list[float]] = {turn.contestant.name: [] for turn in turns}
    redis: dict[str, list[float]] = {turn.contestant.name: [] for turn in turns}
    sizes: dict[str, int] = {}

    def burst(turn: Turn) -> None:
        cost, redis_cost, sizes[turn.contestant.name] = turn.burst(frame_bytes, messages)
        costs[turn.contestant.name].append(cost)
        redis[turn.contestant.name].append(redis_cost / 1000)

    for _ in range(plan.repeats + 1):  # the first warms up
        for turn in turns:
            _try(turn, section, partial(burst, turn))
    for turn in turns:
        if not turn.failed:
            name = turn.contestant.name
            cells = [*_note(section, f"{name}.{{}}.{frame_bytes}", sockets, costs[name][1:])]
            cells.append(Reading.of(redis[name][1:]).text(0) if turn.contestant.redis_pid else "–")
            section.rows.append((f"{frame_bytes // KB} KB", f"{sockets:,}", name, f"{messages}", *cells))
            _check_size(section, name, frame_bytes, sizes[name])


def _note(section: Section, name: str, sockets: int, costs_ns: list[float]) -> tuple[str, str]:
    """Keeps the readings; ``name`` has a place for the number of sockets. Returns the two cells of the row."""
    delivery = Reading.of([cost / sockets / 1000 for cost in costs_ns])
    section.readings[f"fanout.{name.format(sockets)}"] = delivery
    fewer = sockets // 10
    before = section.readings.get(f"fanout.{name.format(fewer)}")
    if before is None or fewer == 1:
        return delivery.text(2), "–"
    further = Reading.of([(cost / 1000 - before.median * fewer) / (sockets - fewer) for cost in costs_ns])
    section.readings[f"further.{name.format(sockets)}"] = further
    return delivery.text(2), further.text(2)


def _compare_further(section: Section, name: str) -> None:
    """How much the cost of one further delivery of 1 KB depends on the number of sockets."""
    slopes = [reading.median for key, reading in section.readings.items() if _is_slope(key, name)]
    if len(slopes) > 1 and min(slopes) > 0:
        section.notes.append(
            f"one further delivery, 1 KB, highest / lowest: {name} {max(slopes) / min(slopes):.2f}"
        )


def _is_slope(key: str, name: str) -> bool:
    return key.startswith(f"further.{name}.") and key.endswith(f".{KB}")


def _check_size(section: Section, name: str, wanted_bytes: int, size_bytes: int) -> None:
    if abs(size_bytes - wanted_bytes) > _ENVELOPE_BYTES:
        section.notes.append(f"{name}: frames meant to have {wanted_bytes} bytes had {size_bytes}")
