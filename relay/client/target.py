"""Whom a listener calls: the URL of a socket, and the key beside it rather than in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlunsplit

from relay.address import BadAddress, canonical_address, canonical_domain, domain_of, out_of_query
from relay.network import split

_PATH = "/incoming-messages"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class BadTarget(ValueError):
    """The text is not the URL of a socket; says why, without the URL: a key may stand in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """``url`` holds no key, so that it may be shown and logged."""

    url: str
    names: tuple[str, ...]  # addresses and domains, as given
    key: str = field(repr=False)  # "" when the URL held none
    since: str  # "" when the URL held none

    def listened(self) -> Callable[[str], bool]:
        """Tells of an inbox whether the names mean it."""
        canonical = {_canonical(name) for name in self.names}
        return lambda inbox: inbox in canonical or domain_of(inbox) in canonical


def parse(text: str, *, account: str = "", addresses: Sequence[str] = ()) -> Target:
    """The target that a URL names, with its query completed; what is given beside it wins.

    The URL may be a base URL (``https://example.com/relay``), or the whole one of a socket, key included: it ends with
    the path of one, or has addresses in its query.
    Raises BadTarget.
    """
    parts = _split(text)
    query = dict(parse_qsl(parts.query))
    names_in_url = "addresses" in query
    key = query.pop("key", "")
    since = query.pop("since", "")
    given = {"_id": account, "addresses": ",".join(addresses), "frames": "envelope"}
    query |= {name: value for name, value in given.items() if value}
    names = tuple(name for name in map(out_of_query, query.get("addresses", "").split(",")) if name)
    if not names:
        raise BadTarget("no addresses: name those to listen to, such as a@example.com, or a domain of yours")
    encoded = urlencode(query, quote_via=quote, safe="@,")
    path = parts.path.rstrip("/")
    if not (path.endswith(_PATH) or (path and names_in_url)):  # a base URL, which may have a path
        path += _PATH
    return Target(urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, encoded, "")), names, key, since)


def _split(text: str) -> SplitResult:
    try:
        parts = split(text, _SCHEMES)
    except ValueError as error:
        raise BadTarget("the URL must be such as wss://relay.example.com or http://127.0.0.1:8000") from error
    if "@" in parts.netloc:
        raise BadTarget("the URL must hold no user and no password; the key goes beside it")
    return parts


def _canonical(name: str) -> str:
    """As the server knows it; "" for a name that it will refuse."""
    name = name.removeprefix("@")
    try:
        return canonical_address(name) if "@" in name else canonical_domain(name)
    except BadAddress:
        return ""
