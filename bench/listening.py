"""The side of the experiment that listens: a handle for one process of ``bench.listeners``."""

from __future__ import annotations

from dataclasses import dataclass

from bench.child import Broken, Child, Lab
from bench.wire import Hello

IN_FLIGHT = 64  # handshakes at once
NAP_MS = 1.0
_OPEN_SECONDS = 90.0
_FRAMES_SECONDS = 60.0
_NO_HELLO = Hello()


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening took."""

    seconds: float
    extensions: str  # Sec-WebSocket-Extensions of the last answer


class Listeners:
    """Sockets 0 to ``count - 1``, all of one service."""

    def __init__(self, lab: Lab, port: int, request: str, hello: Hello = _NO_HELLO) -> None:
        self.child: Child = lab.python("bench.listeners")
        self.count = 0
        self._port = port
        self._request = request
        self._hello = hello
        self._frames = 0

    def grow(self, count: int) -> Opened:
        """Opens more, until there are so many. Raises Broken when one did not open."""
        more = count - self.count
        answer = self.child.ask(
            "open", port=self._port, request=self._request, says=self._hello.says, answer=self._hello.answer,
            first=self.count, count=more, in_flight=IN_FLIGHT, seconds=_OPEN_SECONDS,
            within_seconds=_OPEN_SECONDS + 5,
        )  # fmt: skip
        self.count = count
        return Opened(answer["seconds"], answer["extensions"])

    def close_all(self) -> None:
        """Closes every socket; :meth:`grow` opens them anew."""
        self.child.ask("close")
        self.count = 0

    def begin(self, *, record: bool = False, nap_ms: float = NAP_MS) -> None:
        """Counts from zero; all sockets are still open."""
        self._frames = 0
        open_sockets = self.child.ask("begin", nap_ms=nap_ms, record=record)["sockets"]
        if open_sockets != self.count:
            raise Broken(f"{self.count - open_sockets} of {self.count} sockets are gone")

    def wait_for_each(self) -> None:
        """Returns when every socket has one more message. Raises Broken when that takes too long."""
        self.wait_for(self._frames + self.count)

    def wait_for(self, frames: int) -> None:
        """Returns when so many frames have come to all sockets together since :meth:`begin`."""
        self._frames = frames
        self.child.ask("wait", frames=frames, seconds=_FRAMES_SECONDS, within_seconds=_FRAMES_SECONDS + 5)

    def verify(self, *, each: int, last: int) -> int:
        """Raises Broken unless every socket got ``each`` messages in order; returns bytes of a frame's payload."""
        answer = self.child.ask("verify", each=each, last=last)
        if answer["bad"]:
            raise Broken(f"{answer['bad']} of {self.count} sockets did not get {each} messages in order")
        return int(answer["payload_bytes"]) // (each * self.count)

    def arrivals(self) -> list[tuple[int, int, int]]:
        """Socket index, message number and time (CLOCK_MONOTONIC, ns) of each message since :meth:`begin`."""
        return [(index, number, at_ns) for index, number, at_ns in self.child.ask("arrivals")["arrivals"]]
