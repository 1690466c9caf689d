"""The side of the experiment that posts: a handle for one process of ``bench.senders``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.child import Broken, Lab
from bench.mail import Mail

_WITHIN_SECONDS = 70.0
_NO_MAIL = Mail(b"")
_files = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Door:
    """Where and how a service takes messages in. "{to}" in ``head`` and ``before`` becomes the recipient."""

    port: int
    head: str  # of the request, without Content-Length and the empty line
    before: str = ""  # of the body, in front of the mail
    after: str = ""  # behind it
    expect: str = ""  # what a good answer holds, beside a status of 2xx


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a row of posts; every one was answered as it should be."""

    seconds: float
    late_ns: int  # how late posts left against the schedule, 99th percentile
    longest_ns: int  # from a post's time in the schedule to its answer
    plan: list[tuple[int, int]]  # of each post, in order: recipient's place in ``to``, time in the schedule (ns)


class Senders:
    """Posts numbered mails; no two of a lab's have the same number."""

    def __init__(self, lab: Lab) -> None:
        self._child = lab.python("bench.senders")
        self._folder = lab.folder
        self._written: dict[Mail, Path] = {}
        self._next = 1
        self._posting = 0

    @property
    def next_number(self) -> int:
        """Of the mail that is posted next."""
        return self._next

    def post(
        self,
        door: Door,
        *,
        count: int,
        connections: int,
        mail: Mail = _NO_MAIL,
        to: Sequence[str] = (),
        rate: float = 0.0,
        each_its_own: bool = False,
        want_plan: bool = False,
    ) -> Posted:
        """``rate``: posts a second by schedule; 0 = each connection as fast as it is answered.

        ``each_its_own``: every post has a connection of its own, closed when it is answered. Raises Broken when an
        answer was not as the door says.
        """
        self.start(
            door, count=count, connections=connections, mail=mail, to=to, rate=rate, each_its_own=each_its_own,
            want_plan=want_plan,
        )  # fmt: skip
        return self.finish()

    def start(
        self,
        door: Door,
        *,
        count: int,
        connections: int,
        mail: Mail = _NO_MAIL,
        to: Sequence[str] = (),
        rate: float = 0.0,
        each_its_own: bool = False,
        want_plan: bool = False,
    ) -> None:
        """:meth:`post` up to its waiting."""
        self._child.tell(
            "post", door=asdict(door), mail=str(self._file(mail)), to=list(to), first=self._next, count=count,
            connections=connections, rate=rate, each_its_own=each_its_own, want_plan=want_plan,
        )  # fmt: skip
        self._next += count
        self._posting = count

    def finish(self) -> Posted:
        """The rest of :meth:`post`."""
        answer = self._child.answer(within_seconds=_WITHIN_SECONDS)
        if answer["bad"]:
            raise Broken(f"{answer['bad']} of {self._posting} posts failed, such as: {answer['unexpected']}")
        plan = [(place, due_ns) for place, due_ns in answer["plan"]]
        return Posted(answer["seconds"], answer["late_ns"], answer["longest_ns"], plan)

    def _file(self, mail: Mail) -> Path:
        """A mail's template as a file: one of 20 MB does not go through a pipe as JSON."""
        if mail not in self._written:
            self._written[mail] = self._folder / f"{next(_files)}.mail"
            self._written[mail].write_bytes(mail.template)
        return self._written[mail]
