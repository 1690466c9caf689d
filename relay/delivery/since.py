"""``since``: where a client that comes back stood.

A comma list of ``_id``s, one of each inbox, or a time, or both. A time is an age (``90s``, ``10m``, ``7d``) or a
moment (RFC 3339); it counts for the inboxes of which no ``_id`` is given. Without one, those are read from the time of
the oldest ``_id`` on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from relay.delivery.replay import Resume
from relay.message_id import BadMessageId, MessageId
from relay.store import keys

MAX_IDS = 1000
_CLOCKS_DIFFER_MS = 60_000  # a client's clock may be ahead of ours
_AGE = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[ +-]\d\d:\d\d)", re.ASCII)


class BadSince(ValueError):
    """The text says what is wrong, for the client."""


def parse(values: Iterable[str], addresses: Collection[str], *, whole_domains: bool, now_ms: int) -> Resume | None:
    """None when nothing is given. ``whole_domains``: inboxes beside ``addresses`` may be meant. Raises BadSince."""
    words = [word for value in values for word in map(str.strip, value.split(",")) if word]
    if not words:
        return None
    if len(words) > MAX_IDS:
        raise BadSince(f"{len(words)} values; the limit is {MAX_IDS}: give one _id of each inbox, or a time")
    messages: dict[str, MessageId] = {}
    moments: list[int] = []
    for word in words:
        moment_ms = _moment_ms(word, now_ms)
        if moment_ms is not None:
            moments.append(moment_ms)
            continue
        message = _message(word)
        older = messages.get(message.tag, message)  # of two of one inbox: rather twice than never
        messages[message.tag] = min(message, older, key=lambda one: (one.ms, one.seq))
    if len(moments) > 1:
        raise BadSince("more than one time; give one, for the inboxes of which you give no _id")
    if not whole_domains:
        _refuse_strangers(messages.values(), addresses)
    oldest_ms = min(message.ms for message in messages.values()) if messages else 0
    return Resume(tuple(messages.values()), moments[0] if moments else oldest_ms)


def _refuse_strangers(messages: Iterable[MessageId], addresses: Collection[str]) -> None:
    tags = {keys.inbox_tag(address) for address in addresses}
    for message in messages:
        if message.tag not in tags:
            raise BadSince(f"{message} is not of an address that this socket listens to; leave it out")


def _message(word: str) -> MessageId:
    try:
        return MessageId.parse(word)
    except BadMessageId:
        shown = word[:60].encode("ascii", "replace").decode()
        raise BadSince(f"{shown} is no _id of a message, no age such as 10m, and no RFC 3339 time") from None


def _moment_ms(word: str, now_ms: int) -> int | None:
    """Unix time in milliseconds; None when the word is no time at all."""
    if age := _AGE.fullmatch(word):
        return max(now_ms - int(age[1]) * _UNIT_MS[age[2]], 0)
    if not _MOMENT.fullmatch(word):
        return None
    text = word.upper().replace("T", " ")
    text = text[:19] + text[19:].replace(" ", "+")  # "+" in a query is a blank
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadSince("there is no such date or time") from None
    ms = round(moment.timestamp() * 1000)
    if ms > now_ms + _CLOCKS_DIFFER_MS:
        raise BadSince("a time in the future; give one in the past, or leave it out")
    return max(ms, 0)
