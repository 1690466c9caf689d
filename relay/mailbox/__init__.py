"""What an account's inboxes hold: reading it, and changing what its owner may change."""

from __future__ import annotations

from relay.mailbox.kept import Entry, Kept
from relay.mailbox.mailbox import Listing, Mailbox, Wanted

__all__ = ["Entry", "Kept", "Listing", "Mailbox", "Wanted"]
