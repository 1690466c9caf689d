"""CHANGELOG.md, and the files in changes/ that its next section is made of."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from relay import __version__

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CHANGELOG.md").read_text()
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
HEAD, *SECTIONS = re.split(r"^## ", TEXT, flags=re.M)
FRAGMENTS = sorted(
    path for path in (ROOT / "changes").iterdir() if path.name not in {"README.md", "template.md.jinja"}
)


def title(section: str) -> re.Match[str]:
    found = re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)", section.splitlines()[0])
    assert found, section.splitlines()[0]
    return found


def entries(text: str) -> list[str]:
    """Each on one line, without its dash."""
    return [re.sub(r"\s+", " ", found) for found in re.findall(r"^- (.+\n(?:  .+\n)*)", text, re.M)]


def opening(entry: str) -> str:
    """What two versions of one entry have in common."""
    return " ".join(entry.split()[:8])


def test_versions_and_dates_fall() -> None:
    assert SECTIONS
    versions = [tuple(map(int, title(section)[1].split("."))) for section in SECTIONS]
    dates = [date.fromisoformat(title(section)[2]) for section in SECTIONS]
    assert all(newer > older for newer, older in pairwise(versions))
    assert all(newer >= older for newer, older in pairwise(dates))


def test_the_newest_section_is_this_version_or_the_next_is_being_written() -> None:
    newest = title(SECTIONS[0])[1]
    assert newest == __version__ or FRAGMENTS, "a version without a section, and nothing in changes/ to make it of"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split()[0])
def test_a_section_is_kinds_and_entries_and_nothing_else(section: str) -> None:
    _, *rest = section.splitlines()
    kinds = [line.removeprefix("### ") for line in rest if line.startswith("#")]
    assert kinds == [kind for kind in KINDS if kind in kinds]
    before = ""
    for line in rest:
        assert re.match(r"$|### |- \S|  \S", line), line
        assert not line.startswith("  ") or before.startswith(("- ", "  ")), f"{line!r} belongs to no entry"
        assert len(line) <= 120, line
        before = line


def test_no_entry_stands_twice() -> None:
    openings = [opening(entry) for entry in entries(TEXT)]
    assert len(openings) > 100
    assert sorted(openings) == sorted(set(openings))


def test_an_entry_is_whole() -> None:
    # What a merge leaves behind of another version: "... through the browser's Back. wait. A large message is ..."
    for entry in entries(TEXT):
        assert not re.search(r"[a-z]{2}\. [a-z]+[ ,.]", entry), entry
        assert re.search(r"[.)]\s*$", entry), entry


def test_the_next_section_can_be_made() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9", "--date", "2099-01-01"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(entries(done.stdout)) == len(FRAGMENTS)


def test_a_fragment_is_one_entry() -> None:
    for fragment in FRAGMENTS:
        lines = fragment.read_text().strip().splitlines()
        assert 1 <= len(lines) <= 5, fragment.name
        assert not any(line.startswith(("#", "- ")) for line in lines[1:]), (
            f"{fragment.name}: one file for each change"
        )
