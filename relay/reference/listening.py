"""The WebSocket as HTTP sees it: relay/stream/door.py. What is said on it is in socket.py."""

from __future__ import annotations

from relay.reference.schemas import ref, text
from relay.reference.vocabulary import HOST, KEY, Answer, Example, Noun, Operation, Parameter, Snippet
from relay.stream.frames import FORMATS

QUERY = (
    Parameter(
        "addresses",
        "query",
        "Comma list of addresses that the account reserved with `enablews` on, or of domains that it owns (all their "
        "mail, less that of addresses reserved with `enablews` off).",
        text(examples=["user1@mailsac.com"]),
        required=True,
    ),
    Parameter(
        "key",
        "query",
        "API key. Better, because URLs end up in logs: a `Mailsac-Key` or `Authorization: Bearer` header; in a browser "
        "the subprotocols `relay` and `relay.key.<key>`.",
        text(),
    ),
    Parameter(
        "_id", "query", "Account id; optional, but if given it must be the key's.", text(examples=["user1"])
    ),
    Parameter(
        "frames",
        "query",
        "`message`: each frame is the message. `envelope`: the first says `Listening`, each other holds a message as "
        "`email`.",
        text(enum=list(FORMATS), default="message"),
    ),
    Parameter(
        "since",
        "query",
        "Where you stood: what was missed comes first, oldest first. An `_id`, or one of each inbox; an age "
        "(`90s`, `10m`, `2h`, `7d`); a time (RFC 3339); or `_id`s, and a time for inboxes of which none is given.",
        text(examples=["10m"]),
    ),
)

_UPGRADE = {"Upgrade": "`websocket`", "Connection": "`upgrade`"}

_BROWSER = f"""const socket = new WebSocket(
  "{HOST.replace("https", "wss", 1)}/incoming-messages?addresses=user1@mailsac.com",
  ["relay", "relay.key.{KEY}"],
);
socket.onmessage = (event) => console.log(JSON.parse(event.data).subject);
socket.onclose = (event) => console.log(event.code, event.reason);"""
_PYTHON = f"""from relay.client import listen

async with listen("{HOST}", key="{KEY}", addresses=["user1@mailsac.com"]) as messages:
    async for message in messages:
        print(message["subject"])"""

NOUN = Noun(
    "listen",
    "The WebSocket",
    "It opens when it listens: what comes from then on arrives. A socket gets each message at least once and, in an "
    "inbox, in order; a repeat carries the same `_id`. Who was cut off comes back with `since`, and misses nothing. "
    "What clients send is ignored.",
    (
        Operation(
            "GET",
            "/incoming-messages",
            "openSocket",
            "Open it",
            "With `Upgrade: websocket` (RFC 6455) the answer is 101 when the subscriptions are confirmed: nothing that "
            "comes from then on is missed. Who may not listen is upgraded too, told why in a frame, and closed with a "
            "code: a browser shows no HTTP answer. Only a wrong key after too many others is 429, before the upgrade.",
            (
                Answer("it is a WebSocket now, and listens", status=101, headers=_UPGRADE),
                Answer("the handshake is wrong; the text says why", text(), 400, ("text/plain",)),
                Answer(
                    "no upgrade was asked for, or a proxy on the way removed it",
                    ref("Error"),
                    426,
                    headers=_UPGRADE,
                ),
            ),
            QUERY,
            errors=(429,),
            key=False,
            examples=(
                Example(
                    "without_upgrade",
                    "/incoming-messages?addresses=user1@mailsac.com",
                    "Without an upgrade",
                    key=False,
                ),
            ),
            snippets=(Snippet("In a browser", _BROWSER), Snippet("In Python", _PYTHON)),
        ),
    ),
)
