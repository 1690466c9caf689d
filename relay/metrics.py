"""What an operator can plot and be woken by, in Prometheus' terms. One registry for each service object."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters; each room touches its own."""

    def __init__(self) -> None:
        self.registry = every = CollectorRegistry()
        self.connected = Gauge("relay_bus_connected", "1 while the link to Redis stands", registry=every)
        self.sockets = Gauge("relay_sockets", "Open WebSockets that listen", registry=every)
        self.delivered = Counter("relay_deliveries", "Messages handed to a socket", registry=every)
        self.inbound = Counter(
            "relay_inbound", "Posts of senders, by HTTP status", ["sender", "status"], registry=every
        )
        self.recipients = Counter(
            "relay_recipients", "Envelope recipients, by outcome", ["sender", "outcome"], registry=every
        )
        self.closed = Counter("relay_socket_closes", "Sockets ended by us, by code", ["code"], registry=every)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
