"""Messages of one inbox: relay/api/messages.py, and what relay/api/wait.py adds to their list."""

from __future__ import annotations

from relay.api.messages import FOLDERS, LABEL_LIMIT
from relay.reference import waiting
from relay.reference.addresses import EMAIL
from relay.reference.schemas import BODY_KEY, MESSAGE_ID, flag, listed, number, record, ref, text, texts
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter

ID = Parameter("id", "path", "the `_id` of the message", {**MESSAGE_ID, "pattern": "^[^/]+$"})
MESSAGE = "5d6e3b2f0c9a4718-1795262400000-2"  # stands in examples for the newest of user1's
INBOX = "/api/addresses/user1@mailsac.com"

LIMIT = Parameter("limit", "query", "how many at most", number(minimum=0, maximum=1000, default=20))
SKIP = Parameter(
    "skip", "query", "how many of the newest to leave out", number(minimum=0, maximum=9000, default=0)
)
UNTIL = Parameter(
    "until",
    "query",
    "nothing that is newer: a date or time (ISO 8601), Unix milliseconds, or the `_id` before which to go on",
    text(),
)
TRUNCATED = {
    "Relay-Truncated": "there when not all mail could be looked at for one answer: narrow the question, or go on "
    "with `until` where there is one"
}

_ONE = f"{INBOX}/messages/{MESSAGE}"
_PATH = "/api/addresses/{email}/messages/{id}"
_STATE = Body(record({}, BODY_KEY), required=False)
_FOLDER = Parameter("folder", "path", "where to", text(enum=list(FOLDERS)))
_LABEL = Parameter("label", "path", "one line of your own", text(minLength=1, maxLength=LABEL_LIMIT))
_READ = Parameter("read", "path", "whether it is read", text(enum=["true", "false"]))

_LIST = Operation(
    "GET",
    "/api/addresses/{email}/messages",
    "listMessages",
    "List messages, or wait for one",
    "Newest first, abbreviated. " + waiting.SAYS,
    (
        Answer("the messages", listed("MessageSummary"), headers={**TRUNCATED, **waiting.HEADERS}),
        *waiting.ANSWERS,
    ),
    (EMAIL, LIMIT, SKIP, UNTIL, *waiting.PARAMETERS),
    errors=waiting.ERRORS,
    examples=(Example("newest", f"{INBOX}/messages?limit=1"), *waiting.EXAMPLES),
)
_GET = Operation(
    "GET",
    _PATH,
    "getMessage",
    "Look a message up",
    "What is known of it, with its links and the MD5s of its attachments; its content has paths of its own.",
    (Answer("the message", ref("MessageSummary")),),
    (EMAIL, ID),
    errors=(404, 429),
    examples=(
        Example("one", _ONE),
        Example("gone", f"{INBOX}/messages/5d6e3b2f0c9a4718-1795262400000-9", "It is not there"),
    ),
)
_COUNT = Operation(
    "GET",
    "/api/addresses/{email}/message-count",
    "countMessages",
    "Count messages",
    "Of one inbox.",
    (Answer("how many are kept", record({"count": number(minimum=0), "inbox": text()})),),
    (EMAIL,),
    examples=(Example("count", f"{INBOX}/message-count"),),
)
_STAR = Operation(
    "PUT",
    f"{_PATH}/star",
    "starMessage",
    "Star a message, or take the star away",
    "A starred message is kept for as long as it is starred, and outlives `RELAY_KEEP_SECONDS`.",
    (Answer("the message, with the star as it is now (`savedBy`)", ref("MessageSummary")),),
    (EMAIL, ID),
    _STATE,
    errors=(404, 429),
    examples=(Example("star", f"{_ONE}/star"),),
)
_STARRED = Operation(
    "GET",
    "/api/addresses/starred/messages",
    "listStarred",
    "List starred messages",
    "Of all your addresses, newest first.",
    (Answer("the messages", listed("MessageSummary"), headers=TRUNCATED),),
    errors=(429,),
    examples=(Example("starred", "/api/addresses/starred/messages"),),
)
_SET_READ = Operation(
    "PUT",
    f"{_PATH}/read/{{read}}",
    "markRead",
    "Mark a message as read, or unread",
    "Nothing else does: looking at it changes nothing.",
    (Answer("how it stands now", record({"_id": MESSAGE_ID, "read": flag()})),),
    (EMAIL, ID, _READ),
    _STATE,
    errors=(404, 429),
    examples=(Example("read", f"{_ONE}/read/true"),),
)
_MOVE = Operation(
    "PUT",
    f"{_PATH}/folder/{{folder}}",
    "moveMessage",
    "Move a message to a folder",
    "A message is in one folder; labels it may have several.",
    (Answer("how it stands now", record({"_id": MESSAGE_ID, "folder": text()})),),
    (EMAIL, ID, _FOLDER),
    _STATE,
    errors=(404, 429),
    examples=(Example("spam", f"{_ONE}/folder/spam"),),
)
_LABELLED = (Answer("how it stands now", record({"_id": MESSAGE_ID, "labels": texts("of the message")})),)
_ADD_LABEL = Operation(
    "PUT",
    f"{_PATH}/labels/{{label}}",
    "addLabel",
    "Put a label on a message",
    "One that is there already stays.",
    _LABELLED,
    (EMAIL, ID, _LABEL),
    _STATE,
    errors=(404, 429),
    examples=(Example("label", f"{_ONE}/labels/orders"),),
)
_DROP_LABEL = Operation(
    "DELETE",
    f"{_PATH}/labels/{{label}}",
    "dropLabel",
    "Take a label off a message",
    "One that is not there is no error.",
    _LABELLED,
    (EMAIL, ID, _LABEL),
    errors=(404, 429),
    examples=(Example("label", f"{_ONE}/labels/orders"),),
)
_DELETE = Operation(
    "DELETE",
    _PATH,
    "deleteMessage",
    "Delete a message",
    "Starred or not. A socket that resumes does not get it any more, and is told of no gap.",
    (Answer("it is gone", record({"_id": MESSAGE_ID, "inbox": text(), "message": text()})),),
    (EMAIL, ID),
    errors=(404, 429),
    examples=(Example("delete", f"{INBOX}/messages/5d6e3b2f0c9a4718-1795262400000-1"),),
)
_DELETE_ALL = Operation(
    "DELETE",
    "/api/addresses/{email}/messages",
    "deleteMessages",
    "Delete all messages of an inbox",
    "Starred ones stay.",
    (Answer("they are gone", status=204),),
    (EMAIL,),
    examples=(Example("delete_all", f"{INBOX}/messages"),),
)

NOUN = Noun(
    "messages",
    "Messages",
    "The mail that is kept of an inbox: of an address that you reserved with `enablews` on, or on a domain of yours. "
    "Another account's answers 401, whether it exists or not.",
    (
        _LIST,
        *waiting.OPERATIONS,
        _GET,
        _COUNT,
        _STAR,
        _STARRED,
        _SET_READ,
        _MOVE,
        _ADD_LABEL,
        _DROP_LABEL,
        _DELETE,
        _DELETE_ALL,
    ),
)
