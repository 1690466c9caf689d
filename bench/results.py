"""What a workload hands back: rows for people, readings by name for goals and plots."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.cost import Reading


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    quick: bool = False

    @property
    def repeats(self) -> int:
        return 2 if self.quick else 3


@dataclass(slots=True)
class Section:
    """One table of the report."""

    title: str
    says: str  # what is measured, what is not, in which unit
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)  # such as "fanout.relay.1000.1024"
    failed: list[str] = field(default_factory=list)  # what has no numbers, and why
    notes: list[str] = field(default_factory=list)


def of(sections: list[Section]) -> dict[str, Reading]:
    """The readings of all sections."""
    return {name: reading for section in sections for name, reading in section.readings.items()}
