"""Wheels of a few hundred bytes, for tests that install: a folder of them is all that pip may look at."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    metadata: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Writes a pure wheel. ``metadata`` are more lines of METADATA. Returns the line of a lock, with its hash."""
    stem = f"{name.replace('-', '_')}-{version}"
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    content = dict(files or {}) | {
        f"{stem}.dist-info/METADATA": "\n".join([*head, ""]).encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    content[record] = "".join(f"{path},,\n" for path in [*content, record]).encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, body in content.items():
            archive.writestr(path, body)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def packed_again(folder: Path, name: str, package: Path, version: str) -> str:
    """A wheel of a pure package that is installed here, from its folder. Returns the line of a lock."""
    files = {
        f"{package.name}/{path.relative_to(package)}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    return make_wheel(folder, name, version, files=files)
