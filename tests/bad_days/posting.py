"""Senders: post mails that can be told apart, and remember how each was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2

from relay.message_id import MessageId
from tests.harness import ADDRESS, SECRET

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One post. Its ``token`` is the subject, so that it is known again whatever ``_id`` it gets."""

    token: str
    inbox: str
    status: int  # HTTP; 0 = there was no answer
    id: MessageId | None  # None = it was not accepted

    @property
    def accepted(self) -> bool:
        """Whether the sender was told that it need not come again."""
        return self.status == 200


class Poster:
    """``async with Poster(url) as poster``: posts to one service at a time, ``url`` may be changed."""

    def __init__(self, url: str, *inboxes: str, body: bytes = b"body", pause_seconds: float = 0) -> None:
        """``inboxes`` take turns. ``pause_seconds``: between two posts of a lane; 0 = as fast as answers come."""
        self.url = url
        self.mails: list[Mail] = []
        self.accepted = 0  # mails answered 200
        self._inboxes = inboxes or (ADDRESS,)
        self._body = body
        self._pause_seconds = pause_seconds
        self._number = 0
        self._answered = asyncio.Event()
        # Loading certificates for TLS that is not used would take longer than most tests.
        self._http = httpx2.AsyncClient(timeout=_ANSWER_SECONDS, verify=False, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @property
    def refused(self) -> int:
        """Mails answered with an error, or not at all."""
        return len(self.mails) - self.accepted

    @property
    def statuses(self) -> set[int]:
        """All answers so far."""
        return {mail.status for mail in self.mails}

    async def post(
        self, inbox: str = "", *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Mail:
        """Posts one new mail; an error is an answer, not raised."""
        self._number += 1
        return await self.post_again(f"mail {self._number}", inbox, body=body, headers=headers)

    async def post_again(
        self,
        token: str,
        inbox: str = "",
        *,
        url: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mail:
        """Posts a mail with a token of the caller's choice."""
        inbox = inbox or self._inboxes[len(self.mails) % len(self._inboxes)]
        head = f"From: sender@sender.test\r\nTo: {inbox}\r\nSubject: {token}\r\n\r\n".encode()
        fixed = {
            "authorization": f"Bearer {SECRET}",
            "content-type": "message/rfc822",
            "x-envelope-to": inbox,
        }
        try:
            answer = await self._http.post(
                f"{url or self.url}/inbound/raw",
                content=head + (self._body if body is None else body),
                headers={**fixed, **(headers or {})},
            )
        except httpx2.TransportError:
            mail = Mail(token, inbox, 0, None)
        else:
            accepted = answer.json()["accepted"] if answer.status_code == 200 else []
            mail = Mail(
                token, inbox, answer.status_code, MessageId.parse(accepted[0]["_id"]) if accepted else None
            )
        self.mails.append(mail)
        self.accepted += mail.accepted
        self._answered.set()
        return mail

    async def burst(self, count: int, *, lanes: int = 8) -> None:
        """Posts so many."""
        left = count

        async def lane() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await self.post()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(lanes):
                tasks.create_task(lane())

    async def mark(self, inbox: str = "") -> Mail:
        """Posts until one is accepted: behind it, everything that was accepted before must have arrived."""
        while True:
            mail = await self.post(inbox)
            if mail.accepted:
                return mail
            await asyncio.sleep(self._pause_seconds)

    @asynccontextmanager
    async def steadily(self, *, lanes: int = 4) -> AsyncIterator[None]:
        """Posts all the while; at the end every post has been answered."""
        done = asyncio.Event()

        async def lane() -> None:
            while not done.is_set():
                await self.post()
                await asyncio.sleep(self._pause_seconds)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(lanes):
                tasks.create_task(lane())
            try:
                yield
            finally:
                done.set()

    async def more_accepted(self, count: int) -> None:
        """Waits until so many more have been accepted."""
        wanted = self.accepted + count
        await self._until(lambda: self.accepted >= wanted)

    async def more_refused(self, count: int) -> None:
        """Waits until so many more have been refused, or cut off."""
        wanted = self.refused + count
        await self._until(lambda: self.refused >= wanted)

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._answered.clear()
            await self._answered.wait()
