"""``python -m bench``: measures, prints tables, writes bench/RESULTS.md and the pictures beside it.

    python -m bench                    everything, half an hour; `make peers` first, and all contestants take part
    python -m bench --quick            smaller and fewer, to see whether something has changed
    python -m bench --only fanout      one workload; what --out names is written, RESULTS.md is not

Exit code: 0 measured, also where goals are missed; 1 something could not be measured, or was lost.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import plots, report, results
from bench.child import Broken
from bench.results import Plan, Section
from bench.workloads import (
    connections,
    deflate,
    fanout,
    ingest,
    kept,
    large,
    latency,
    listening,
    lists,
    passage,
    providers,
    reading,
    replay,
    restart,
    stalled,
    start,
)

_FOLDER = Path(__file__).parent
_WORKLOADS: dict[str, Callable[[Plan], list[Section]]] = {
    "fanout": fanout.run,
    "stalled": stalled.run,
    "deflate": deflate.run,
    "listening": listening.run,
    "passage": passage.run,
    "ingest": ingest.run,
    "connections": connections.run,
    "large": large.run,
    "kept": kept.run,
    "providers": providers.run,
    "reading": reading.run,
    "lists": lists.run,
    "replay": replay.run,
    "latency": latency.run,
    "restart": restart.run,
    "start": start.run,
}


def main() -> int:
    """Returns the exit code."""
    options = _options()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every process that is started inherits it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started ends with us
    console, began = _console(), time.monotonic()
    sections: list[Section] = []
    for name in options.only or _WORKLOADS:
        with console.status(f"{name} ..."):
            measured = _measured(name, Plan(quick=options.quick))
        for section in measured:
            report.show(console, section)
        sections += measured
    report.show_goals(console, sections, measured_only=bool(options.only))
    if options.out:
        _write(console, options.out, sections, time.monotonic() - began)
    return 1 if any(section.failed for section in sections) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures what relay costs.")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: some minutes")
    parser.add_argument("--only", action="append", choices=_WORKLOADS, help="one workload; may be repeated")
    parser.add_argument("--out", type=Path, help="folder for RESULTS.md and PNGs (a full run: bench/)")
    options = parser.parse_args()
    if options.out is None and not options.only and not options.quick:
        options.out = _FOLDER
    return options


def _console() -> Console:
    """Wide enough for the tables where nobody has said how wide a line is."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _measured(name: str, plan: Plan) -> list[Section]:
    """A workload that breaks is a section that says so: the others are still measured."""
    try:
        return _WORKLOADS[name](plan)
    except (Broken, OSError):
        return [Section(name, "Could not be measured.", (name,), failed=[traceback.format_exc(limit=-3)])]


def _write(console: Console, folder: Path, sections: list[Section], seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        pictures = plots.draw(folder, results.of(sections))
    except ImportError:
        console.print("no pictures: they need matplotlib")
        pictures = []
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    report.write(folder / "RESULTS.md", sections, command=command, seconds=seconds, plots=pictures)
    console.print(f"written: {', '.join(path.name for path in [folder / 'RESULTS.md', *pictures])}")


if __name__ == "__main__":
    sys.exit(main())
