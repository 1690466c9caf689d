"""What a mail must be like to end a wait, and in what another one differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.errors import BadRequest
from relay.regex import BadRegex, Pattern, compiled

_MAX_CHARACTERS = 1000  # of what is looked for
_SEARCHED = ("subject", "text", "html")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Conditions that must all hold; "" = any mail will do."""

    subject: str = ""  # stands in the subject, whatever its case
    sender: str = ""  # stands in an address or a name of From, whatever its case
    regex: str = ""  # RE2 syntax; matches somewhere in subject, text or HTML, see regex.py for how far it looks
    _pattern: Pattern | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, subject: str = "", sender: str = "", regex: str = "") -> Wanted:
        """Raises BadRequest: too long, or no regular expression."""
        for name, given in (("subject", subject), ("from", sender)):
            if len(given) > _MAX_CHARACTERS:
                raise BadRequest(f"{name} has more than {_MAX_CHARACTERS} characters", member=name)
        try:
            pattern = compiled(regex) if regex else None
        except BadRegex as error:
            raise BadRequest(f"regex {error}", member="regex") from None
        return cls(subject.casefold(), sender.casefold(), regex, pattern)

    @property
    def is_cheap(self) -> bool:
        """Whether to look at a small message takes less than to hand it to a thread."""
        return self._pattern is None or self._pattern.is_small

    def differs(self, message: Mapping[str, Any]) -> tuple[str, ...]:
        """The conditions that a message JSON does not meet: of "subject", "from", "regex"; () = it is wanted."""
        met = {
            "subject": self.subject in _text(message, "subject").casefold(),
            "from": self._is_sender(message.get("from")),
            "regex": self._is_found(message),
        }
        return tuple(name for name, holds in met.items() if not holds)

    def _is_sender(self, mailboxes: object) -> bool:
        entries = [one for one in mailboxes if isinstance(one, dict)] if isinstance(mailboxes, list) else []
        found = (_text(one, name).casefold() for one in entries for name in ("address", "name"))
        return not self.sender or any(self.sender in text for text in found)

    def _is_found(self, message: Mapping[str, Any]) -> bool:
        pattern = self._pattern
        return pattern is None or any(pattern.found_in(_text(message, name)) for name in _SEARCHED)


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
