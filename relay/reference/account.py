"""The account, and its mail in all inboxes: relay/api/me.py, relay/api/inbox.py."""

from __future__ import annotations

from relay.reference.domains import DOMAIN
from relay.reference.messages import LIMIT, SKIP, TRUNCATED, UNTIL
from relay.reference.schemas import BODY_KEY, TIME, listed, number, record, text, texts
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter

_TEXT_LIMIT = 200  # characters
_MESSAGES = {"messages": listed("MessageSummary")}


def _words(name: str, says: str, *, required: bool = False) -> Parameter:
    return Parameter(name, "query", says, text(maxLength=_TEXT_LIMIT), required)


ALL_INBOXES = Noun(
    "inbox",
    "All inboxes",
    "The mail of all your addresses and domains together.",
    (
        Operation(
            "GET",
            "/api/inbox",
            "listInbox",
            "List all mail",
            "Newest first.",
            (
                Answer(
                    "the messages",
                    record({**_MESSAGES, "unread": number(minimum=0), "limit": number(), "skip": number()}),
                    headers=TRUNCATED,
                ),
            ),
            (
                LIMIT,
                SKIP,
                Parameter("since", "query", "nothing older: a date or time, or Unix milliseconds", text()),
            ),
            errors=(400, 429),
            examples=(Example("newest", "/api/inbox?limit=1"),),
        ),
        Operation(
            "GET",
            "/api/inbox-search",
            "searchInbox",
            "Search",
            "At most 100 messages that have the text in `from`, `to`, `subject` or `inbox`; the case does not matter.",
            (Answer("the messages", record({"query": text(), **_MESSAGES}), headers=TRUNCATED),),
            (_words("query", "the text", required=True),),
            errors=(400, 429),
            examples=(Example("order", "/api/inbox-search?query=order"),),
        ),
        Operation(
            "GET",
            "/api/inbox-filter",
            "filterInbox",
            "Filter",
            "At most 100 messages that have all of what is given; at least one must be.",
            (Answer("the messages", record(_MESSAGES), headers=TRUNCATED),),
            (
                _words("andTo", "text in a recipient"),
                _words("andFrom", "text in a sender"),
                _words("andSubjectIncludes", "text in the subject"),
            ),
            errors=(400, 429),
            examples=(
                Example("order", "/api/inbox-filter?andFrom=shop.example&andSubjectIncludes=order"),
                Example("nothing_given", "/api/inbox-filter", "Nothing is given"),
            ),
        ),
        Operation(
            "GET",
            "/api/domains/{domain}/messages",
            "listDomainMessages",
            "List the mail of a domain",
            "Newest first.",
            (Answer("the messages", listed("MessageSummary"), headers=TRUNCATED),),
            (DOMAIN, LIMIT, SKIP, UNTIL),
            errors=(404, 429),
            examples=(Example("none", "/api/domains/example.com/messages"),),
        ),
        Operation(
            "POST",
            "/api/domains/{domain}/delete-all-domain-mail",
            "deleteDomainMessages",
            "Delete the mail of a domain",
            "Of all its inboxes.",
            (Answer("it is gone", status=204),),
            (DOMAIN,),
            Body(record({}, BODY_KEY), required=False),
            errors=(404, 429),
            examples=(Example("delete_all", "/api/domains/example.com/delete-all-domain-mail"),),
        ),
    ),
)

NOUN = Noun(
    "account",
    "Your account",
    "The account whose key calls.",
    (
        Operation(
            "GET",
            "/api/me",
            "getMe",
            "Who am I?",
            "The account, and what it may do.",
            (
                Answer(
                    "the account",
                    record(
                        {
                            "_id": text("its id"),
                            "privateAddressCredits": number("addresses that it may still reserve", minimum=0),
                            "apiAccess": {"const": 1},
                            "wsDomain": {"const": 1},
                            "created": TIME,
                        }
                    ),
                ),
            ),
            examples=(Example("me", "/api/me"),),
        ),
        Operation(
            "GET",
            "/api/me/stats",
            "getMyStats",
            "What do I have?",
            "Addresses, domains, and how many messages are kept.",
            (
                Answer(
                    "the account's things",
                    record(
                        {
                            "addresses": texts("that it reserved"),
                            "domains": texts("that it added"),
                            "starredMessages": number(minimum=0),
                            "storedMessages": number(minimum=0),
                        }
                    ),
                ),
            ),
            (Parameter("overrideAccountId", "query", "the account's own id, if given", text()),),
            errors=(429,),
            examples=(Example("stats", "/api/me/stats"),),
        ),
    ),
)
