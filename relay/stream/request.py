"""What a client asks for when it opens ``/incoming-messages``: parsed once, whole or refused with the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from relay.address import BadAddress, canonical_address, canonical_domain, out_of_query
from relay.delivery import since
from relay.delivery.replay import Resume
from relay.errors import BAD_REQUEST, UNAUTHORIZED, Refused
from relay.stream.frames import FORMATS, Format

SUBPROTOCOL = "relay"
KEY_SUBPROTOCOL = "relay.key."
_MAX_QUERY_CHARS = 64 * 1024
_MAX_PARAMETERS = 1000  # lists are written with commas


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """Addresses and domains are canonical; ``account`` is the one that the client claims, None = none."""

    key_hash: str
    account: str | None
    addresses: frozenset[str]
    domains: frozenset[str]
    frames: Format
    resume: Resume | None  # where the client stood; None = it wants what comes from now on


def parse(connection: HTTPConnection, *, default_frames: Format, max_addresses: int, now_ms: int) -> ListenRequest:
    """Raises Refused (4400 or 4401). ``now_ms`` is Unix time."""
    if _is_too_long(connection):
        raise Refused(
            BAD_REQUEST,
            "the query is too long; listen to a domain, give one _id or a time as since, or open several sockets",
        )
    query = connection.query_params
    key = _key(connection)
    if not key:
        raise Refused(
            UNAUTHORIZED,
            "no key: give it as ?key=, in a Mailsac-Key or Authorization: Bearer header, or as WebSocket"
            " subprotocol relay.key.<key> beside relay",
        )
    addresses, domains = _listened(query.getlist("addresses"), max_addresses)
    try:
        resume = since.parse(query.getlist("since"), addresses, whole_domains=bool(domains), now_ms=now_ms)
    except since.BadSince as exc:
        raise Refused(BAD_REQUEST, f"since: {exc}") from exc
    return ListenRequest(
        key_hash=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest(),
        account=query.get("_id") or None,
        addresses=addresses,
        domains=domains,
        frames=_frames(query.get("frames"), default_frames),
        resume=resume,
    )


def asked_for(connection: HTTPConnection, *, max_addresses: int) -> frozenset[str]:
    """What a client that is refused wanted to listen to; nothing where that cannot be read. Canonical.

    Without what could be a key at the wrong place: it is kept with what happened.
    """
    if _is_too_long(connection):
        return frozenset()
    try:
        addresses, domains = _listened(connection.query_params.getlist("addresses"), max_addresses)
    except Refused:
        return frozenset()
    return addresses | {domain for domain in domains if "." in domain}


def _is_too_long(connection: HTTPConnection) -> bool:
    query: bytes = connection.scope.get("query_string", b"")
    return len(query) > _MAX_QUERY_CHARS or query.count(b"&") > _MAX_PARAMETERS


def _key(connection: HTTPConnection) -> str:
    """The first key that is given, in the order of the documentation."""
    return next((key for key in _keys(connection) if key), "")


def _keys(connection: HTTPConnection) -> Iterator[str]:
    yield connection.query_params.get("key", "")
    yield connection.headers.get("mailsac-key", "").strip()
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield token.strip()
    for name in connection.scope.get("subprotocols", ()):
        if name.startswith(KEY_SUBPROTOCOL):
            yield name.removeprefix(KEY_SUBPROTOCOL)


def _listened(values: list[str], max_addresses: int) -> tuple[frozenset[str], frozenset[str]]:
    names = [name for value in values for name in map(out_of_query, value.split(",")) if name]
    if not names:
        raise Refused(BAD_REQUEST, "no addresses: give ?addresses=a@example.com,b@example.com (or a domain)")
    if len(set(names)) > max_addresses:
        raise Refused(
            BAD_REQUEST,
            f"{len(set(names))} addresses on one socket; the limit is {max_addresses}:"
            " listen to a domain, or open several sockets",
        )
    try:
        addresses = frozenset(canonical_address(name) for name in names if "@" in name.removeprefix("@"))
        domains = frozenset(
            canonical_domain(name.removeprefix("@")) for name in names if "@" not in name.removeprefix("@")
        )
    except BadAddress as exc:
        raise Refused(BAD_REQUEST, f"addresses: {exc}") from exc
    return addresses, domains


def _frames(asked: str | None, default: Format) -> Format:
    if not asked:
        return default
    for known in FORMATS:
        if asked == known:
            return known
    raise Refused(BAD_REQUEST, "frames: must be message or envelope")
