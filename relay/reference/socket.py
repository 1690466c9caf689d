"""What is said on the WebSocket: its frames and its close codes, relay/stream/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from relay.delivery.letter import GapReason
from relay.errors import CLOSES
from relay.reference.schemas import MESSAGE_ID, or_null, record, ref, text, texts
from relay.reference.vocabulary import Schema
from relay.stream.incoming import MAX_CLIENT_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """One kind of text frame; all are JSON objects."""

    name: str
    title: str
    says: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class End:
    """A close code."""

    code: int
    reason: str  # as it stands in the close frame
    comes_back: str  # whether to connect again
    says: str


FRAMES = (
    Frame(
        "message",
        "A message",
        "With `frames=message`, the default: each mail is a frame, and each frame without `status` is a mail.",
        ref("Message"),
    ),
    Frame(
        "listening",
        "Listening",
        "With `frames=envelope`, the first frame: what the socket listens to.",
        record(
            {
                "status": {"const": 200},
                "msg": {"const": "Listening"},
                "addresses": texts("in canonical form, sorted"),
                "domains": texts("in canonical form, sorted"),
            }
        ),
    ),
    Frame(
        "email",
        "A message in an envelope",
        "With `frames=envelope`: each mail.",
        record({"status": {"const": 200}, "email": ref("Message")}),
    ),
    Frame(
        "gap",
        "A gap",
        "Messages that cannot be given any more, said before the next one: never passed over.",
        record(
            {
                "status": {"const": 206},
                "msg": {"const": "Gap"},
                "inbox": or_null(text("null = of an inbox that is not known any more")),
                "after": or_null(
                    {**MESSAGE_ID, "description": "the last message before it; null = whatever there was"}
                ),
                "next": or_null(
                    {**MESSAGE_ID, "description": "the first message after it; null = the next that comes"}
                ),
                "reason": text(
                    "`expired`: older than what is kept. `trimmed`: more than what is kept; or, with `next` null after "
                    "some messages, more than is replayed at once: come back with `since=<after>`. `epoch`: Redis lost "
                    "its count, and nobody can say whether something is missing.",
                    enum=list(get_args(GapReason)),
                ),
            }
        ),
    ),
    Frame(
        "refusal",
        "The reason of a close",
        "The last frame before the close, except before 4408, whose reader is behind anyway.",
        record(
            {"status": {"type": "integer", "description": "the HTTP status that says the same"}, "error": text()}
        ),
    ),
)

_MEANINGS: Mapping[int, str] = {
    4400: "The frame before says what to mend.",
    4401: "No key, or one that is unknown or revoked; also while connected.",
    4403: "The frame before names each address; also while connected.",
    4408: "More than `RELAY_SOCKET_BUFFER_BYTES` waited. Come back with `since`: nothing is lost.",
    4429: "More than `RELAY_MAX_SOCKETS_PER_ACCOUNT` in this process. Listen to several addresses on one.",
    1011: "Such as a Redis that is away; or a ping was not answered within 10 s. Come back with `since`.",
    1012: "This process ends. Come back with `since`.",
}
_MISTAKES = (
    End(1002, "", "no", "What you sent is not WebSocket (RFC 6455)."),
    End(1007, "", "no", "The text that you sent is not UTF-8."),
    End(1009, "", "no", f"You sent more than {MAX_CLIENT_BYTES} bytes; what clients send is ignored anyway."),
)

ENDS: tuple[End, ...] = (
    *(
        End(
            code,
            close.reason,
            ("later" if code == 4429 else "yes") if close.retry else "no",
            _MEANINGS.get(code, ""),
        )
        for code, close in sorted(CLOSES.items(), key=lambda item: (item[0] < 4000, item[0]))
    ),
    *_MISTAKES,
)
