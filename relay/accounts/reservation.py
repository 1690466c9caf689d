"""One reserved address: its members, and how they stand in the Redis hash that publish.lua reads."""

from __future__ import annotations

from dataclasses import dataclass, fields

from relay.accounts import redis_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """An address as its owner sees it. Texts are "" when not set."""

    address: str  # canonical
    owner: str  # account id; "" when the address is free
    enablews: bool = False  # whether its mail is kept and sent to WebSockets
    info: str = ""  # the owner's own note
    forward: str = ""  # canonical address
    webhook: str = ""  # URL
    webhook_slack: str = ""  # URL
    webhook_slack_to_from: bool = False
    created_ms: int = 0  # Unix time in milliseconds; 0 when free
    updated_ms: int = 0

    @classmethod
    def of(cls, address: str, row: redis_fields.Fields) -> Reservation:
        """From the address hash; an empty one is a free address."""
        return cls(
            address=address,
            owner=redis_fields.text(row, "owner"),
            enablews=redis_fields.text(row, "enablews") == "1",
            info=redis_fields.text(row, "info"),
            forward=redis_fields.text(row, "forward"),
            webhook=redis_fields.text(row, "webhook"),
            webhook_slack=redis_fields.text(row, "webhookSlack"),
            webhook_slack_to_from=redis_fields.text(row, "webhookSlackToFrom") == "1",
            created_ms=redis_fields.number(row, "created"),
            updated_ms=redis_fields.number(row, "updated"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to set on an address; None leaves a member as it is, "" clears a text."""

    enablews: bool | None = None
    info: str | None = None
    forward: str | None = None
    webhook: str | None = None
    webhook_slack: str | None = None
    webhook_slack_to_from: bool | None = None

    def members(self) -> dict[str, str]:
        """The hash members to write; a bool is "1" or "0"."""
        given = {_MEMBERS[field.name]: getattr(self, field.name) for field in fields(self)}
        return {
            name: ("01"[value] if isinstance(value, bool) else value)
            for name, value in given.items()
            if value is not None
        }


# The hash has Mailsac's names, so that a person who looks into Redis finds what the API shows.
_MEMBERS = {
    "enablews": "enablews",
    "info": "info",
    "forward": "forward",
    "webhook": "webhook",
    "webhook_slack": "webhookSlack",
    "webhook_slack_to_from": "webhookSlackToFrom",
}

UNCHANGED = Change()
