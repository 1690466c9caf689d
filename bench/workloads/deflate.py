"""permessage-deflate: a 10 KB mail to 1,000 sockets that negotiated it, against plain frames of the same size.

A text mail of 10 KB goes to sockets that offered the extension (RFC 7692, no context takeover on both sides); in
turns with it, to 1,000 plain sockets of the same process, a mail whose frame is as long as that one's compressed
frame. The ratio of the two is what compression adds, done once per message. Listeners inflate what they get (equal
frames once) to verify it. A service that declines the extension is said to.
"""

from __future__ import annotations

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


class Bench:
    """A relay whose sockets are half deflate (listening to ``TO_ALL``), half plain (to ``inbox(0)``)."""

    def __init__(self, lab: Lab) -> None:
        self.relays = Relays(lab, addresses=1)
        port = self.relays.door_out.port
        self.deflate = Listeners(lab, port, listen(TO_ALL, deflate=True))
        self.plain = Listeners(lab, port, listen(inbox(0)))
        self._poster = Poster(self.relays.door_in)
        self._numbers = count(1)

    def burst(self, mail: Mail, *, plain: bool, messages: int = _MESSAGES) -> tuple[float, int]:
        """µs of CPU per delivery, and bytes of a frame's payload. Raises Broken when a socket missed one."""
        listeners, to = (self.plain, inbox(0)) if plain else (self.deflate, TO_ALL)
        listeners.begin()
        number = 0
        with Meter(self.relays.door_out.pid) as meter:
            for _ in range(messages):
                number = next(self._numbers)
                self._poster.post(mail.numbered(number), to)
                listeners.wait_for_each()
        size = listeners.verify(each=messages, last=number)
        return meter.cpu_ns / messages / listeners.count / 1000, size


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "permessage-deflate",
        f"µs of CPU per delivery to {_SOCKETS:,} sockets: a mail of 10 KB, compressed, and a mail whose"
        " plain frame has the size of that one's compressed frame. Size is that of the frame's payload.",
        ("frames", "size", "messages", "µs per delivery"),
    )
    with Lab() as lab:
        bench = Bench(lab)
        extensions = bench.deflate.grow(_SOCKETS).extensions
        if "permessage-deflate" in extensions:
            section.notes.append(f"answered: {extensions}")
            _compare(plan, section, bench)
        else:
            section.notes.append("permessage-deflate: declined")
            section.rows.append(("deflate", "declined", "–", "–"))
    return [section]


def _compare(plan: Plan, section: Section, bench: Bench) -> None:
    bench.plain.grow(_SOCKETS)
    mail = text_mail(_MAIL_BYTES)
    _, overhead_bytes = bench.burst(plain_mail(0), plain=True, messages=1)
    _, size_bytes = bench.burst(mail, plain=False, messages=1)
    same = mail_for_frame(size_bytes, overhead_bytes)
    runs = [
        (bench.burst(mail, plain=False), bench.burst(same, plain=True))
        for _ in range(plan.repeats + 1)  # the first warms up
    ][1:]
    for place, name in enumerate(("deflate", "plain")):
        reading = Reading.of([run[place][0] for run in runs])
        section.readings[f"deflate.{name}"] = reading
        section.rows.append((name, f"{runs[-1][place][1]:,} B", f"{_MESSAGES}", reading.text(2)))
