"""Dead letters: posts that a provider proved and nobody could read, kept for the operator until the parser is mended.

The oldest make room for the newest. Every call raises Unavailable when Redis is away: then the provider is told to come
again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from relay.errors import TooLarge
from relay.store import Script, Store, keys

_ADD, _DROP = (Script.load(f"queues/lua/parked_{name}.lua") for name in ("add", "drop"))

# Fixed, because they are no matter of taste: a thousand are more than anybody reads one by one, and 64 MiB, two of the
# largest mails with all that JSON adds, are what a small Redis can spare when a provider changes its format overnight.
MAX_ENTRIES = 1000
MAX_BYTES = 64 * 1024 * 1024

_REASON_CHARACTERS = 300
_ID = re.compile(r"[0-9a-f]{16}")
# What parsers read beside the body. Named one by one: a provider's own header may hold its secret under any name.
_KEPT_HEADERS = frozenset({"content-type", "webhook-id", "svix-id"})
_KEPT_PREFIX = "x-envelope-"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ParkedPost:
    """One dead letter, less its body."""

    id: str  # 16 hex digits, of provider, headers and body: what is posted again is parked once (see ``add``)
    provider: str
    received: datetime  # aware; when the request reached us
    reason: str  # why it cannot be read; no mail text
    headers: Headers  # names in lower case, values as latin-1
    size_bytes: int  # of the body
    place: str  # entry of the stream


class Parked:
    """All dead letters of a Redis."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self,
        provider: str,
        received: datetime,
        reason: str,
        headers: Headers,
        body: bytes,
        *,
        once: bool = False,
    ) -> tuple[str, int]:
        """Keeps one; its id, and how many older ones had to go. ``once``: of this provider and reason the first is kept
        and stands for all. Raises TooLarge: it is more than all may be."""
        head = orjson.dumps(headers)
        if len(head) + len(body) > MAX_BYTES:
            raise TooLarge(f"the post cannot be read ({reason}), and is too large to be kept for the operator")
        post_id = _id_of(provider, reason.encode(), b"") if once else _id_of(provider, head, body)
        arguments = (post_id, provider, _ms(received), _shortened(reason), head, len(body), len(head) + len(body))
        displaced = await self._store.run(
            _ADD, keys=_keys(post_id), args=(MAX_ENTRIES, MAX_BYTES, *arguments, body), durable=True
        )
        return post_id, int(displaced)

    async def list(self) -> list[ParkedPost]:
        """All, oldest first."""
        [rows] = await self._store.ask(("XRANGE", keys.PARKED, "-", "+"))
        return [_entry(place, fields) for place, fields in rows]

    async def body(self, post: ParkedPost) -> bytes | None:
        """The bytes; None when it is there no more."""
        body: bytes | None
        [body] = await self._store.ask(("GET", keys.parked_body(post.id)))
        return body

    async def drop(self, post: ParkedPost) -> bool:
        """Forgets one. False: it was gone already."""
        weight = len(orjson.dumps(post.headers)) + post.size_bytes
        return bool(await self._store.run(_DROP, keys=_keys(post.id), args=(post.place, weight), durable=True))


def is_id(text: str) -> bool:
    """Whether a dead letter may have this id."""
    return _ID.fullmatch(text) is not None


def kept(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of a post that are kept: what its parser reads, and nothing that proved it."""
    return tuple(
        (name, value) for name, value in headers if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIX)
    )


def _keys(post_id: str) -> tuple[str, str, str]:
    return keys.PARKED, keys.PARKED_BYTES, keys.parked_body(post_id)


def _id_of(provider: str, head: bytes, body: bytes) -> str:
    return hashlib.sha256(b"\0".join((provider.encode(), head, body))).hexdigest()[:16]


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _shortened(reason: str) -> str:
    return "".join(character if character.isprintable() else " " for character in reason)[:_REASON_CHARACTERS]


def _entry(place: bytes, fields: list[bytes]) -> ParkedPost:
    values = {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}
    return ParkedPost(
        id=values["id"].decode(),
        provider=values["sender"].decode(),
        received=datetime.fromtimestamp(int(values["received"]) / 1000, UTC),
        reason=values["reason"].decode(),
        headers=tuple((name, value) for name, value in orjson.loads(values["headers"])),
        size_bytes=int(values["size"]),
        place=place.decode(),
    )
