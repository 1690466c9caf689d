"""The tables, for a terminal and for bench/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import goals, machine, results
from bench.relays import SETTINGS
from bench.results import Section

_GOAL_COLUMNS = ("measure", "goal", "measured", "verdict")
_WHAT = """\
Written by `{command}` on {date}, in {seconds:.0f} s. Costs are CPU time (user and system) of the service's own
process, everything on the loopback of one machine, service, Redis and load sharing its cores and nothing pinned:
compare ratios within this page. What each table measures and leaves out is said in `bench/workloads/`; a run in
which any socket missed any message is reported as failed and has no number.
Other than default in relay: {settings}. Beside Centrifugo and nchan RELAY_KEEP_MESSAGES is what they keep, and
RELAY_SOCKET_BUFFER_BYTES is 512 MiB, as Centrifugo's queue is.
"""


def show(console: Console, section: Section) -> None:
    """One section on the terminal."""
    console.print(_table(section.title, section.columns, section.rows))
    for line in (*section.notes, *(f"FAILED: {text}" for text in section.failed)):
        console.print(f"  {line}", highlight=False, markup=False)


def show_goals(console: Console, sections: list[Section], *, measured_only: bool) -> None:
    """The goals on the terminal."""
    rows = goals.rows(results.of(sections))
    if measured_only:
        rows = [row for row in rows if row[-1] != goals.NOT_MEASURED]
    if rows:
        console.print(_table("Goals", _GOAL_COLUMNS, rows))


def write(path: Path, sections: list[Section], *, command: str, seconds: float, plots: Sequence[Path]) -> None:
    """The whole report."""
    lines = ["# What relay costs", "", _what(command, seconds)]
    lines += ["## Goals", "", *_markdown(_GOAL_COLUMNS, goals.rows(results.of(sections))), ""]
    lines += [f"![{plot.stem}]({plot.name})\n" for plot in plots]
    for section in sections:
        lines += _section(section)
    lines += ["## Machine and versions", "", *_markdown(("", ""), machine.facts()), ""]
    path.write_text("\n".join(lines))


def _what(command: str, seconds: float) -> str:
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    settings = ", ".join(f"`{name}={value}`" for name, value in SETTINGS.items())
    return _WHAT.format(command=command, date=date, seconds=seconds, settings=settings)


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "", section.says, "")
    yield from _markdown(section.columns, section.rows)
    notes = [*section.notes, *(f"**failed:** {text}" for text in section.failed)]
    yield from ("", *(f"- {' '.join(note.split())}" for note in notes), *([""] if notes else []))


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table
