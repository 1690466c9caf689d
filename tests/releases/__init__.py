"""Releases as they were, to run beside what is here: an upgrade loses nothing, forward and back."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

LAST = "0.2.0"


def unpack(folder: Path, version: str = LAST) -> str:
    """A program that is ``relay`` of that version, on the packages of now."""
    with tarfile.open(Path(__file__).parent / f"relay-{version}.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = staticmethod(tarfile.data_filter)
        archive.extractall(folder)  # noqa: S202  # Python before 3.11.4 knows no filter, and the archive is ours
    program = folder / "relay-command"
    # Its own folder comes first among those where Python looks: not the checkout.
    program.write_text(f"#!{sys.executable} -W error\nfrom relay.cli import main\n\nmain()\n")
    program.chmod(0o755)
    return str(program)
