"""What an account's inboxes hold: reading it, and changing what its owner may change."""

from __future__ import annotations

from relay.mailbox.mailbox import Listing, Mailbox, Usage, Wanted
from relay.mailbox.stored_message import MessageSummary, StoredMessage

__all__ = ["Listing", "Mailbox", "MessageSummary", "StoredMessage", "Usage", "Wanted"]
