"""Recent Activity: what happened to the mail of an account, for the person who asks why nothing arrived.

Rooms tell the :class:`Recorder`, which never waits; it writes to streams in Redis, one for each account and one for the
operator over all. The :class:`Reader` shows them, as sentences that say what to do.
"""

from __future__ import annotations

from relay.activity.journal import BadCursor, Journal, Page
from relay.activity.reader import Reader
from relay.activity.recorder import Recorder

__all__ = ["BadCursor", "Journal", "Page", "Reader", "Recorder"]
