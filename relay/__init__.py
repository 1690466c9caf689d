"""relay: inbound mail events over HTTP, one message shape, to authenticated WebSocket clients."""

__version__ = "0.2.0"
