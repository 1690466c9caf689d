"""Rows as a person reads them: a table on a terminal, tab-separated lines anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from relay.cli.console import for_people, printable


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str) -> None:
    """``nothing`` is said on a terminal when there are no rows."""
    if not for_people():
        for row in rows:
            print("\t".join(map(printable, row)))
        return
    if not rows:
        print(nothing)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
