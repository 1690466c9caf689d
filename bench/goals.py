"""What is wanted, each measured within one run: the tables of the issues that asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.contestants import CENTRIFUGO, MEMORY, RELAY
from bench.cost import Reading
from bench.workloads.fanout import KB

Readings = Mapping[str, Reading]
_MET, _MISSED, NOT_MEASURED = "met", "missed", "not measured"
_SPAN = (10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Goal:
    """One measure with its limit. ``value`` raises KeyError when something that it needs was not measured."""

    measure: str
    limit: float
    unit: str  # after the number: "× bare send()", " KiB"
    value: Callable[[Readings], float]

    def verdict(self, readings: Readings) -> tuple[str, str]:
        """What was measured, as text, and whether the goal is met."""
        try:
            measured = self.value(readings)
        except KeyError as missing:
            return f"no {missing.args[0]}", NOT_MEASURED
        return f"{measured:,.2f}{self.unit}", _MET if measured <= self.limit else _MISSED

    @property
    def wanted(self) -> str:
        return f"≤ {self.limit:,g}{self.unit}"


def _ratio(above: str, below: str) -> Callable[[Readings], float]:
    return lambda readings: readings[above].median / readings[below].median


def _median(name: str) -> Callable[[Readings], float]:
    return lambda readings: readings[name].median


def _spread(name: str, span: Iterable[int]) -> Callable[[Readings], float]:
    """Highest median over the lowest, of a name with ``{n}`` in it."""

    def value(readings: Readings) -> float:
        medians = [readings[name.format(n=n)].median for n in span]
        return max(medians) / min(medians)

    return value


def _beside_centrifugo(mail: str) -> Callable[[Readings], float]:
    return _ratio(f"passage.{RELAY}.{mail}.both", f"passage.{CENTRIFUGO}.{mail}.both")


_DELIVERY = f"fanout.relay.1000.{KB}"
_DELIVERY_TEXT = "delivery, 1 KB, 1,000 sockets"
_HANDSHAKE = "handshake, key check and subscription"
_SPREAD = " highest / lowest"

GOALS = (
    Goal(_DELIVERY_TEXT, 1.25, " × bare send()", _ratio(_DELIVERY, f"fanout.bare send().1000.{KB}")),
    Goal(_DELIVERY_TEXT, 0.35, " × stock", _ratio(_DELIVERY, f"fanout.stock Starlette.1000.{KB}")),
    Goal(_DELIVERY_TEXT, 1.0, " × nchan", _ratio(_DELIVERY, f"fanout.nchan.1000.{KB}")),
    Goal("the same, deflate, 10 KB mail", 1.5, " × plain, same size", _ratio("deflate.deflate", "deflate.plain")),
    Goal("idle socket on its own address, at 10,000", 4.0, " KiB", _median("idle.relay.10000")),
    Goal(_HANDSHAKE, 250.0, " µs", _median("handshake.relay")),
    Goal(_HANDSHAKE, 0.5, " × stock", _ratio("handshake.relay", "handshake.stock Starlette")),
    Goal("full ingest, 3 KB, 32 at once", 4.0, " × empty POST", _ratio("ingest.3 KB", "ingest.empty POST")),
    Goal(
        "one further delivery, 10 to 10,000 sockets", 1.2, _SPREAD, _spread(f"further.relay.{{n}}.{KB}", _SPAN[1:])
    ),
    Goal("a message, 10 to 10,000 addresses", 1.2, _SPREAD, _spread("mail.out.{n}", _SPAN)),
    Goal(
        "list of 20 messages: p95",
        5.0,
        " × empty GET",
        _ratio("reading.list of 20 messages.p95", "reading.empty GET.p95"),
    ),
    Goal("POST to frame, 500 mails/s: p99", 10.0, " × p50", _ratio("latency.500.p99", "latency.500.p50")),
    *(
        Goal(f"Redis for a mail of {mail} in and out", limit_us, " µs", _median(f"passage.{RELAY}.{mail}.redis"))
        for mail, limit_us in (("3 KB", 55.0), ("30 KB", 110.0), ("1 MB", 1_100.0))
    ),
    *(
        Goal(f"longest small post elsewhere, {mail} taken", 15.0, " ms", _median(f"large.{RELAY}.{mail}.beside"))
        for mail in ("25 MiB", "25 MiB of text")
    ),
    *(
        Goal(
            f"memory of a kept mail of {mail} in Redis",
            limit,
            " × the mail",
            _median(f"kept.{RELAY}.{mail}.ratio"),
        )
        for mail, limit in (("3 KB", 0.9), ("30 KB", 0.6))
    ),
    *(
        Goal(f"list of {listed:,} mails of 100 KB in Redis", limit_ms, " ms", _median(f"lists.{listed}.redis"))
        for listed, limit_ms in ((20, 0.5), (1_000, 12.0))
    ),
    *(
        Goal(f"a mail of {mail} in and out, with Redis", limit, f" × {CENTRIFUGO}", _beside_centrifugo(mail))
        for mail, limit in (("30 KB", 1.0), ("1 MB", 0.5))
    ),
    Goal(
        "delivery, deflate, 10 KB, 1,000 sockets, all counted",
        0.8,
        " × plain, not compressed",
        _ratio("deflate.deflate.whole", "deflate.not compressed.whole"),
    ),
    Goal(f"replay of 1,000 × 3 KB: {RELAY}", 21.0, " ms", _median(f"replay.{RELAY}.service")),
    Goal("replay of 1,000 × 3 KB: Redis", 4.0, " ms", _median(f"replay.{RELAY}.redis")),
    Goal("start with 100,000 addresses, first", 6.0, " s", _median("start.100000.first.whole")),
    Goal("start with 100,000 addresses, unchanged", 1.5, " s", _median("start.100000.unchanged.whole")),
    Goal("a mail of 3 KB in and out, memory://", 600.0, " µs", _median(f"passage.{MEMORY}.3 KB.both")),
)


def rows(readings: Readings) -> list[tuple[str, str, str, str]]:
    """Measure, wanted, measured, verdict."""
    return [(goal.measure, goal.wanted, *goal.verdict(readings)) for goal in GOALS]
