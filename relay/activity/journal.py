"""The streams in Redis: one for each account, one for the operator over all; capped in number and age, and expiring.

An entry is ``a``, the account ("" = nobody's), and ``e``, the event as JSON. Every call raises Unavailable when Redis
is away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import orjson

from relay.activity.backlog import Entry
from relay.activity.relevance import is_relevant
from relay.activity.sentences import sentence
from relay.errors import BadRequest, RelayError, Unavailable
from relay.store import Command, Store, keys

# Fixed, because they are no matter of taste: more than a person reads, at some 200 bytes each.
MAX_EVENTS = 1000  # of an account
MAX_EVENTS_OF_ALL = 10_000
BEGINNING = "0-0"  # the cursor before the first event

# Names of version 0.1 stay in Redis, where processes of it read them beside us, and we read theirs.
_SHOWN_AS = {"sender": "from", "door": "provider"}
_PAGE = 500
_CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class Spoilt(RelayError):
    """The operator's: a key of ours holds something else. Another try would end the same way."""


class BadCursor(BadRequest):
    """The text is no cursor of ours."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first, as JSON values."""

    events: list[dict[str, Any]]
    cursor: str  # behind everything that was looked at: with it as ``since`` the next page begins


class Journal:
    """All streams."""

    def __init__(self, store: Store, *, keep_seconds: int) -> None:
        """``keep_seconds``: an event is forgotten then, however few there are."""
        self._store = store
        self._keep_seconds = keep_seconds

    async def write(self, entries: Sequence[Entry]) -> None:
        """Adds them, in order, to the operator's stream, and to those of their accounts. After Unavailable some may
        be there. Raises Spoilt."""
        for reply in await self._store.ask_each(*self._commands(entries)):
            _checked(reply)

    def _commands(self, entries: Sequence[Entry]) -> Iterator[Command]:
        """One for all streams; on a cluster, where each has its own slot, one a stream."""
        by_account: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.account:
                by_account.setdefault(entry.account, []).append(entry)
        if not self._store.clustered:
            yield self._command([None, *by_account], entries)
            return
        yield self._command([None], entries)
        for account, some in by_account.items():
            yield self._command([account], some)

    def _command(self, accounts: Sequence[str | None], entries: Iterable[Entry]) -> Command:
        """All entries go to the stream of the first, and each to that of its account, if that is another."""
        streams = [_stream(account) for account in accounts]
        limits = (MAX_EVENTS_OF_ALL if account is None else MAX_EVENTS for account in accounts)
        number = {account: at for at, account in enumerate(accounts, 1)}
        events: Iterator[str | bytes | int] = chain.from_iterable(
            (number.get(entry.account, 1), entry.account, entry.encoded) for entry in entries
        )
        return ("EVAL", _WRITE, len(streams), *streams, self._keep_seconds, *limits, *events)

    async def page(
        self, account: str | None, *, limit: int, since: str = "", inbox: str = "", names_accounts: bool = False
    ) -> Page:
        """The newest ``limit`` events of an account (None: of all); with ``since``, a cursor, the first ones after it,
        so that who comes back for more misses none.

        ``inbox``: only those that concern a canonical address. ``names_accounts``: whose each is, is told. Raises
        BadCursor.
        """
        at = f"({_cursor(since)}" if since else "+"
        cursor, found = since or BEGINNING, list[dict[str, Any]]()
        count = _PAGE if inbox else min(limit, _PAGE)
        while True:
            rows = await self._rows(account, at, count, ascending=bool(since))
            for place, fields in rows:
                cursor = place if since or cursor == BEGINNING else cursor
                at = f"({place}"
                event = _event(place, fields, names_accounts=names_accounts)
                if event and (not inbox or is_relevant(inbox, event)):
                    found.append(event)
                    if len(found) == limit:
                        return Page(found[::-1] if since else found, cursor)
            if len(rows) < count:
                return Page(found[::-1] if since else found, cursor)

    async def _rows(
        self, account: str | None, at: str, count: int, *, ascending: bool
    ) -> list[tuple[str, dict[bytes, bytes]]]:
        stream = _stream(account)
        command: Command = ("XRANGE", stream, at, "+") if ascending else ("XREVRANGE", stream, at, "-")
        [reply] = await self._store.ask_each((*command, "COUNT", count))
        rows: list[tuple[bytes, list[bytes]]] = _checked(reply)
        return [(place.decode(), dict(zip(row[::2], row[1::2], strict=True))) for place, row in rows]


def _stream(account: str | None) -> str:
    return keys.ACTIVITY if account is None else keys.activity(account)


def _cursor(text: str) -> str:
    if not _CURSOR.fullmatch(text):
        raise BadCursor("since is not a cursor: give the cursor or the _id of an earlier answer", member="since")
    return text


def _event(place: str, fields: dict[bytes, bytes], *, names_accounts: bool) -> dict[str, Any] | None:
    """None for an entry that is none of ours."""
    try:
        kept: dict[str, Any] = orjson.loads(fields.get(b"e", b""))
        members = {_SHOWN_AS.get(name, name): value for name, value in kept.items() if value != ""}
        kind, when = str(members.pop("kind")), iso(int(members.pop("time")))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None
    head: dict[str, Any] = {"_id": place, "time": when, "kind": kind, "text": sentence(kind, members)}
    account = fields.get(b"a", b"").decode("utf-8", "replace")
    return head | ({"account": account} if names_accounts and account else {}) | members


def iso(unix_ms: int) -> str:
    """The time of an event as it is shown; such texts compare as their times do."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _checked(reply: Any) -> Any:
    if isinstance(reply, Exception) and "WRONGTYPE" in str(reply):
        raise Spoilt("a key of Recent Activity holds no stream; delete it")
    if isinstance(reply, Exception):
        raise Unavailable(f"Redis refused the activity ({str(reply).partition(' ')[0]}); try again") from reply
    return reply


# KEYS  streams
# ARGV  1 seconds kept, then for each stream how many are kept, then triples: number of a stream beside the first
#       (1: none), account, event
_WRITE = """
local keep_ms = tonumber(ARGV[1]) * 1000
for at = 2 + #KEYS, #ARGV, 3 do
  local number = tonumber(ARGV[at])
  redis.call('XADD', KEYS[1], '*', 'a', ARGV[at + 1], 'e', ARGV[at + 2])
  if number > 1 then redis.call('XADD', KEYS[number], '*', 'a', ARGV[at + 1], 'e', ARGV[at + 2]) end
end
local time = redis.call('TIME')
local oldest = math.max(tonumber(time[1]) * 1000 - keep_ms, 0)
for number, stream in ipairs(KEYS) do
  redis.call('XTRIM', stream, 'MAXLEN', '=', ARGV[1 + number])
  redis.call('XTRIM', stream, 'MINID', '=', string.format('%.0f-0', oldest))
  redis.call('PEXPIRE', stream, string.format('%.0f', keep_ms))
end
"""
