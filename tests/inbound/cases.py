"""Cases of providers: ``cases/<provider>/<case>.http`` is one request as it came, ``<case>.json`` what becomes of it.

``.http``: request line, header lines and an empty line end in LF; the body is every byte after it. ``.json``:

- ``secrets``: the provider's secrets; ``received``: when the request came, RFC 3339 (signatures have times);
- ``oauth``: where a token proves: ``issuer``, ``audience``, ``subject`` and ``jwks``, its keys; null: not here;
- ``certificate``: where SNS signs: the one of its key, in PEM; without it there is none;
- ``refused``: the name of the error class that ``verify`` or ``parse`` raises (``NotProven``, ``BadRequest``, …), and
  ``why``: a piece of its text; or
- ``mails``: for each delivery the members to compare: ``recipients`` (list), ``raw`` (text, latin-1) or
  ``raw_sha256``, ``raw_synthesized``, ``subject``, ``from`` and ``to`` (addresses), ``text``, ``html``, ``ip``,
  ``via``, ``rtls``, ``spam``, ``received``, ``rerouted_from``, ``event``, ``retry_seconds``, ``attachments`` (MD5s).
  What is not named is not compared. ``{"unreadable": "piece of the reason"}`` is an event that cannot be read.
  A mail that is only announced has ``urls``, and may have ``with_key``, ``accept``, ``event``, ``retry_seconds``;
  ``answers`` are the bodies that the URLs give (text, latin-1, or a JSON value), and ``then`` what becomes of them: a
  mail, the next announcement, or ``{"unreadable": …}``.
- ``about``: a sentence: what the case shows, and where it was seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from relay.errors import BadRequest
from relay.inbound.proof.oauth import TokenServer
from relay.inbound.providers import PROVIDERS
from relay.inbound.providers.sendgrid import SendGrid
from relay.inbound.providers.ses import Ses
from relay.inbound.webhook.provider import (
    Delivery,
    Fetch,
    FetchingProvider,
    Post,
    PostHeaders,
    Provider,
    Unreadable,
)

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One case."""

    provider: str
    name: str
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    expected: dict[str, Any]

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self.expected["secrets"])

    def taker(self) -> Provider:
        """The provider with the case's secrets."""
        provider = PROVIDERS[self.provider](self.secrets)
        if "certificate" in self.expected and isinstance(provider, Ses):
            return replace(provider, certificates=lambda _url: self.expected["certificate"].encode())
        if "oauth" not in self.expected or not isinstance(provider, SendGrid):
            return provider
        named = dict(self.expected["oauth"])
        jwks = named.pop("jwks")
        keys = None if jwks is None else json.dumps(jwks).encode()
        tokens = TokenServer("https://login.example.com/jwks", **named)
        return replace(provider, tokens=tokens, key_sets=lambda _url, _within_seconds: keys)

    def post(self) -> Post:
        """As the door would hand it to the provider."""
        received = datetime.fromisoformat(self.expected["received"])
        return Post(PostHeaders(self.headers), QueryParams(urlsplit(self.target).query), self.body, received)


def read(path: Path) -> Case:
    """The case of an ``.http`` file."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, target, _ = first.decode().split(" ")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)
    ]
    expected = json.loads(path.with_suffix(".json").read_text())
    return Case(path.parent.name, path.stem, method, target, headers, body, expected)


def cases() -> list[Case]:
    """All of them, in order of provider and name."""
    return [read(path) for path in sorted(FOLDER.glob("*/*.http"))]


def seen(provider: Provider, event: Delivery | Fetch | Unreadable, members: dict[str, Any]) -> dict[str, Any]:
    """What the event has for each member that the case names."""
    if isinstance(event, Unreadable):
        return _seen_unreadable(event.reason, members)
    if isinstance(event, Fetch):
        return _seen_fetch(provider, event, members)
    return _seen_delivery(event, members)


def _seen_unreadable(reason: str, members: dict[str, Any]) -> dict[str, Any]:
    expected = members.get("unreadable", "")
    return {"unreadable": expected if expected and expected in reason else reason}


def _seen_fetch(provider: Provider, fetch: Fetch, members: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(provider, FetchingProvider)
    assert all(map(provider.may_fetch, fetch.urls))
    values: dict[str, Any] = {"urls": list(fetch.urls), "answers": members.get("answers")}
    if "answers" in members:
        try:
            found = provider.fetched(fetch, [_bytes(one) for one in members["answers"]])
            values["then"] = seen(provider, found, members["then"])
        except BadRequest as problem:
            values["then"] = _seen_unreadable(str(problem), members["then"])
    return {name: values[name] if name in values else getattr(fetch, name, None) for name in members}


def _bytes(answer: object) -> bytes:
    return answer.encode("latin-1") if isinstance(answer, str) else json.dumps(answer).encode()


def mails(provider: Provider, case: Case) -> Iterator[Delivery]:
    """All that become of a case, those that are fetched too."""
    for event, expected in zip(provider.parse(case.post()), case.expected["mails"], strict=True):
        found: Delivery | Fetch | Unreadable = event
        members = expected
        then = members.get("then", {"unreadable": ""})
        while isinstance(found, Fetch) and isinstance(provider, FetchingProvider) and "unreadable" not in then:
            found = provider.fetched(found, [_bytes(one) for one in members["answers"]])
            members, then = then, then.get("then", {"unreadable": ""})
        if isinstance(found, Delivery):
            yield found


def _seen_delivery(delivery: Delivery, members: dict[str, Any]) -> dict[str, Any]:
    parts = delivery.parts
    values: dict[str, Any] = {
        "recipients": list(delivery.recipients),
        "raw": delivery.raw.decode("latin-1"),
        "raw_sha256": hashlib.sha256(delivery.raw).hexdigest(),
        "from": [mailbox.address for mailbox in parts.sender],
        "to": [mailbox.address for mailbox in parts.to],
        "received": delivery.received.isoformat(),
        "attachments": list(parts.attachments),
    }
    plain = {
        name: getattr(parts if name in ("subject", "text", "html") else delivery, name)
        for name in members
        if name not in values and hasattr(parts if name in ("subject", "text", "html") else delivery, name)
    }
    return {name: (values | plain).get(name) for name in members}
