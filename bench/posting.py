"""The side of the experiment that posts: a handle for one process of ``bench.senders``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.child import Broken, Lab

_WITHIN_SECONDS = 70.0


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a row of posts; every one was answered as it should be."""

    seconds: float
    late_ns: int  # how late posts left against the schedule, 99th percentile
    plan: list[tuple[int, int]]  # of each post, in order: recipient's place in ``to``, time in the schedule (ns)


class Senders:
    """Posts numbered mails; no two of a lab's have the same number."""

    def __init__(self, lab: Lab) -> None:
        self._child = lab.python("bench.senders")
        self._next = 1

    @property
    def next_number(self) -> int:
        """Of the mail that is posted next."""
        return self._next

    def post(
        self,
        port: int,
        head: str,
        *,
        count: int,
        connections: int,
        mail: str = "",
        body: bytes = b"",
        to: Sequence[str] = (),
        rate: float = 0.0,
        expect: str = "",
        want_plan: bool = False,
    ) -> Posted:
        """``mail`` is one of bench.mail.MAILS, else ``body`` a mail's template; without both bodies are empty.

        ``rate``: posts a second by schedule; 0 = each connection as fast as it is answered. Raises Broken when an
        answer was not 200 or does not hold ``expect``.
        """
        answer = self._child.ask(
            "post", port=port, head=head, mail=mail, mail_hex=body.hex(), to=list(to), first=self._next,
            count=count, connections=connections, rate=rate, expect=expect, want_plan=want_plan,
            within_seconds=_WITHIN_SECONDS,
        )  # fmt: skip
        self._next += count
        if answer["bad"]:
            raise Broken(f"{answer['bad']} of {count} posts failed, such as: {answer['unexpected']}")
        plan = [(place, due_ns) for place, due_ns in answer["plan"]]
        return Posted(answer["seconds"], answer["late_ns"], plan)
