"""The ratios that are wanted, each measured within one run: the table of the issue that asked for this bench."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.cost import Reading
from bench.workloads.fanout import KB

Readings = Mapping[str, Reading]
_MET, _MISSED, _NOT_MEASURED = "met", "missed", "not measured"
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
            return f"no {missing.args[0]}", _NOT_MEASURED
        return f"{measured:,.2f}{self.unit}", _MET if measured <= self.limit else _MISSED

    @property
    def wanted(self) -> str:
        return f"≤ {self.limit:g}{self.unit}"


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
)


def rows(readings: Readings) -> list[tuple[str, str, str, str]]:
    """Measure, wanted, measured, verdict."""
    return [(goal.measure, goal.wanted, *goal.verdict(readings)) for goal in GOALS]
