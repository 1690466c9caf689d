"""permessage-deflate: a 10 KB mail to 1,000 sockets that negotiated it, against two kinds of plain frames.

A text mail of 10 KB goes to sockets that offered the extension (RFC 7692, no context takeover on both sides). In turns
with it go to 1,000 plain sockets of the same process: a mail whose frame is as long as that one's compressed frame (the
ratio is what compression adds), and the very same mail, not compressed (the ratio is what it saves). For the second
ratio all counts that the mail cost, wherever it was compressed: process with the sockets, process that took it in, and
Redis. Listeners inflate what they get (equal frames once) to verify it. A service that declines is said to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from bench.child import Lab
from bench.cost import Meter, Reading
from bench.listening import Listeners
from bench.mail import Mail, plain_mail, text_mail
from bench.relays import TO_ALL, Poster, Relays, inbox, listen, mail_for_frame
from bench.results import Plan, Section

_SOCKETS = 1_000
_MAIL_BYTES = 10_240
_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class Burst:
    """µs of CPU of one message, and bytes of its frame's payload."""

    out_us: float  # the process with the sockets
    in_us: float  # the process that took the mail in
    redis_us: float
    size_bytes: int

    @property
    def delivery_us(self) -> float:
        return self.out_us / _SOCKETS

    @property
    def whole_us(self) -> float:
        """Of a delivery, all counted that the message cost."""
        return (self.out_us + self.in_us + self.redis_us) / _SOCKETS


@dataclass
class Turn:
    """What is sent, to whom."""

    name: str
    mail: Mail
    plain: bool
    bursts: list[Burst] = field(default_factory=list)


class Bench:
    """A relay whose sockets are half deflate (listening to ``TO_ALL``), half plain (to ``inbox(0)``)."""

    def __init__(self, lab: Lab) -> None:
        self.relays = Relays(lab, addresses=1)
        port = self.relays.door_out.port
        self.deflate = Listeners(lab, port, listen(TO_ALL, deflate=True))
        self.plain = Listeners(lab, port, listen(inbox(0)))
        self._poster = Poster(self.relays.door_in)
        self._numbers = count(1)

    def burst(self, mail: Mail, *, plain: bool, messages: int = _MESSAGES) -> Burst:
        """Raises Broken when a socket missed one."""
        listeners, to = (self.plain, inbox(0)) if plain else (self.deflate, TO_ALL)
        listeners.begin()
        number = 0
        pids = (self.relays.door_out.pid, self.relays.door_in.pid, self.relays.redis.pid)
        out, taking_in, redis = (Meter(pid) for pid in pids)
        with out, taking_in, redis:
            for _ in range(messages):
                number = next(self._numbers)
                self._poster.post(mail.numbered(number), to)
                listeners.wait_for_each()
        size = listeners.verify(each=messages, last=number)
        out_us, in_us, redis_us = (meter.cpu_ns / messages / 1000 for meter in (out, taking_in, redis))
        return Burst(out_us, in_us, redis_us, size)


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "permessage-deflate",
        f"µs of CPU per delivery to {_SOCKETS:,} sockets: a mail of 10 KB, compressed; a mail whose plain frame has"
        " the size of that one's compressed frame; and the first mail in plain frames. The last column counts taking"
        " in and Redis too. Size is that of the frame's payload.",
        (
            "frames",
            "size",
            "messages",
            "µs per delivery",
            "µs of Redis per message",
            "µs per delivery, all counted",
        ),
    )
    with Lab() as lab:
        bench = Bench(lab)
        extensions = bench.deflate.grow(_SOCKETS).extensions
        if "permessage-deflate" in extensions:
            section.notes.append(f"answered: {extensions}")
            _compare(plan, section, bench)
        else:
            section.notes.append("permessage-deflate: declined")
            section.rows.append(("deflate", "declined", "–", "–", "–", "–"))
    return [section]


def _compare(plan: Plan, section: Section, bench: Bench) -> None:
    bench.plain.grow(_SOCKETS)
    mail = text_mail(_MAIL_BYTES)
    overhead_bytes = bench.burst(plain_mail(0), plain=True, messages=1).size_bytes
    size_bytes = bench.burst(mail, plain=False, messages=1).size_bytes
    turns = [
        Turn("deflate", mail, plain=False),
        Turn("plain", mail_for_frame(size_bytes, overhead_bytes), plain=True),
        Turn("not compressed", mail, plain=True),
    ]
    for _ in range(plan.repeats + 1):  # the first warms up
        for turn in turns:
            turn.bursts.append(bench.burst(turn.mail, plain=turn.plain))
    for turn in turns:
        bursts = turn.bursts[1:]
        delivery = section.readings[f"deflate.{turn.name}"] = Reading.of([each.delivery_us for each in bursts])
        whole = section.readings[f"deflate.{turn.name}.whole"] = Reading.of([each.whole_us for each in bursts])
        redis = Reading.of([each.redis_us for each in bursts]).text(0)
        cells = (f"{bursts[-1].size_bytes:,} B", f"{_MESSAGES}", delivery.text(2), redis, whole.text(2))
        section.rows.append((turn.name, *cells))
