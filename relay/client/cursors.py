"""Where a listener stands: the last message of each inbox, and a time for inboxes of which it has none.

The time is the one at which it began, by the server's clock: an inbox without a cursor has got nothing since then. Not
all cursors fit into a URL; then the newest go into it, and the time becomes that of the oldest that does not. Messages
that come again for it are dropped, so all cursors are kept.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from relay.message_id import TAG_HEX, BadMessageId, MessageId

VERSION = 1  # of what dump() gives
_MAX_WORDS = 1000  # in ``since``, RELAY's limit
_MAX_CURSORS = 100_000  # the one that has been quiet for longest goes first
_MAX_RECENT = 1000  # messages known by name, for an inbox whose count began anew
_ORDER_MS = 1000  # messages of several inboxes come oldest first, but for so much
_CLOCKS_MS = 5000  # the clocks of a service and its Redis may differ by so much
_AGE = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class BadCursors(ValueError):
    """What was kept is not what :meth:`Cursors.dump` gives."""


class _Cursor(NamedTuple):
    inbox: str  # "" = not known yet: the caller gave the ``_id`` alone
    last: MessageId


class Cursors:
    """Of one listener. Knows no clock: it is told how long ago the listener began to try."""

    def __init__(self, since: str = "") -> None:
        """``since``: as the server takes it. What is not understood here is left to the server to judge."""
        self._by_tag: OrderedDict[str, _Cursor] = OrderedDict()  # in order of their last message
        self._recent: OrderedDict[MessageId, None] = OrderedDict()
        self._since_ms: int | None = None  # Unix time; None = it did not begin yet
        self._age_seconds: int | None = None  # as given; until it has begun
        self._other_words: list[str] = []
        self._sent_ms = 0  # the time last asked for in place of cursors; 0 = all went into the URL
        self._complete_ms = 0  # all that is older has come
        for word in filter(None, map(str.strip, since.split(","))):
            self._add(word)

    def _add(self, word: str) -> None:
        if age := _AGE.fullmatch(word):
            self._age_seconds = int(age[1]) * _UNIT_SECONDS[age[2]]
            return
        try:
            message = MessageId.parse(word)
            self._by_tag[message.tag] = _Cursor("", message)
        except BadMessageId:
            self._other_words.append(word)

    @classmethod
    def restore(cls, dumped: Any, *, listens: Callable[[str], bool]) -> Cursors:
        """What :meth:`dump` gave, less the inboxes that are not listened to any more. Raises BadCursors."""
        cursors = cls()
        match dumped:
            case {"version": 1, "since": str(since), "cursors": dict(by_inbox)}:
                cursors._since_ms = _moment_ms(since)
            case _:
                raise BadCursors("it is not of this program, or of another version")
        for inbox, text in by_inbox.items():
            try:
                last = MessageId.parse(text)
            except (BadMessageId, TypeError):
                raise BadCursors(f"it has no _id for {inbox}") from None
            if "@" not in inbox:
                cursors._by_tag[last.tag] = _Cursor("", last)
            elif listens(inbox):
                cursors._by_tag[last.tag] = _Cursor(inbox, last)
        return cursors

    def dump(self) -> Mapping[str, Any] | None:
        """As JSON has it; None when it did not begin yet, and there is nothing to keep."""
        if self._since_ms is None:
            return None
        cursors = {cursor.inbox or tag: str(cursor.last) for tag, cursor in self._by_tag.items()}
        return {"version": VERSION, "since": _moment(self._since_ms), "cursors": cursors}

    def began(self, server_ms: int, *, tried_seconds: float) -> None:
        """The server listens, at this time of its clock; ``tried_seconds`` after ``since`` was given."""
        if self._since_ms is not None:
            return
        now_ms = server_ms - _CLOCKS_MS
        if self._age_seconds is not None:
            since_ms = now_ms - int((self._age_seconds + tried_seconds) * 1000)
        elif self._other_words:
            since_ms = _try_moment_ms(self._other_words[0]) or now_ms
        else:
            since_ms = min((cursor.last.ms for cursor in self._by_tag.values()), default=now_ms)
        self._since_ms = max(min(since_ms, now_ms), 0)

    def has(self, message: MessageId) -> bool:
        """Whether it was taken before."""
        cursor = self._by_tag.get(message.tag)
        return (cursor is not None and message.repeats(cursor.last)) or message in self._recent

    def take(self, message: MessageId, inbox: str) -> None:
        """The consumer has it."""
        self._by_tag[message.tag] = _Cursor(inbox, message)
        self._by_tag.move_to_end(message.tag)
        self._recent[message] = None
        if len(self._recent) > _MAX_RECENT:
            self._recent.popitem(last=False)
        if len(self._by_tag) > _MAX_CURSORS:
            _, dropped = self._by_tag.popitem(last=False)
            self._since_ms = max(self._since_ms or 0, dropped.last.ms)

    def forget(self, message: str) -> None:
        """The server knows nothing of that message's inbox any more: whatever it has later is new."""
        self._by_tag.pop(message[:TAG_HEX], None)

    def cut_short(self, reached_ms: int) -> bool:
        """The replay ended early, behind a message of that time. Whether the next one would begin later for it."""
        self._complete_ms = max(self._complete_ms, reached_ms - _ORDER_MS)
        return 0 < self._sent_ms < self._complete_ms

    def since(self, *, max_chars: int, tried_seconds: float) -> str:
        """``since`` for a URL, escaped; "" when there is nothing to ask for."""
        words: list[str] = []
        left_out_ms: list[int] = []
        for cursor in reversed(self._by_tag.values()):
            word = str(cursor.last)
            max_chars -= len(word) + 1
            if left_out_ms or max_chars < 0 or len(words) == _MAX_WORDS - 1:
                left_out_ms.append(cursor.last.ms)
            else:
                words.append(word)
        self._sent_ms = max(self._since_ms or 0, min(left_out_ms), self._complete_ms) if left_out_ms else 0
        words += self._time_words(tried_seconds)
        return quote(",".join(words), safe=",:")

    def _time_words(self, tried_seconds: float) -> list[str]:
        if self._sent_ms:
            return [_moment(self._sent_ms)]
        if self._since_ms is not None:
            return [_moment(self._since_ms)]
        if self._age_seconds is not None:
            return [f"{self._age_seconds + math.ceil(tried_seconds)}s"]
        return self._other_words


def _moment(ms: int) -> str:
    """RFC 3339, rounded to the millisecond by the server."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment_ms(text: str) -> int:
    moment_ms = _try_moment_ms(text)
    if moment_ms is None:
        raise BadCursors("its time is none")
    return moment_ms


def _try_moment_ms(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
