"""What a post holds: the letters that it becomes, and what becomes of the rest. Pure, so that it may run anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from relay.address import BadAddress, canonical_address
from relay.errors import BadRequest, RelayError, TooLarge, UnsupportedMediaType
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    FetchingProvider,
    Post,
    Provider,
    Unreadable,
    WrongWebhook,
)
from relay.message import Encoded, Message, encode

# A recipient list longer than this is a mistake or an attack; RFC 5321 section 4.5.3.1.8 asks for 100.
MAX_RECIPIENTS = 1000
_NAMED_RECIPIENTS = 10  # of a mail that is refused as a whole, to tell their accounts
_REASON_CHARACTERS = 320


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading depends on beside the post."""

    fetched_from: frozenset[str]  # names of the providers whose API we have a key of
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail for one recipient; the mail itself is encoded once for all."""

    inbox: str
    original_inbox: str
    encoded: Encoded
    event: str  # as of Delivery, of all providers together; "" = none
    retry_seconds: int
    size_bytes: int  # of the mail as it came
    author: str  # first address of From; "" = none


@dataclass(slots=True)
class Read:
    """What a post holds."""

    letters: list[Letter] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)
    error: RelayError | None = None  # nothing of it can be taken; what was rejected before is in ``rejected``

    def reject(self, inbox: str, reason: str) -> None:
        """No letter for a recipient."""
        self.rejected.append(rejection(inbox, reason))


def rejection(inbox: str, reason: str) -> dict[str, str]:
    """One recipient who gets nothing, as the provider is told."""
    return {"inbox": inbox[:_REASON_CHARACTERS], "reason": reason}


def read_post(reader: Reader, provider: Provider, post: Post) -> Read:
    """Of a post that is proven. Raises nothing of RelayError."""
    try:
        events = provider.parse(post)
    except (BadRequest, UnsupportedMediaType) as error:
        if provider.answers.unreadable != 200:
            return Read(error=error)
        return Read(unreadable=[Unreadable(str(error), post.body, once=isinstance(error, WrongWebhook))])
    return _sorted(reader, provider, events, post.body)


def read_fetched(
    reader: Reader, provider: FetchingProvider, fetch: Fetch, bodies: Sequence[bytes]
) -> Fetch | Read:
    """Of the answers to a fetch: what to ask next, or what they hold. Raises BadRequest or UnsupportedMediaType."""
    found = provider.fetched(fetch, bodies)
    return found if isinstance(found, Fetch) else _sorted(reader, provider, [found], b"")


def _sorted(
    reader: Reader, provider: Provider, events: Sequence[Delivery | Fetch | Unreadable], body: bytes
) -> Read:
    """``body``: what is parked when a mail in it cannot be read for once."""
    read = Read()
    try:
        for event in events:
            if isinstance(event, Delivery):
                _add_letters(read, reader, provider, event, alone=len(events) == 1)
            elif isinstance(event, Unreadable):
                read.unreadable.append(event)
            elif provider.name in reader.fetched_from:
                read.fetches.append(event)
            else:
                read.unreadable.append(Unreadable(_no_key(provider), event.post))
    except (BadRequest, UnsupportedMediaType) as error:
        if body and provider.answers.unreadable == 200:
            return Read(unreadable=[Unreadable(str(error), body)], rejected=read.rejected)
        read.error = error
    except RelayError as error:
        read.error = error
    return read


def _add_letters(read: Read, reader: Reader, provider: Provider, delivery: Delivery, *, alone: bool) -> None:
    """Raises the RelayError for a mail that cannot be taken, and is the only one."""
    problem = _problem(delivery, reader.max_message_bytes)
    if problem is None:
        read.letters += _letters(delivery, provider.name, read)
        return
    reason = "too large" if isinstance(problem, TooLarge) else "too many recipients"
    if alone:
        for recipient in delivery.recipients[:_NAMED_RECIPIENTS]:
            read.reject(_canonical_or_as_written(recipient), reason)
        raise problem
    # In a batch it is no reason to refuse the others.
    read.reject(next(iter(delivery.recipients), ""), reason)


def _problem(delivery: Delivery, max_message_bytes: int) -> RelayError | None:
    if len(delivery.raw) > max_message_bytes:
        return too_large(max_message_bytes)
    if len(delivery.recipients) > MAX_RECIPIENTS:
        return BadRequest(f"more than {MAX_RECIPIENTS} recipients in one post; post the mail in parts")
    return None


def too_large(limit_bytes: int) -> TooLarge:
    """The error for a body, or a mail in it, that is larger than may be."""
    return TooLarge(f"the mail is larger than {limit_bytes} bytes, the limit here (RELAY_MAX_MESSAGE_BYTES)")


def _no_key(provider: Provider) -> str:
    return (
        f"the post only announces a mail, which has to be fetched: set RELAY_{provider.name.upper()}_API_KEY, and then"
        " relay parked retry"
    )


def _letters(delivery: Delivery, provider: str, read: Read) -> Iterator[Letter]:
    encoded = encode(_message(delivery))
    inboxes: dict[str, None] = {}  # one letter each, although a recipient may be named twice
    for recipient in delivery.recipients:
        try:
            inboxes[canonical_address(recipient)] = None
        except BadAddress:
            read.reject(recipient, "not an address")
    rerouted_from = _canonical_or_as_written(delivery.rerouted_from) if delivery.rerouted_from else ""
    author = delivery.parts.sender[0].address if delivery.parts.sender else ""
    event = f"{provider}\n{delivery.event}" if delivery.event else ""
    return (
        Letter(inbox, rerouted_from, encoded, event, delivery.retry_seconds, len(delivery.raw), author)
        for inbox in inboxes
    )


def _canonical_or_as_written(address: str) -> str:
    """Canonical like the inbox, so that the two differ only where mail was rerouted."""
    try:
        return canonical_address(address)
    except BadAddress:
        return address


def _message(delivery: Delivery) -> Message:
    parts = delivery.parts
    return Message(
        received=delivery.received,
        raw=delivery.raw,
        sender=parts.sender,
        to=parts.to,
        cc=parts.cc,
        bcc=parts.bcc,
        subject=parts.subject,
        headers=parts.headers,
        text=parts.text,
        html=parts.html,
        attachments=parts.attachments,
        links=parts.links,
        ip=delivery.ip,
        via=delivery.via,
        rtls=delivery.rtls,
        spam=delivery.spam,
        raw_synthesized=delivery.raw_synthesized,
        truncated=parts.truncated,
    )
