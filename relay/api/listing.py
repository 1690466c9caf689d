"""REST: what the calls that list messages have in common: their parameters, and their answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from relay.api.rest import Call, Json, iso, public_path
from relay.errors import BadRequest
from relay.mailbox import Listing, MessageSummary, Wanted
from relay.message_id import BadMessageId, MessageId

LIMIT, MOST = 20, 1000  # messages of an answer, as Mailsac's
MOST_SKIPPED = 9000
TRUNCATED = "Relay-Truncated"  # header of an answer for which not all could be looked at
_TOO_MUCH = "more mail than can be looked at for one answer; narrow the question, or go on with `until`"
_DIGITS = re.compile(r"[0-9]{1,9}")
_UNIX_MS = re.compile(r"[0-9]{11,15}")


def limit(call: Call) -> int:
    """How many messages are asked for. Raises BadRequest."""
    return _number(call, "limit", LIMIT, MOST)


def skip(call: Call, most: int = MOST_SKIPPED) -> int:
    """How many of the first to leave out. Raises BadRequest."""
    return _number(call, "skip", 0, most)


def next_page(call: Call, path: str, **parameters: int) -> dict[str, str]:
    """The header that names the page behind this one (RFC 8288), relative to the host: a proxy may have another."""
    return {"link": f'<{public_path(call, path)}?{urlencode(parameters)}>; rel="next"'}


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = call.request.query_params.get(name, "")
    if not text:
        return default
    if not _DIGITS.fullmatch(text) or int(text) > most:
        raise BadRequest(f"{name} is a number from 0 to {most}", member=name)
    return int(text)


def before(call: Call) -> MessageId | None:
    """``until`` where it names a message."""
    try:
        return MessageId.parse(call.request.query_params.get("until", ""))
    except BadMessageId:
        return None


def until(call: Call) -> Wanted:
    """``until`` where it is a time: what was received later is not wanted. Raises BadRequest."""
    moment_ms = None if before(call) else time_ms(call, "until")
    if moment_ms is None:
        return lambda _entry: True
    latest = iso(moment_ms)
    return lambda entry: str(entry.members["received"]) <= latest


def time_ms(call: Call, name: str) -> int | None:
    """A time of the query as Unix milliseconds; None when it is not given. Raises BadRequest."""
    text = call.request.query_params.get(name, "").strip()
    if not text:
        return None
    if _UNIX_MS.fullmatch(text):
        return min(int(text), _LAST_MS)
    # "+" in a query is a blank.
    zoned = re.sub(r"(?<=\d) (?=\d\d:?\d\d$)", "+", text) if "T" in text else text
    try:
        moment = datetime.fromisoformat(zoned)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, min(round(moment.timestamp() * 1000), _LAST_MS))
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{name} is a date or time such as 2026-01-31 or 2026-01-31T12:00:00.000Z, or Unix milliseconds",
            member=name,
        ) from None


_LAST_MS = 253_402_300_799_999  # the last that ISO 8601 writes with four digits of year


def shown(listing: Listing) -> list[dict[str, Any]]:
    """The messages of an answer."""
    return [entry.members for entry in listing.entries]


def answer(content: Any, listing: Listing) -> Response:
    """An answer with messages; a header says when there was too much to look through all."""
    headers = {} if listing.whole else {TRUNCATED: _TOO_MUCH}
    return Json(content, headers=headers)


def holds(entry: MessageSummary, member: str, text: str) -> bool:
    """Whether an address of ``from`` or ``to``, or the subject, has the text in it; the case does not matter."""
    value = entry.members[member]
    words = [value] if isinstance(value, str) else [one["address"] for one in value]
    return any(text.casefold() in word.casefold() for word in words)
