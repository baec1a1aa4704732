"""What a reader of one format hands over: pictures with their split and marks, class names, findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from treering_trainer.dataset.formats.splits import SplitWord
from treering_trainer.dataset.marks import Marks
from treering_trainer.records import Finding


@dataclass(frozen=True)
class Entry:
    """A picture by key, its split, and what was drawn on it; None: nobody looked."""

    key: str
    split: SplitWord
    marks: Marks | None


@dataclass
class Reading:
    """A whole data set as its annotation files tell it.

    Attributes:
        format: for people, such as `COCO`.
        names: class names; marks index into them.
        label_suffix: of the label file that a picture without one lacks.
    """

    format: str
    names: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    label_suffix: str = ".json"

    def index(self, name: str) -> int:
        """The index of a class, which is taken in if it is new."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def add(self, severity: Literal["error", "warning", "info"], code: str, where: str, found: str, mend: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(severity=severity, code=code, where=where, found=found, mend=mend))


def number(value: Any) -> float | None:
    """A number out of JSON as a float, NaN and infinity included; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def numbers(values: Any) -> list[float] | None:
    """A list of numbers; None where it is anything else."""
    if not isinstance(values, list):
        return None
    found = [number(value) for value in values]
    return [item for item in found if item is not None] if None not in found else None


def size(value: Any) -> float:
    """A picture's side in pixels; 0 where none is stated."""
    found = number(value)
    return found if found is not None and 0 < found < 1e6 else 0.0


def parsed(text: str | None) -> float:
    """A number in XML; NaN where it is none, which becomes a finding with the box."""
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def is_set(value: str | None) -> bool:
    """Whether an XML flag is set: `1`, `true`."""
    return (value or "").strip().casefold() in ("1", "true")
