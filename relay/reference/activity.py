"""Recent Activity: relay/api/activity.py."""

from __future__ import annotations

from relay.activity.kinds import Kind
from relay.reference.schemas import TIME, number, record, text
from relay.reference.vocabulary import Answer, Example, Noun, Operation, Parameter

_EVENT = record(
    {
        "_id": text("its place; a cursor as well"),
        "time": TIME,
        "kind": text(enum=[kind.value for kind in Kind]),
        "text": text("what happened and, where something can be done, what"),
    },
    {
        "inbox": text(),
        "messageId": text("`_id` of the mail"),
        "from": text("address that wrote the mail"),
        "size": number("bytes of the mail"),
        "provider": text("path segment of the mail provider"),
        "duplicate": {"const": True},
        "sockets": number("that got it"),
        "waits": number("requests waiting for mail that it woke"),
        "messages": number("that were replayed"),
        "missing": number("events that are not listed"),
        "addresses": {"description": "what a socket listens to"},
        "code": number("close code"),
        "status": number("HTTP status"),
        "reason": text(),
        "near": text("address that you listen to, when another was meant"),
        "client": text("address of the client"),
        "parked": text("id for `relay parked show`"),
        "cut": {"const": True, "description": "more of this kind within the minute are not listed"},
    },
)

NOUN = Noun(
    "activity",
    "Recent Activity",
    "For when something does not work: what happened to the mail and the sockets of the account, each as a sentence "
    "that says what to do. It never holds mail text. 1,000 events are kept.",
    (
        Operation(
            "GET",
            "/api/activity",
            "listActivity",
            "List events",
            "Newest first. With `since`, those after it; with `wait` too, as soon as there is one.",
            (
                Answer(
                    "the events",
                    record(
                        {
                            "events": {"type": "array", "items": _EVENT},
                            "cursor": text("the `since` of the next request"),
                        }
                    ),
                ),
            ),
            (
                Parameter("limit", "query", "how many at most", number(minimum=1, maximum=1000, default=50)),
                Parameter(
                    "since", "query", "a cursor: only what happened after it", text(pattern="^([0-9]+-[0-9]+)?$")
                ),
                Parameter(
                    "inbox",
                    "query",
                    "only what concerns this address: mail, near misses, sockets",
                    text(),
                ),
                Parameter(
                    "wait",
                    "query",
                    "seconds to wait for an event",
                    {"type": "number", "minimum": 0, "maximum": 60, "default": 0},
                ),
            ),
            errors=(400,),
            examples=(Example("newest", "/api/activity?limit=3&inbox=user1@mailsac.com"),),
        ),
    ),
)
