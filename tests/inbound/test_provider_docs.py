"""docs/providers/: a page for each provider, and the table of all, which no hand writes.

After a provider, one of its cases, its answers or the table at the top of its page has changed:

    .venv/bin/python -m tests.inbound.test_provider_docs
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from relay.inbound.providers import PROVIDERS
from relay.inbound.webhook.provider import Answers
from tests.inbound.cases import Case, cases, mails

FOLDER = Path(__file__).parents[2] / "docs" / "providers"
README = FOLDER / "README.md"
FACTS = ("Modes", "Proof", "Retries")
COLUMNS = (
    "provider",
    "modes",
    "proof",
    "retries",
    "answers: no proof; unreadable; too large; come again",
    "`raw`",
    "cases",
)
_FACT = re.compile(r"^\| (\w+) \| (.+) \|$", re.MULTILINE)
_CASES = cases()


def facts(name: str) -> dict[str, str]:
    """The first table of a provider's page."""
    page = (FOLDER / f"{name}.md").read_text()
    first = page.partition("\n|---|---|\n")[2].partition("\n\n")[0]
    return dict(_FACT.findall(first))


def table() -> list[str]:
    """Markdown, a row for each provider."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, sorted(PROVIDERS))]
    return [f"| {' | '.join(row)} |".replace("| --- ", "|---").replace("--- |", "---|") for row in rows]


def _row(name: str) -> tuple[str, ...]:
    known = facts(name)
    of_provider = [case for case in _CASES if case.provider == name]
    return (
        f"[{name}]({name}.md)",
        *(known.get(fact, "") for fact in FACTS),
        _answers(PROVIDERS[name](()).answers),
        _raw(of_provider),
        str(len(of_provider)),
    )


def _answers(answers: Answers) -> str:
    unreadable = "200, parked" if answers.unreadable == 200 else str(answers.unreadable)
    return f"{answers.not_proven}; {unreadable}; {answers.too_large}; {answers.unavailable}"


def _raw(of_provider: list[Case]) -> str:
    rebuilt = {
        delivery.raw_synthesized
        for case in of_provider
        if "mails" in case.expected
        for delivery in mails(PROVIDERS[case.provider](case.secrets), case)
    }
    words = {frozenset({False}): "as received", frozenset({True}): "rebuilt", frozenset({False, True}): "either"}
    return words.get(frozenset(rebuilt), "")


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_the_page_of_a_provider_says_what_the_table_needs(name: str) -> None:
    known = facts(name)
    assert [fact for fact in FACTS if not known.get(fact)] == []
    page = (FOLDER / f"{name}.md").read_text()
    assert f"/inbound/{name}" in page
    assert f"RELAY_{name.upper()}_SECRET" in page


def test_the_table_is_of_now() -> None:
    assert [line for line in README.read_text().splitlines() if line.startswith("|")] == table()


def test_what_could_not_be_confirmed_is_said_of_every_provider() -> None:
    section = README.read_text().partition("## What could not be confirmed")[2]
    said = re.findall(r"^- \*\*(\w+)\*\*: ", section, re.MULTILINE)
    assert said == sorted(said)
    assert set(said) == {*PROVIDERS, "brevo", "resend"}


def test_every_provider_has_cases_good_and_bad() -> None:
    assert set(Counter(case.provider for case in _CASES)) == set(PROVIDERS)
    for name in PROVIDERS:
        kinds = ["refused" in case.expected for case in _CASES if case.provider == name]
        assert set(kinds) == {False, True}, name
        assert len(kinds) >= 8, name


def _write() -> None:
    lines = README.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rest = [line for line in lines if not line.startswith("|")]
    README.write_text("\n".join([*rest[:first], *table(), *rest[first:], ""]))


if __name__ == "__main__":
    _write()
