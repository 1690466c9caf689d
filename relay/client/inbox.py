"""One inbox, for a program that waits for a certain mail: a test, a script, ``relay wait``.

It keeps a cursor: each mail that was waited for moves it on, so that no mail is missed between two waits, however long
the program does something else, and none is found twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from relay.client import instead
from relay.client.codes import code_in
from relay.client.errors import NotWanted, Unusable
from relay.errors import RelayError
from relay.network import is_loopback, reason_of, split

_LONGEST_WAIT_SECONDS = 60  # of one request; the service's limit
_ANSWER_SECONDS = 20.0  # beyond the wait
_PAUSE_SECONDS = 1.0  # before the next try when the service is away
_BEGINNING = "1970-01-01T00:00:00Z"
_PASSING = frozenset((408, 425, 429))


def _silent(_why: str) -> None:
    pass


class NothingCame(RelayError):
    """No mail was what was waited for. ``near_misses`` are those that came: list entries with ``differs``;
    ``other_addresses`` tells of mail for addresses that look like it: ``inbox``, ``from``, ``time`` and ``text``."""

    def __init__(
        self,
        text: str,
        near_misses: tuple[Mapping[str, Any], ...] = (),
        other_addresses: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        self.near_misses = near_misses
        self.other_addresses = other_addresses
        super().__init__(text)


class Unreached(NothingCame):
    """The service could not be asked, all the time."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that came."""

    entry: Mapping[str, Any]  # as the Messages API lists it: _id, from, to, subject, received, links, …
    text: str = field(repr=False)  # made from the HTML where the mail has no text

    @property
    def id(self) -> str:
        """Its ``_id``."""
        return str(self.entry["_id"])

    @property
    def subject(self) -> str:
        """ "" when it has none."""
        return str(self.entry.get("subject") or "")

    @property
    def links(self) -> tuple[str, ...]:
        """http and https URLs of text and HTML, in order."""
        return tuple(map(str, self.entry.get("links") or ()))

    @property
    def code(self) -> str | None:
        """The one-time code, see :func:`relay.client.codes.code_in`; None = there is none."""
        return code_in(self.text) or code_in(self.subject)


class Inbox:
    """One address of the account whose key it has. Close it, or use it in ``with``."""

    def __init__(
        self, url: str, *, key: str, address: str, since: str = "", on_away: Callable[[str], None] = _silent
    ) -> None:
        """``url``: base URL of the service, http or https. ``since``: a cursor, or a time such as 10m; "" = everything
        that is kept counts. ``on_away`` is told, when the service cannot be asked, why; once each time. Raises
        ValueError: no such URL."""
        self.address = address
        self.cursor = since
        self._away = ""  # why it cannot be asked; "" = it can
        self._on_away = on_away
        self._base = split(url, ("http", "https")).geturl().rstrip("/")
        self._http = httpx2.Client(
            headers={"Mailsac-Key": key}, timeout=_ANSWER_SECONDS, trust_env=not is_loopback(url)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def mark(self) -> str:
        """Where the inbox stands now: a ``since`` for which only what comes from here on counts. No clock is asked.

        Raises NotWanted, Unusable.
        """
        answer = self._ask("messages", {"limit": "1"})
        if answer is None:
            raise Unusable(f"{self._base} cannot be asked: {self._away}", passing=True)
        try:
            return str(answer.json()[0]["_id"])
        except IndexError:
            return _BEGINNING  # of an empty inbox everything is new
        except (ValueError, LookupError, TypeError) as error:
            raise _strange() from error

    def wait(self, *, subject: str = "", sender: str = "", regex: str = "", timeout_seconds: float = 30.0) -> Mail:
        """The first mail after the cursor that is so. ``subject`` and ``sender`` are parts of it, in any case;
        ``regex`` (RE2) is searched in subject, text and HTML.

        Raises NothingCame (Unreached: nor could the service be asked), NotWanted (the key or a value is wrong) and
        Unusable.
        """
        __tracebackhide__ = True  # of pytest: the line of the test matters
        conditions = {"subject": subject, "from": sender, "regex": regex}
        wanted = {name: value for name, value in conditions.items() if value}
        until, since, reached = time.monotonic() + timeout_seconds, self.cursor, False
        while True:
            seconds = min(max(until - time.monotonic(), 0), _LONGEST_WAIT_SECONDS)
            answer = self._ask("messages", {**wanted, "since": since, "wait": f"{seconds:.3f}", "limit": "1"})
            reached = reached or answer is not None
            if answer is not None and answer.status_code == 200 and (mail := self._mail(_entries(answer)[0])):
                return mail
            if time.monotonic() >= until:
                raise self._nothing(wanted, timeout_seconds) if reached else Unreached(self._why_away())
            if answer is None or answer.status_code == 200:  # it was away, or is now
                time.sleep(min(_PAUSE_SECONDS, max(until - time.monotonic(), 0)))
            else:
                since = answer.headers.get("relay-cursor", since)

    def _mail(self, entry: Mapping[str, Any]) -> Mail | None:
        """With its text; None: that cannot be had now. Only then the cursor stays."""
        message_id = str(entry["_id"])
        answer = self._get(f"/api/text/{quote(self.address, safe='@')}/{message_id}")
        if answer is None:
            return None
        self.cursor = message_id
        text = answer.text if answer.status_code == 200 else ""  # it was deleted meanwhile: it came all the same
        return Mail(entry, text)

    def _nothing(self, wanted: Mapping[str, str], timeout_seconds: float) -> NothingCame:
        answer = self._ask("near-misses", {**wanted, "since": self.cursor})
        said = f"nothing came for {self.address} within {timeout_seconds:g} s"
        if answer is None:
            return NothingCame(f"{said}; {self._why_away()}")
        misses, others = _listed(answer, "nearMisses"), _listed(answer, "otherAddresses")
        return NothingCame(f"{said}; {instead.told(misses, others)}", misses, others)

    def _why_away(self) -> str:
        return f"{self._base} cannot be asked: {self._away}"

    def _ask(self, noun: str, query: Mapping[str, str]) -> httpx2.Response | None:
        """None: the service is away, or wants to be asked later. Raises NotWanted."""
        __tracebackhide__ = True
        answer = self._get(f"/api/addresses/{quote(self.address, safe='@')}/{noun}", query)
        if answer is None or answer.status_code in (200, 204):
            return answer
        raise NotWanted(f"{self._base} answers {answer.status_code}: {sentence(answer)}", code=answer.status_code)

    def _get(self, path: str, query: Mapping[str, str] = MappingProxyType({})) -> httpx2.Response | None:
        given = {name: value for name, value in query.items() if value}
        limit_seconds = float(query.get("wait", 0)) + _ANSWER_SECONDS
        try:
            answer = self._http.get(f"{self._base}{path}", params=given, timeout=limit_seconds)
        except httpx2.HTTPError as error:
            self._is_away(reason_of(error))
            return None
        if answer.status_code in _PASSING or answer.status_code >= 500:
            self._is_away(f"it answers {answer.status_code}: {sentence(answer)}")
            return None
        self._away = ""
        return answer

    def _is_away(self, why: str) -> None:
        first, self._away = not self._away, why
        if first:
            self._on_away(why)


def _entries(answer: httpx2.Response) -> list[Mapping[str, Any]]:
    try:
        entries: list[Mapping[str, Any]] = answer.json()
        if entries and isinstance(entries[0]["_id"], str):
            return entries
    except (ValueError, LookupError, TypeError):
        pass
    raise _strange()


def _strange() -> Unusable:
    return Unusable("the answer is not relay's; is it the right URL?")


def _listed(answer: httpx2.Response, member: str) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(dict(one) for one in answer.json().get(member) or ())
    except (ValueError, TypeError, AttributeError):
        raise Unusable("the answer is not relay's; is it the right URL?") from None


def sentence(answer: httpx2.Response) -> str:
    """What a refusal says for a person; of another service its first line."""
    try:
        return str(answer.json()["error"])
    except (ValueError, LookupError, TypeError):
        return next(iter(answer.text.splitlines()), answer.reason_phrase)
