"""docs/decisions and docs/how-to: each page has its parts, is listed, and speaks of files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
HOW_TO = sorted(path for path in (ROOT / "docs" / "how-to").glob("*.md") if path.name != "README.md")
PARTS = ["Question", "Found", "Decided", "Price", "Reconsider when"]
_PATH = re.compile(r"`((?:relay|tests|docs|bench|chaos|scripts|helm|changes)/[\w./-]+)`")


def test_numbers_have_no_hole() -> None:
    assert [int(path.name.split("-")[0]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_parts(page: Path) -> None:
    text = page.read_text()
    number = int(page.name.split("-")[0])
    assert text.startswith(f"# {number}. ")
    parts = re.split(r"^\*\*(.+?)\*\*", text, flags=re.M)[1:]
    told = {name.rstrip(".,"): what for name, what in zip(parts[::2], parts[1::2], strict=True)}
    for part in PARTS:
        assert part in told, part
        assert len(told[part].split()) >= 10, part


@pytest.mark.parametrize(("folder", "pages"), [("decisions", DECISIONS), ("how-to", HOW_TO)])
def test_all_pages_are_listed_by_their_titles(folder: str, pages: list[Path]) -> None:
    listed = re.findall(r"\[([^\]]+)\]\(([\w-]+\.md)\)", (ROOT / "docs" / folder / "README.md").read_text())
    titles = {page.name: re.sub(r"^# (\d+\. )?", "", page.read_text().splitlines()[0]) for page in pages}
    assert {file: title for title, file in listed} == titles
    assert pages


@pytest.mark.parametrize("page", [*DECISIONS, *HOW_TO], ids=lambda path: path.stem)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    for name in _PATH.findall(page.read_text()):
        assert (ROOT / name).exists(), name
