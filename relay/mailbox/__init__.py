"""What an account's inboxes hold: reading it, and changing what its owner may change."""

from __future__ import annotations

from relay.mailbox.kept import Kept
from relay.mailbox.mailbox import Mailbox

__all__ = ["Kept", "Mailbox"]
