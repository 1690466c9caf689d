"""What a sender is to the door: a name, a proof, and a parser. Both are pure: bytes in, values out.

To add one, write a file beside this one and name it in app.py; CONTRIBUTING.md walks through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from starlette.datastructures import Headers, QueryParams

from relay.mime import Parts


class PostHeaders(Headers):
    """The same, but by name: a sender looks for eight names or so, and Starlette's goes through all for each."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        """``raw``: as ASGI has them, names in lower case."""
        super().__init__(raw=raw)
        self._by_name: dict[str, list[str]] = {}
        for name, value in raw:
            self._by_name.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))

    def __getitem__(self, key: str) -> str:
        return self._by_name[key.lower()][0]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._by_name

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of that name."""
        values = self._by_name.get(key.lower())
        return values[0] if values else default

    def getlist(self, key: str) -> list[str]:
        """All values of that name, in order."""
        return self._by_name.get(key.lower(), [])


@dataclass(frozen=True, slots=True)
class Post:
    """One request of a sender, whole."""

    headers: Headers  # values decoded as latin-1, as ASGI has them
    query: QueryParams
    body: bytes
    received: datetime  # aware; when the request reached us


@dataclass(frozen=True, slots=True)
class Delivery:
    """One mail of a post, with its envelope. Each recipient gets a message of its own."""

    recipients: tuple[str, ...]  # envelope RCPT TO, as written; at least one
    raw: bytes  # the mail, byte for byte where the sender gives it
    parts: Parts  # what :func:`relay.mime.parse` reads in it
    received: datetime  # aware; when the mail reached its receiving server
    rerouted_from: str = ""  # first envelope address of rerouted mail; "" = the recipient itself
    ip: str = ""  # SMTP client; "" = not known
    via: str = ""  # receiving server; "" = not known
    rtls: bool = False  # received over TLS; False = no, or not known
    spam: float | None = None  # 0.0 to 1.0; None = not known
    raw_synthesized: bool = False  # raw was rebuilt from parsed fields


class Sender(Protocol):
    """One kind of webhook, reached at ``POST /inbound/<name>``."""

    @property
    def name(self) -> str:
        """Path segment, setting (``RELAY_<NAME>_SECRET``) and log field; lower case."""
        ...

    def body_limit(self, max_message_bytes: int) -> int:
        """Bytes of the largest body that can carry a mail of ``max_message_bytes``."""
        ...

    def verify(self, post: Post) -> None:
        """Returns when the post is proven to come from the sender. Raises NotProven, and nothing else."""
        ...

    def parse(self, post: Post) -> Sequence[Delivery]:
        """The mails in a proven post; empty when it rightly carries none (a set-up probe).

        Raises BadRequest or UnsupportedMediaType, and nothing else.
        """
        ...
