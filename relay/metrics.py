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
        self.refuses_writes = Gauge(
            "relay_redis_refuses_writes", "1 while Redis is full, a replica, or cannot save", registry=every
        )
        self.sockets = Gauge("relay_sockets", "Open WebSockets that listen", registry=every)
        self.delivered = Counter("relay_deliveries", "Messages handed to a socket", registry=every)
        self.recovered = Counter("relay_recovered", "Messages read after a loss of the link", registry=every)
        self.replayed = Counter("relay_replayed", "Messages sent to sockets that resumed", registry=every)
        self.replay_bytes = Gauge(
            "relay_replay_bytes", "Bytes that replays handed to sockets which have not taken them", registry=every
        )
        self.gaps = Counter("relay_gaps", "Gaps that listeners were told of", ["reason"], registry=every)
        self.trimmed = Counter("relay_trimmed", "Messages that made room in a full account", registry=every)
        self.probes_failed = Counter("relay_probes_failed", "Links to Redis found deaf", registry=every)
        self.duplicates = Counter(
            "relay_duplicates", "Recipients of events that were posted again", ["provider"], registry=every
        )
        self.inbound = Counter(
            "relay_inbound", "Posts of providers, by HTTP status", ["provider", "status"], registry=every
        )
        self.inbound_bytes = Gauge(
            "relay_inbound_bytes",
            "Bytes of bodies at the door, all and those not proven yet",
            ["of"],
            registry=every,
        )
        self.recipients = Counter(
            "relay_recipients", "Envelope recipients, by outcome", ["provider", "outcome"], registry=every
        )
        self.parked = Counter(
            "relay_parked",
            "Posts and events that could not be read, kept for the operator",
            ["provider"],
            registry=every,
        )
        self.fetches = Counter(
            "relay_fetches", "Tries to fetch a mail that a post announced", ["provider", "outcome"], registry=every
        )
        self.fetches_waiting = Gauge(
            "relay_fetches_waiting", "Mails still to be fetched, of all processes", registry=every
        )
        self.activity_dropped = Counter(
            "relay_activity_dropped", "Events that Recent Activity lacks, Redis being away or slow", registry=every
        )
        self.wrong_keys = Counter(
            "relay_wrong_keys", "Requests and sockets refused for their API key, by door", ["door"], registry=every
        )
        self.closed = Counter("relay_socket_closes", "Sockets ended by us, by code", ["code"], registry=every)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
