"""Waiting for a mail: relay/api/wait.py. The most of it is a way to list messages, so messages.py takes it in."""

from __future__ import annotations

from relay.api.wait import MAX_SECONDS
from relay.reference.addresses import EMAIL
from relay.reference.schemas import TIME, listed, record, text
from relay.reference.vocabulary import Answer, Example, Operation, Parameter

SAYS = (
    "With `wait`, `since`, `subject`, `from` or `regex` it is a wait instead: it answers as soon as a message is there "
    "that came after `since` and has all that is asked for, oldest first. Nothing falls between two requests when the "
    "second has the cursor of the first."
)

_CONDITIONS = (
    Parameter("subject", "query", "text that its subject must have in it", text(examples=["order"])),
    Parameter("from", "query", "text that its sender's address or name must have in it", text()),
    Parameter(
        "regex",
        "query",
        "RE2 regular expression found in its subject, text or HTML, in the first 64 Ki characters of each",
        text(),
    ),
)
_SINCE = Parameter(
    "since", "query", "where to begin: an `_id`, an age (`10m`) or a time; all that is kept without", text()
)
PARAMETERS = (
    Parameter(
        "wait",
        "query",
        f"seconds to wait, {MAX_SECONDS} at most; for longer, ask again with the cursor",
        {"type": "number", "minimum": 0, "maximum": MAX_SECONDS, "default": 0},
    ),
    _SINCE,
    *_CONDITIONS,
)
HEADERS = {
    "Link": '`rel="next"`: where to wait on; `rel="near-misses"`: what came instead',
    "Relay-Cursor": "the `since` of the next wait: up to here all mail was looked at",
}
ANSWERS = (
    Answer(
        "nothing came that is wanted; `Link` says where to look for what came instead", None, 204, headers=HEADERS
    ),
)
ERRORS = (429,)

_MESSAGES = "/api/addresses/user1@mailsac.com/messages"
EXAMPLES = (
    Example(
        "wait",
        f"{_MESSAGES}?wait=30&subject=order&from=shop.example",
        "Wait for a mail: it was there already",
    ),
    Example("nothing", f"{_MESSAGES}?wait=0&subject=invoice", "Nothing came that is wanted"),
)

_OTHER = record(
    {
        "inbox": text("address for which the mail was"),
        "time": TIME,
        "text": text("what can be done, for a person"),
    },
    {"from": text("address that wrote the mail")},
)
_MISSES = record(
    {
        "inbox": text(),
        "nearMisses": listed("NearMiss"),
        "otherAddresses": {"type": "array", "items": _OTHER},
    }
)

OPERATIONS = (
    Operation(
        "GET",
        "/api/addresses/{email}/near-misses",
        "listNearMisses",
        "What came instead",
        "The newest messages after `since`, up to `until`, that were not wanted, oldest first, and how each differs. "
        "`otherAddresses` tells of mail that came meanwhile for addresses that look like this one: a +tag, dots. "
        "The `Link` of a wait that found nothing leads here.",
        (Answer("the messages", _MISSES),),
        (
            EMAIL,
            _SINCE,
            Parameter("until", "query", "the `_id` of the last message that counts", text()),
            *_CONDITIONS,
        ),
        examples=(Example("invoice", "/api/addresses/user1@mailsac.com/near-misses?subject=invoice"),),
    ),
)
