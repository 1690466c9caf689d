"""Whom ``relay listen`` calls: the URL of a socket, and the key beside it rather than in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlunsplit

from relay.cli.network import split

_PATH = "/incoming-messages"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class BadTarget(ValueError):
    """The text is not the URL of a socket; says why, without the URL: a key may stand in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """``url`` holds no key, so that it may be shown and logged."""

    url: str
    key: str = field(repr=False)  # "" when the URL held none

    @property
    def short(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]


def parse(text: str, *, account: str = "", addresses: Sequence[str] = (), frames: str = "") -> Target:
    """The target that a URL names, with its query completed; what is given beside it wins.

    The URL may be a base URL (``https://relay.example.com``) or the whole one of a socket, key included.
    Raises BadTarget.
    """
    parts = _split(text)
    query = dict(parse_qsl(parts.query))
    key = query.pop("key", "")
    given = {"_id": account, "addresses": ",".join(addresses), "frames": frames}
    query |= {name: value for name, value in given.items() if value}
    if not query.get("addresses"):
        raise BadTarget("no addresses: give --addresses a@example.com,b@example.com")
    encoded = urlencode(query, quote_via=quote, safe="@,")
    path = parts.path if parts.path.strip("/") else _PATH
    return Target(urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, encoded, "")), key)


def _split(text: str) -> SplitResult:
    try:
        parts = split(text, _SCHEMES)
    except ValueError as error:
        raise BadTarget("the URL must be such as wss://relay.example.com or http://127.0.0.1:8000") from error
    if "@" in parts.netloc:
        raise BadTarget("the URL must hold no user and no password; the key goes into MAILSAC_KEY")
    return parts
