"""What a provider is to the door: a name, a proof, and a parser. Both are pure: bytes in, values out.

To add one, write a file in providers/ and name it in providers/__init__.py; CONTRIBUTING.md walks through it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable

from starlette.datastructures import Headers, QueryParams

from relay.errors import BadRequest, Unauthorized, Unavailable
from relay.mime import Parts
from relay.queues.parked import Headers as KeptHeaders


class PostHeaders(Headers):
    """The same, but by name: a provider looks for eight names or so, and Starlette's goes through all for each."""

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
    """One request of a provider, whole."""

    headers: Headers  # values decoded as latin-1, as ASGI has them
    query: QueryParams
    body: bytes
    received: datetime  # aware; when the request reached us
    # RELAY_PUBLIC_URL or, without one, scheme and host as forwarded; then path and query as they came. It is what the
    # provider was given, for those that sign it; "" = not known.
    url: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One mail of a post, with its envelope. Each recipient gets a message of its own."""

    recipients: tuple[str, ...]  # envelope RCPT TO, as written; at least one
    raw: bytes  # the mail, byte for byte where the provider gives it
    parts: Parts  # what :func:`relay.mime.parse` reads in it
    received: datetime  # aware; when the mail reached its receiving server
    rerouted_from: str = ""  # first envelope address of rerouted mail; "" = the recipient itself
    ip: str = ""  # SMTP client; "" = not known
    via: str = ""  # receiving server; "" = not known
    rtls: bool = False  # received over TLS; False = no, or not known
    spam: float | None = None  # 0.0 to 1.0; None = not known
    raw_synthesized: bool = False  # raw was rebuilt from parsed fields
    # What the provider calls this event (:func:`event_of_body` when it has no name for it), so that a post which it
    # repeats is delivered once; "" = each post is a mail of its own. And for how long it may repeat it.
    event: str = ""
    retry_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One event of a batch that cannot be read, beside others that can: it is parked for the operator."""

    reason: str  # what is wrong, for the operator; no mail text, nothing secret
    body: bytes  # a post of this event alone: with the same headers, ``parse`` reads it once it is mended
    once: bool = False  # it is no mail, and comes in numbers that would displace mail: one of its reason is enough


class WrongWebhook(BadRequest):
    """A post or event that is no inbound mail: somebody has pointed another of the provider's webhooks here."""


class NotProven(Unauthorized):
    """No proof, or a wrong one. The text says which proofs are accepted, never how near this one was."""

    @property
    def headers(self) -> Mapping[str, str]:
        # Some providers give the credentials of their URL only after a challenge (Amazon SNS).
        return {"www-authenticate": 'Basic realm="relay"'}


class NotReady(Unavailable):
    """The proof needs something from ``url``, which has been asked for (fetch.py)."""

    def __init__(self, text: str, url: str) -> None:
        self.url = url
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A mail that a post only announces: what its provider's API has to be asked before there is a Delivery.

    Its URLs are asked only where :meth:`FetchingProvider.may_fetch` says so, whoever wrote them.
    """

    urls: tuple[str, ...]  # https; to be asked in this order, redirects not followed
    with_key: bool  # whether the API key goes along: never to a host that an answer named
    post: bytes  # of the first step a post of this event alone, as in Unreadable; then what is known so far
    received: datetime  # aware; when the post came
    event: str  # as in Delivery, and never ""
    retry_seconds: int  # as in Delivery; for so long the URLs are tried
    headers: KeptHeaders = ()  # of the post, those that are kept (parked.py): ``parse`` reads it again with them
    accept: str = "*/*"  # media types to ask for


@dataclass(frozen=True, slots=True)
class Answers:
    """What a provider makes of an answer other than 200 differs: these statuses have the effect that is meant.

    Where a status makes the provider try again for hours, or lose the mail in silence, 200 is the answer, and the bytes
    are parked.
    """

    not_proven: int = 401
    unreadable: int = 400  # another try would end the same way; 200 = take it and park it
    too_large: int = 413
    unavailable: int = 503  # ours, for now: it must make the provider, or the server behind it, try again


ANSWERS = Answers()


def event_of_body(body: bytes) -> str:
    """A name for an event whose provider gives none: what is posted again is the same bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def event_of_mail(parts: Parts, envelope_from: str = "") -> str:
    """A name for a mail whose provider has none, and which comes in another post when its server tries again.

    The Message-ID alone would not do: the copy of a mailing list has it too, with other text or another envelope.
    """
    message_id = next((value for name, value in parts.headers if name == "message-id"), "")
    said = (message_id, envelope_from, parts.subject, parts.text, parts.html, *parts.attachments)
    digest = hashlib.sha256("\0".join(said).encode("utf-8", "replace"))
    return f"mail:{digest.hexdigest()}"


class Provider(Protocol):
    """One kind of webhook, reached at ``POST /inbound/<name>``."""

    @property
    def name(self) -> str:
        """Path segment, setting (``RELAY_<NAME>_SECRET``) and log field; lower case."""
        ...

    @property
    def answers(self) -> Answers:
        """The statuses for what cannot be taken."""
        ...

    def body_limit(self, max_message_bytes: int) -> int:
        """Bytes of the largest body that can carry a mail of ``max_message_bytes``."""
        ...

    def verify(self, post: Post) -> None:
        """Returns when the post is proven to come from the provider. Raises NotProven, and nothing else."""
        ...

    def parse(self, post: Post) -> Sequence[Delivery | Fetch | Unreadable]:
        """The mails in a proven post; empty when it rightly carries none (a set-up probe).

        Raises BadRequest or UnsupportedMediaType, and nothing else.
        """
        ...


@dataclass(frozen=True, slots=True)
class WebhookProvider:
    """The part of a provider that is the same in all of them. A subclass writes ``verify`` and ``parse``.

    A subclass is a frozen dataclass with slots, too. It gives ``name`` and ``body_factor``, and ``answers`` where the
    provider needs other statuses.
    """

    secrets: tuple[str, ...] = field(repr=False)  # each of them proves a post; there are two while one is changed
    name: str
    answers: Answers = ANSWERS
    # How many times larger than the largest mail a body may be. Without it body_limit must be overridden.
    body_factor: ClassVar[int]

    def body_limit(self, max_message_bytes: int) -> int:
        """Bytes of the largest body that is read: ``body_factor`` times the largest mail.

        The mails in it are measured again, each by itself, against ``max_message_bytes``.
        """
        return max_message_bytes * self.body_factor


@runtime_checkable
class HeadProven(Protocol):
    """What a provider has beside when its proof may lie outside of the body: the door asks before it reads one."""

    def proof_in_head(self, headers: Headers) -> bool:
        """Whether :meth:`Provider.verify` needs no body for a post with these headers. Total."""
        ...


@runtime_checkable
class BodyProven(Protocol):
    """What a provider has beside when its proof is in the body, or over it: the door asks before it reads one."""

    def unproven_limit(self, head: Post, max_message_bytes: int) -> int:
        """Bytes of the largest body that is read to prove a post with this head; ``head`` has no body yet.

        Raises NotProven: no body could, because what belongs to the proof is missing.
        """
        ...


@runtime_checkable
class FetchingProvider(Provider, Protocol):
    """A provider whose posts do not hold the whole mail: what the rest is fetched with. All pure."""

    def may_fetch(self, url: str) -> bool:
        """Whether the URL is one of the provider's: nothing else is ever asked. Total."""
        ...

    def key_header(self, api_key: str) -> tuple[str, str]:
        """Name and value of the header in which ``RELAY_<NAME>_API_KEY`` goes along."""
        ...

    def answers_limit(self, max_message_bytes: int) -> int:
        """Bytes of the largest answers to one Fetch, together, that can carry a mail of ``max_message_bytes``."""
        ...

    def fetched(self, fetch: Fetch, bodies: Sequence[bytes]) -> Delivery | Fetch:
        """The mail, or what to ask next. ``bodies``: of the answers to ``fetch.urls``, in their order.

        Raises BadRequest or UnsupportedMediaType: they cannot be read.
        """
        ...
