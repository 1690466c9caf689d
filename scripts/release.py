"""Makes a release in this checkout: the section of CHANGELOG.md, the version in its files, a commit and a tag.

`make release VERSION=0.2.0` runs it. It never pushes. Nothing is changed before all checks have passed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_TOWNCRIER = (sys.executable, "-m", "towncrier", "build")
_SECTION = re.compile(r"^## (\S+)", re.M)

# Where the version stands: a file, what is before the version there, and what is behind it. The chart has a version of
# its own, which rises with every change of the chart; another appVersion is such a change.
PLACES = (
    ("relay/__init__.py", '__version__ = "', '"'),
    ("Dockerfile", 'org.opencontainers.image.version="', '"'),
    ("helm/Chart.yaml", "\nversion: ", "\n"),
    ("helm/Chart.yaml", 'appVersion: "', '"'),
)


class NotReleased(Exception):
    """The text says what is in the way."""


def release(version: str, date: str) -> str:
    """Releases ``version``, dated ``date`` (YYYY-MM-DD). Returns the name of the tag. Raises NotReleased."""
    tag = f"v{version}"
    _check(version, tag)
    for file, text in _with_version(version).items():
        file.write_text(text)
    _run(*_TOWNCRIER, "--yes", "--version", version, "--date", date)
    _run("git", "add", "--all")
    why = f"CHANGELOG.md has what changed. The files of changes/ became its section {version}."
    _run("git", "commit", "--quiet", "--message", f"Release {version}", "--message", why)
    _run("git", "tag", "--annotate", tag, "--message", f"relay {version}")
    return tag


def _check(version: str, tag: str) -> None:
    if not _VERSION.fullmatch(version):
        raise NotReleased("say which version: make release VERSION=0.2.0 (three numbers)")
    if _run("git", "status", "--porcelain"):
        raise NotReleased("there are changes that are not committed: git status")
    if _run("git", "tag", "--list", tag):
        raise NotReleased(f"the tag {tag} is there already")
    newest = _SECTION.search((ROOT / "CHANGELOG.md").read_text())
    if newest and _numbers(version) <= _numbers(newest[1]):
        raise NotReleased(f"{version} is not newer than {newest[1]}, the newest section of CHANGELOG.md")
    if not any((ROOT / "changes").glob("*.*.md")):
        raise NotReleased("changes/ is empty: nothing has changed since the last release")
    _run(*_TOWNCRIER, "--draft", "--version", version)  # a file with a wrong name is told here


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _with_version(version: str) -> dict[Path, str]:
    """The files of PLACES as they shall be. Raises NotReleased: one of them has changed its form."""
    texts: dict[Path, str] = {}
    for name, before, behind in PLACES:
        file = ROOT / name
        text = texts.get(file) or file.read_text()
        pattern = f'({re.escape(before)})[0-9][^"\n]*({re.escape(behind)})'
        texts[file], places = re.subn(pattern, rf"\g<1>{version}\g<2>", text)
        if places != 1:
            raise NotReleased(f"{name} has the version behind {before.strip()!r} in {places} places, not in one")
    return texts


def _run(*command: str) -> str:
    """What the command printed. Raises NotReleased: it failed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NotReleased(f"{' '.join(command[:4])} failed (git reset --hard takes back what was changed)\n{said}")
    return done.stdout.strip()


def main() -> None:
    """The version is the one argument."""
    try:
        tag = release(" ".join(sys.argv[1:]), f"{datetime.now(UTC):%Y-%m-%d}")
    except NotReleased as exc:
        sys.exit(f"Not released: {exc}")
    print(f"Committed and tagged {tag}. Look at it (git show {tag}), then: git push --follow-tags")


if __name__ == "__main__":
    main()
