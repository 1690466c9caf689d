"""The door out: the WebSocket endpoint and what it writes."""
