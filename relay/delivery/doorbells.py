"""What comes over the link to Redis: doorbells and whatever else processes tell each other, as bytes and as words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from relay.letters.layout import Sealed
from relay.message_id import BadMessageId, MessageId
from relay.store import keys
from relay.store.notices import Notice

_NUMBER = re.compile(r"[0-9]{1,18}")
_ANNOUNCED = re.compile(rb"#([0-9]{1,18}) ([0-9a-f-]*)")  # in place of a letter; no form of one begins so


@dataclass(frozen=True, slots=True)
class Confirmed:
    """From now on every publish to ``channel`` is seen by this link."""

    channel: str


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message reached ``inbox``, which is ``owner``'s. ``letter`` None = read the letterbox."""

    owner: str
    inbox: str
    id: MessageId
    letter: Sealed | None
    announced_bytes: int = 0  # of row and letter, which are to be read; 0 = not known
    token: str = ""  # under which the letter was brought to Redis, see brought.py


@dataclass(frozen=True, slots=True)
class Echo:
    """Of :meth:`Bus.ring`: all that was published before it has been received."""

    probe: bytes


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """A process wants to see the sockets of an account, see survey.py."""

    asker: str  # its name
    number: int  # of its question
    account: str

    def encode(self) -> bytes:
        """The payload for the channel ``keys.SURVEY``."""
        return f"{self.asker}\n{self.number}\n{self.account}".encode()

    @classmethod
    def decode(cls, payload: bytes) -> SurveyRequest | None:
        """None when it is none of ours (a newer version's, say)."""
        asker, _, rest = payload.decode("utf-8", "replace").partition("\n")
        number, _, account = rest.partition("\n")
        return cls(asker, int(number), account) if _NUMBER.fullmatch(number) else None


@dataclass(frozen=True, slots=True)
class SurveyReply:
    """What a process answers to our question."""

    number: int
    answer: bytes

    def encode(self) -> bytes:
        """The payload for the asker's channel."""
        return b"%d\n%b" % (self.number, self.answer)

    @classmethod
    def decode(cls, payload: bytes) -> SurveyReply | None:
        """As of a question."""
        number, _, answer = payload.partition(b"\n")
        return cls(int(number), answer) if _NUMBER.fullmatch(number.decode("ascii", "replace")) else None


LinkEvent = Confirmed | Doorbell | Echo | Notice | SurveyRequest | SurveyReply


def parse(channel: bytes, payload: bytes) -> LinkEvent | None:
    """What came over a channel; None for what is none of ours."""
    if channel == _CONTROL:
        return Notice.decode(payload)
    if channel.startswith(_PROBE):
        return Echo(payload)
    if channel.startswith(_SURVEY):
        return SurveyRequest.decode(payload) if channel == _SURVEY else SurveyReply.decode(payload)
    return _doorbell(payload)


def _doorbell(payload: bytes) -> Doorbell | None:
    parts = payload.split(b"\0", 3)
    if len(parts) != 4:
        parts = payload.split(b"\n", 3)  # of version 0.2
    if len(parts) != 4:
        return None  # not ours
    owner, inbox, message_id, letter = parts
    try:
        message = MessageId.parse(message_id.decode())
        bell = Doorbell(owner.decode(), inbox.decode(), message, Sealed.parse_or_none(letter))
    except (BadMessageId, UnicodeDecodeError):
        return None
    announced = _ANNOUNCED.fullmatch(letter)
    return replace(bell, announced_bytes=int(announced[1]), token=announced[2].decode()) if announced else bell


_CONTROL = keys.CONTROL.encode()
_PROBE = keys.probe("").encode()
_SURVEY = keys.SURVEY.encode()
