"""A small DNS server on the loopback (UDP) that answers TXT questions as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"
_TTL_SECONDS = 0


@dataclass
class DnsServer:
    """``async with DnsServer() as dns: dns.txt["a.example"] = ["…"]``; what is not named is NXDOMAIN."""

    txt: dict[str, list[str]] = field(default_factory=dict)  # TXT values as in a zone file; [] is NOERROR, none
    aliases: dict[str, str] = field(default_factory=dict)  # CNAME: domain -> domain
    silent: set[str] = field(default_factory=set)  # never answered
    broken: set[str] = field(default_factory=set)  # SERVFAIL
    held: set[str] = field(default_factory=set)  # answered when let_go is called
    asked: list[str] = field(default_factory=list)
    port: int = 0
    _waiting: list[Callable[[], None]] = field(default_factory=list)
    _holding: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(HOST, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    async def was_asked(self) -> None:
        """Waits for a question for one of ``held``."""
        await self._holding.wait()

    def let_go(self) -> None:
        """Answers what was held back, with what is set by now."""
        self.held.clear()
        for answer in self._waiting:
            answer()

    @property
    def address(self) -> str:
        """For RELAY_DNS_SERVERS."""
        return f"{HOST}:{self.port}"

    def hold(self, wire: bytes, answer: Callable[[], None]) -> bool:
        """Whether the question waits for let_go."""
        if dns.message.from_wire(wire).question[0].name.to_text(omit_final_dot=True) not in self.held:
            return False
        self._waiting.append(answer)
        self._holding.set()
        return True

    def reply(self, wire: bytes) -> bytes | None:
        """The answer to one question; None: silence."""
        question = dns.message.from_wire(wire)
        name = question.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if name in self.silent:
            return None
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer.to_wire()
        self._fill(answer, name)
        return answer.to_wire()

    def _fill(self, answer: dns.message.Message, name: str) -> None:
        if (target := self.aliases.get(name)) is not None:
            answer.answer.append(dns.rrset.from_text(f"{name}.", _TTL_SECONDS, "IN", "CNAME", f"{target}."))
            name = target
        if name not in self.txt:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif self.txt[name]:
            answer.answer.append(dns.rrset.from_text(f"{name}.", _TTL_SECONDS, "IN", "TXT", *self.txt[name]))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is not a subclass

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._server.hold(data, lambda: self._answer(data, addr)):
            self._answer(data, addr)

    def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answer := self._server.reply(data)) is not None:
            self._transport.sendto(answer, addr)
