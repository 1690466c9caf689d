"""Two pictures: a delivery's cost against the number of sockets, and latency against rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cost import Reading
from bench.workloads.fanout import KB
from bench.workloads.latency import RATES

_CONTESTANTS = {  # name -> colour, marker
    "relay": ("#0b6e4f", "o"),
    "stock Starlette": ("#c1440e", "s"),
    "nchan": ("#3d5a98", "^"),
    "nchan + Redis": ("#7f9bd1", "v"),
    "Centrifugo + Redis": ("#8e5bb5", "P"),
    "bare send()": ("#777777", "D"),
}
_SHARES = {"50": ("#0b6e4f", "o"), "99": ("#d98e04", "s"), "99.9": ("#c1440e", "^")}


def draw(folder: Path, readings: Mapping[str, Reading]) -> list[Path]:
    """The pictures for which there is something to draw. Raises ImportError: no matplotlib."""
    import matplotlib  # noqa: PLC0415  # only who wants pictures needs it

    matplotlib.use("Agg")
    drawn = []
    for name, picture in (("cost.png", _cost), ("latency.png", _latency)):
        figure = picture(readings)
        if figure is not None:
            figure.savefig(folder / name, dpi=130, bbox_inches="tight")
            drawn.append(folder / name)
    return drawn


def _cost(readings: Mapping[str, Reading]) -> Any:
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, (colour, marker) in _CONTESTANTS.items():
        _line(axes, _points(readings, f"fanout.{name}.", f".{KB}"), name, colour, marker)
    if not axes.lines:
        return None
    axes.set(xscale="log", yscale="log", yticks=(2, 5, 10, 20, 50, 100, 200))
    axes.set(xlabel="sockets that get the message", ylabel="µs of CPU per delivery")
    axes.set_title("One message of 1 KB to many sockets: the service's CPU time per delivery")
    return _finished(figure, axes)


def _latency(readings: Mapping[str, Reading]) -> Any:
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for share, (colour, marker) in _SHARES.items():
        _line(axes, _points(readings, "latency.", f".p{share}"), f"p{share}", colour, marker)
    if not axes.lines:
        return None
    axes.set(
        yscale="log",
        xticks=RATES,
        xlabel="mails a second (3 KB, open loop)",
        ylabel="ms from POST due to frame read",
    )
    axes.set_title("Relay, Redis, sender and listener on one machine: from POST to frame")
    return _finished(figure, axes)


def _points(readings: Mapping[str, Reading], before: str, after: str) -> dict[int, Reading]:
    """By the number between the two."""
    return {
        int(name[len(before) : -len(after)]): reading
        for name, reading in readings.items()
        if name.startswith(before) and name.endswith(after) and name[len(before) : -len(after)].isdecimal()
    }


def _line(axes: Any, points: Mapping[int, Reading], label: str, colour: str, marker: str) -> None:
    """Medians, and bars from lowest to highest."""
    if not points:
        return
    at = sorted(points)
    medians = [points[x].median for x in at]
    below = [max(0.0, points[x].median - points[x].low) for x in at]
    above = [max(0.0, points[x].high - points[x].median) for x in at]
    bars = axes.errorbar(at, medians, yerr=[below, above], label=label, color=colour, marker=marker)
    bars[0].set_linewidth(1.8)


def _finished(figure: Any, axes: Any) -> Any:
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
