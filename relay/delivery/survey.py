"""Which sockets of an account are open now, over all processes.

Nobody keeps a list for the day on which somebody asks: the process that is asked rings ``keys.SURVEY``, every process
answers on the channel of the one that asked, and what has come within a second is the answer. So a socket costs nothing
while nobody looks; a look costs each process one walk over its sockets, if the account has any there, and at most once
a second for each account, however often it is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from relay.delivery.bus import Bus
from relay.delivery.doorbells import SurveyReply, SurveyRequest
from relay.delivery.hub import Hub
from relay.delivery.letter import Listener
from relay.errors import Unavailable
from relay.store import keys

log = structlog.get_logger()

_ANSWER_SECONDS = 1.0  # a process that has not answered by then is busy, or gone
_CLUSTER_SECONDS = 0.4  # a cluster does not say how many processes there are, so nobody knows who is missing
_FRESH_SECONDS = 1.0
# As small as doorbells (see bus.py): what an account can have too many of must not cut off those who listen.
_ANSWER_BYTES = 60 * 1024
_QUESTIONS = 100  # that wait for our answer; more are not answered
_NAME_LENGTH = 8  # of a process, as clients see it; host names are nobody's business but the operator's
_SHOWN = 1000  # sockets in one answer to a client


@dataclass(frozen=True, slots=True)
class Seen:
    """The sockets of an account, oldest first; ``total`` counts those that are too many to show as well."""

    sockets: list[dict[str, Any]]
    total: int


@dataclass(slots=True)
class _Question:
    """One that is on its way."""

    missing: int | None = None  # answers; None = it is not known how many there will be
    answers: list[dict[str, Any]] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, answer: dict[str, Any]) -> None:
        self.answers.append(answer)
        self.check()

    def check(self) -> None:
        if self.missing is not None and len(self.answers) >= self.missing:
            self.complete.set()


@dataclass(slots=True)
class _Look:
    """The last look at an account; who comes meanwhile waits for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: Seen | None = None
    until: float = 0.0  # event loop time to which ``seen`` is fresh


class Survey:
    """Asks, and answers for the sockets of this process."""

    def __init__(self, bus: Bus, hub: Hub, *, process: str) -> None:
        """``process`` names this process among the others."""
        self._bus = bus
        self._hub = hub
        self._process = process
        self._name = process[:_NAME_LENGTH]
        self.channel = keys.survey_answers(process)
        self._asked = 0
        self._questions: dict[int, _Question] = {}
        self._looks: dict[str, _Look] = {}
        self._to_answer: dict[SurveyRequest, None] = {}
        self._now = asyncio.Event()

    # Asking.

    async def sockets(self, account: str) -> Seen:
        """The sockets of an account, at most a second old. Raises Unavailable: Redis is away."""
        look = self._looks.setdefault(account, _Look())
        async with look.lock:
            now = asyncio.get_running_loop().time()
            if look.seen is None or look.until < now:
                self._forget_old(now)
                look.seen = _seen(await self._ask(account))
                look.until = asyncio.get_running_loop().time() + _FRESH_SECONDS
                self._looks[account] = look
            return look.seen

    def _forget_old(self, now: float) -> None:
        for account, look in list(self._looks.items()):
            if look.until < now and not look.lock.locked():
                del self._looks[account]

    async def _ask(self, account: str) -> list[dict[str, Any]]:
        self._asked += 1
        number, question = self._asked, _Question()
        self._questions[number] = question
        try:
            asked = SurveyRequest(self._process, number, account)
            question.missing = await self._bus.announce(keys.SURVEY, asked.encode())
            question.check()
            limit = _CLUSTER_SECONDS if question.missing is None else _ANSWER_SECONDS
            try:
                async with asyncio.timeout(limit):
                    await question.complete.wait()
            except TimeoutError:
                log.debug("survey.incomplete", answers=len(question.answers), of=question.missing)
        finally:
            del self._questions[number]
        return question.answers

    def told(self, told: SurveyReply) -> None:
        """An answer to one of our questions, perhaps too late."""
        if (question := self._questions.get(told.number)) is not None:
            question.take(orjson.loads(told.answer))

    # Answering.

    def asked(self, asked: SurveyRequest) -> None:
        """Somebody asks; :meth:`run` answers."""
        if len(self._to_answer) < _QUESTIONS:
            self._to_answer[asked] = None
            self._now.set()

    async def run(self) -> None:
        """Answers; never returns."""
        while True:
            await self._now.wait()
            self._now.clear()
            while self._to_answer:
                await self._answer(self._to_answer.popitem()[0])

    async def _answer(self, asked: SurveyRequest) -> None:
        told = SurveyReply(asked.number, self._own(asked.account))
        try:
            await self._bus.announce(keys.survey_answers(asked.asker), told.encode())
        except Unavailable:
            log.info("survey.unanswered")  # who asks does without; the link has its own probes

    def _own(self, account: str) -> bytes:
        """The sockets of this process as JSON; when they are too many those with the most waiting."""
        entries = [entry for one in self._hub.of_account(account) if (entry := self._entry(one))]
        shown: list[bytes] = []
        size = 0
        for entry in sorted(entries, key=lambda entry: -entry["waitingBytes"]):
            encoded = orjson.dumps(entry)
            size += len(encoded) + 1
            if size > _ANSWER_BYTES:
                break
            shown.append(encoded)
        return b'{"total":%d,"sockets":[%s]}' % (len(entries), b",".join(shown))

    def _entry(self, listener: Listener) -> dict[str, Any] | None:
        standing = listener.status()
        if standing is None:
            return None
        return {
            "id": f"{self._name}-{standing.opened_us:x}",
            "process": self._name,
            "opened": standing.opened_us // 1000,
            "addresses": sorted(listener.addresses),
            "domains": sorted(listener.domains),
            "frames": standing.frames,
            "client": standing.client,
            "waitingBytes": standing.waiting_bytes,
            "delivered": standing.delivered,
        }


def _seen(answers: list[dict[str, Any]]) -> Seen:
    sockets = [entry for answer in answers for entry in answer["sockets"]]
    sockets.sort(key=lambda entry: (entry["opened"], entry["id"]))
    return Seen(sockets[:_SHOWN], sum(answer["total"] for answer in answers))
