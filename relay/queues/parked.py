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
from typing import Any

import orjson

from relay.errors import TooLarge, Unavailable
from relay.store import Command, Store, keys

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
        arguments = (post_id, provider, _ms(received), _shown(reason), head, len(body), len(head) + len(body))
        displaced = await self._ask(
            ("EVAL", _ADD, 3, *_keys(post_id), MAX_ENTRIES, MAX_BYTES, *arguments, body), durable=True
        )
        return post_id, int(displaced)

    async def list(self) -> list[ParkedPost]:
        """All, oldest first."""
        rows = await self._ask(("XRANGE", keys.PARKED, "-", "+"))
        return [_entry(place, fields) for place, fields in rows]

    async def body(self, post: ParkedPost) -> bytes | None:
        """The bytes; None when it is there no more."""
        body: bytes | None = await self._ask(("GET", keys.parked_body(post.id)))
        return body

    async def drop(self, post: ParkedPost) -> bool:
        """Forgets one. False: it was gone already."""
        weight = len(orjson.dumps(post.headers)) + post.size_bytes
        return bool(await self._ask(("EVAL", _DROP, 3, *_keys(post.id), post.place, weight), durable=True))

    async def _ask(self, command: Command, *, durable: bool = False) -> Any:
        [reply] = await self._store.ask(command, durable=durable)
        if isinstance(reply, Exception):
            raise Unavailable(f"Redis refused ({str(reply).partition(' ')[0]}); try again") from reply
        return reply


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


def _shown(reason: str) -> str:
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


# KEYS  1 stream, 2 bytes of all entries and bodies, 3 body of this one
# ARGV  1 entries kept, 2 bytes kept, 3 id, 4 provider, 5 received (ms), 6 reason, 7 headers, 8 bytes of the body,
#       9 bytes that it counts for, 10 body
# Returns how many older ones it displaced.
_ADD = """
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[3], ARGV[10])
redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'sender', ARGV[4], 'received', ARGV[5], 'reason', ARGV[6],
           'headers', ARGV[7], 'size', ARGV[8], 'weight', ARGV[9])
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') + tonumber(ARGV[9])
local displaced = 0
while redis.call('XLEN', KEYS[1]) > tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  local fields = {}
  for at = 1, #oldest[2], 2 do fields[oldest[2][at]] = oldest[2][at + 1] end
  if fields['id'] == ARGV[3] then bytes = tonumber(ARGV[9]) break end
  redis.call('DEL', KEYS[1] .. ':' .. fields['id'])
  redis.call('XDEL', KEYS[1], oldest[1])
  bytes = bytes - tonumber(fields['weight'])
  displaced = displaced + 1
end
redis.call('SET', KEYS[2], string.format('%.0f', bytes))
return displaced
"""

# KEYS  as above
# ARGV  1 entry of the stream, 2 bytes that it counts for
# Returns whether it was there.
_DROP = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') - tonumber(ARGV[2])
redis.call('SET', KEYS[2], string.format('%.0f', math.max(bytes, 0)))
return 1
"""
