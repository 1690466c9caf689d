"""TXT records from the DNS, and in plain words why there are none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from relay.errors import ConfigError

TIMEOUT_SECONDS = 5.0
_DNS_PORT = 53
_AT_ONCE = 8
_MAX_WAITING = 64


class NoRecords(Exception):
    """The question has no usable answer; the text says why, to whoever set up the domain."""


class TxtResolver:
    """Asks ``servers`` (``host[:port]``), or those of the system when there are none."""

    def __init__(self, servers: Sequence[str], *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Raises ConfigError: a server is not ``host[:port]``."""
        self._servers = [_host_and_port(server) for server in servers]
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def strings(self, domain: str) -> list[bytes]:
        """The TXT values at exactly this domain; the parts of a long one are joined. Raises NoRecords.

        Questions take turns: each opens files of its own.
        """
        if self._waiting >= _MAX_WAITING:
            raise NoRecords(f"too many domains are being looked up; try {domain} again in a minute")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(domain)
        finally:
            self._waiting -= 1

    async def _ask(self, domain: str) -> list[bytes]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                resolver = await self._resolver()
                answer = await resolver.resolve(
                    f"{domain}.", dns.rdatatype.TXT, lifetime=self._timeout_seconds, search=False
                )
        except (dns.exception.DNSException, OSError, TimeoutError) as exc:
            raise NoRecords(_reason(domain, exc)) from exc
        # Behind an alias the record is that of another host, perhaps one of many tenants: no proof of this one.
        if answer.canonical_name != answer.qname:
            raise NoRecords(f"{domain} is an alias (CNAME); the TXT record must stand at the domain itself")
        return [b"".join(record.strings) for record in answer]

    async def _resolver(self) -> dns.asyncresolver.Resolver:
        if not self._servers:
            return dns.asyncresolver.Resolver()
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(await _ip(host), port) for host, port in self._servers
        ]
        return resolver


def _reason(domain: str, exc: Exception) -> str:
    match exc:
        case dns.resolver.NXDOMAIN():
            return f"the DNS has no domain {domain} (NXDOMAIN)"
        case dns.resolver.NoAnswer():
            return f"{domain} has no TXT record"
        case dns.exception.Timeout() | TimeoutError():
            return f"the DNS servers did not answer in time (timeout) for {domain}; try again"
        case _:
            return f"the DNS servers could not answer for {domain} ({type(exc).__name__}); try again"


def _host_and_port(server: str) -> tuple[str, int]:
    bare_ipv6 = server.count(":") > 1 and not server.startswith("[")
    try:
        parts = urlsplit(f"//[{server}]" if bare_ipv6 else f"//{server}")
        host, port = parts.hostname, parts.port or _DNS_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.netloc.endswith(":") or parts.path:
        raise ConfigError([f"RELAY_DNS_SERVERS: {server!r} is not host[:port]"])
    return host, port


async def _ip(host: str) -> str:
    """dnspython wants an IP address; in a cluster the server has a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return str(found[0][4][0])
