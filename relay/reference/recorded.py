"""The answers that the examples really got: answers/, which ``python -m tests.reference.test_examples`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from relay.reference.vocabulary import Noun

FOLDER = Path(__file__).with_name("answers")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer. Times, ids and keys in it are stand-ins, the same at each recording."""

    status: int
    media_type: str  # "" = there was no body
    headers: Mapping[str, str]  # those that the reference speaks of
    body: Any  # JSON, or text; None when there was none


def recorded_answers(noun: Noun) -> dict[tuple[str, str], Recorded]:
    """By operation and example."""
    path = FOLDER / f"{noun.name}.json"
    known = orjson.loads(path.read_bytes()) if path.exists() else {}
    return {
        (operation, example): Recorded(**answer)
        for operation, examples in known.items()
        for example, answer in examples.items()
    }


def frames() -> dict[str, Any]:
    """A frame of each kind, by its name."""
    path = FOLDER / "frames.json"
    known: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return known
