"""Errors by whose fault they are, each with its HTTP status, and the table of WebSocket close codes.

A text in an error is read by the person who has to act on it: it says what is wrong and what to do.
It never holds a key, a token, a query string or mail text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


class RelayError(Exception):
    """Base of every error that relay raises on purpose; ``status`` is its HTTP answer."""

    status = 500

    @property
    def headers(self) -> Mapping[str, str]:
        """Extra response headers that go with this error."""
        return {}

    def body(self) -> dict[str, Any]:
        """The JSON answer; Mailsac's clients read ``error`` and ``message``."""
        return {"error": str(self), "message": str(self)}


class ConfigError(RelayError):
    """The operator's: a setting, a flag or the accounts file is wrong. Ends the start with exit code 2."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class BadRequest(RelayError):
    """The caller's: mend the request, a retry of the same would fail again."""

    status = 400

    def __init__(self, text: str, *, member: str = "") -> None:
        """``member`` names the JSON member or parameter at fault; "" when it is the whole request."""
        self.member = member
        super().__init__(text)

    def body(self) -> dict[str, Any]:
        answer = super().body()
        if self.member:
            answer["validationErrors"] = [f"{self.member}: {self}"]
        return answer


class NotAMail(BadRequest):
    """The bytes do not begin like an RFC 5322 message, or cannot be read as one."""


class Unauthorized(RelayError):
    """The caller's: no credentials, wrong ones, or the thing belongs to someone else."""

    status = 401


class Forbidden(RelayError):
    """The caller's: the key is valid, and may not do this."""

    status = 403


class NotFound(RelayError):
    """The caller's: there is no such thing."""

    status = 404


class TooLarge(RelayError):
    """The caller's: more bytes than ``RELAY_MAX_MESSAGE_BYTES``, or the limit of the path."""

    status = 413

    @property
    def headers(self) -> Mapping[str, str]:
        return {"connection": "close"}  # what is left of the body is not read


class UnsupportedMediaType(RelayError):
    """The caller's: a Content-Type that this path cannot mean."""

    status = 415


class UnsupportedEncoding(UnsupportedMediaType):
    """The caller's: a Content-Encoding that is not read here, RFC 9110 section 15.5.16."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"accept-encoding": "gzip, deflate"}


class TooManyRequests(RelayError):
    """The caller's, for now: wait. Never an answer to a mail sender (it would lose mail at some)."""

    status = 429

    def __init__(self, text: str, *, retry_seconds: int = 60) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(text)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self.retry_seconds)}


class Unavailable(RelayError):
    """Ours, for now: Redis is away or slow. A retry is right; the text says what is being waited for."""

    status = 503

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "5"}


class Starting(Unavailable):
    """Ours, for a moment: what the accounts file says is not there yet."""


@dataclass(frozen=True, slots=True)
class Close:
    """How a WebSocket ends: RFC 6455 close code, its short reason, and whether coming back makes sense."""

    code: int
    reason: str  # at most 123 bytes of UTF-8, RFC 6455 section 5.5
    retry: bool
    status: int  # the HTTP status that says the same; it stands in the control frame before the close


BAD_REQUEST = Close(4400, "bad request", retry=False, status=400)
UNAUTHORIZED = Close(4401, "key unknown or revoked", retry=False, status=401)
FORBIDDEN = Close(4403, "an address is not yours or forwarding is off", retry=False, status=403)
SLOW = Close(4408, "slow: too much was waiting; connect again", retry=True, status=408)
TOO_MANY_SOCKETS = Close(4429, "too many sockets for this account", retry=True, status=429)
LEAVING = Close(1012, "the service is restarting; connect again", retry=True, status=503)
OUR_FAULT = Close(1011, "our fault; connect again", retry=True, status=503)

CLOSES: Mapping[int, Close] = MappingProxyType(
    {
        close.code: close
        for close in (BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, SLOW, TOO_MANY_SOCKETS, LEAVING, OUR_FAULT)
    }
)


class Refused(Exception):
    """A WebSocket is not, or no longer, wanted: the close that says so, and the sentence for the client."""

    def __init__(self, close: Close, text: str, *, account: str = "") -> None:
        """``account`` is whose key was given; "" when it is nobody's, or was not asked for."""
        self.close = close
        self.text = text
        self.account = account
        super().__init__(text)
