"""Why there is no more mail. No text holds the key."""

from __future__ import annotations

from relay.errors import RelayError


class NotWanted(RelayError):
    """The server says not to come back: mend what its sentence, the error's text, names."""

    def __init__(self, text: str, *, code: int) -> None:
        """``code`` is the close code of the WebSocket (4400, 4401, 4403, 1009), or the HTTP status before it opened."""
        self.code = code
        super().__init__(text)


class Lost(RelayError):
    """There is no connection (any more), and another may be had. Raised with ``reconnect=False`` only."""

    def __init__(self, text: str, *, asked_seconds: float = 0.0, restarts: bool = False) -> None:
        """``asked_seconds``: the server wants nobody earlier; ``restarts``: everybody has lost his at this moment."""
        self.asked_seconds = asked_seconds
        self.restarts = restarts
        super().__init__(text)


class Unusable(RelayError):
    """What answers is no relay, is not trusted, or sent a message that is larger than may be read."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        """``passing``: where there was a relay before, there may be one again."""
        self.passing = passing
        super().__init__(text)


class BadState(RelayError):
    """The state file cannot be read, written or had for oneself; the text names it."""
