"""Refuses a commit message that somebody who reads the log in a year cannot use. A hook of .pre-commit-config.yaml.

The subject stands alone: `git log --oneline` and `git blame` show nothing else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_MOST_CHARACTERS = 72  # of the subject: what is left of 80 columns beside the hash
_OF_GIT = re.compile(r"(Merge|Revert|fixup!|squash!|amend!) ")  # git writes these itself
_LEANS = re.compile(r"\b(the same|as above|as before|ditto|previous commit|last commit)\b", re.IGNORECASE)
_SCISSORS = "# ------------------------ >8"  # git cuts the message off here


def problems(message: str) -> list[str]:
    """What is wrong with a message, as sentences; empty when it will do. Lines that git removes do not count."""
    text = message.partition(_SCISSORS)[0]
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("#")]
    subject, *rest = "\n".join(lines).strip().split("\n")
    if _OF_GIT.match(subject):
        return []
    found = []
    if len(subject) > _MOST_CHARACTERS:
        found.append(f"The subject has {len(subject)} characters; {_MOST_CHARACTERS} at most.")
    if len(subject.split()) < 2 or subject.endswith("."):
        found.append("The subject is a headline: at least two words, no full stop.")
    if leaning := _LEANS.search(subject):
        found.append(f"The subject leans on another commit ({leaning[0]!r}): say what it means.")
    if rest and rest[0]:
        found.append("The second line is empty; the body begins on the third.")
    if not "".join(rest).strip():
        found.append("There is no body: say why the change is made.")
    return found


def main() -> None:
    """The one argument is the file that git has put the message into."""
    found = problems(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if found:
        sys.exit("\n".join([*found, "CONTRIBUTING.md, section Commits, has an example."]))


if __name__ == "__main__":
    main()
