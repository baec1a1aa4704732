"""The file of numbers: one row for each model that was measured, written anew after each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MAP50, MAP50_95 = 0, 1
FORWARD_COST = 1 / 3
"""What a forward pass costs beside one of training, which goes backward too."""


@dataclass(frozen=True)
class Cost:
    """What one training took.

    Args:
        image_passes: images shown in training.
        forward_passes: images that a model only looked at: pseudo-labels, teachers, importances; no evaluation.
        evaluated: images that models were measured on, which is counted in no comparison.
        seconds: of the round, all stages (bare ones: of `train()`); None where it was cut off in between.
        train_s: of these, inside training.
        wall_s: of the whole command, Python's start, and for lines that of the first try included.
        cpu_s: processor time of the command.
        probe_s: seconds of the speed probe around it, see `probe`; None where it was not taken.
        attempts: process starts that worked on it.
    """

    image_passes: int
    forward_passes: int = 0
    evaluated: int = 0
    seconds: float | None = None
    train_s: float | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    probe_s: float | None = None
    attempts: int = 1

    @property
    def passes(self) -> float:
        """Passes of training that it comes to."""
        return self.image_passes + FORWARD_COST * self.forward_passes


@dataclass(frozen=True)
class Row:
    """One model: a method after one delivery.

    Args:
        rate: learning rate that was asked for; None: the method's own.
        step: deliveries learned, from 1.
        scores: mAP50 and mAP50-95, 0..1, by cell (`hold-out/class`).
        old: cells of the column old; new: of the column new; known: what the model before knew.
        joint_passes: image passes of joint training at this place.
        strategy: how the round learned.
        cached: the numbers come from an earlier call.
        code: digest of the Treering that measured it, see `process.code_digest`.
    """

    scenario: str
    method: str
    seed: int
    rate: float | None
    step: int
    steps: int
    scores: Mapping[str, Sequence[float]]
    old: tuple[str, ...]
    new: tuple[str, ...]
    known: tuple[str, ...]
    cost: Cost
    joint_passes: int
    strategy: str = ""
    device: str = ""
    cached: bool = False
    code: str = ""

    @property
    def key(self) -> tuple[str, str, int, float | None, int]:
        """What tells it from all others."""
        return self.scenario, self.method, self.seed, self.rate, self.step

    def mean(self, which: str, metric: int = MAP50) -> float | None:
        """Mean over the cells of `old`, `new`, `known` or `all`; None where there are none. Unseen classes score 0."""
        cells = dict.fromkeys((*self.old, *self.new)) if which == "all" else getattr(self, which)
        values = [self.scores.get(cell, (0.0, 0.0))[metric] for cell in cells]
        return sum(values) / len(values) if values else None


@dataclass
class Book:
    """All rows of one file.

    Args:
        header: what all rows have in common; a file with another one is refused.
    """

    path: Path
    header: dict[str, Any]
    command: str = ""
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any], command: str = "") -> Book:
        """The file as an earlier call left it, or an empty one.

        Raises:
            SystemExit: it holds the numbers of another comparison.
        """
        known = json.loads(json.dumps(header))
        if not path.exists():
            return cls(path, known, command)
        book = cls.read(path)
        differing = [name for name in known if book.header.get(name) != known[name]]
        if differing:
            raise SystemExit(f"{path} holds numbers with other {', '.join(differing)}: give another --out")
        book.command = "; ".join(dict.fromkeys([*filter(None, book.command.split("; ")), command]))
        return book

    @classmethod
    def read(cls, path: Path) -> Book:
        """The file, whatever it compares."""
        data = json.loads(path.read_text())
        return cls(path, data["header"], data["command"], [_row(item) for item in data["rows"]])

    def has(self, scenario: str, method: str, seed: int, rate: float | None, step: int) -> bool:
        """Whether this model was measured."""
        return any(row.key == (scenario, method, seed, rate, step) for row in self.rows)

    def add(self, row: Row) -> None:
        """Take a row in, in place of one of the same name, and write the file."""
        self.rows = [other for other in self.rows if other.key != row.key] + [row]
        self.write()

    def write(self) -> None:
        """The whole file, atomically, with what follows from the rows."""
        from bench.retention.summary import derived, summarise

        data = {
            "command": self.command,
            "header": self.header,
            "summary": [asdict(item) for item in summarise(self.rows)],
            "rows": [{**asdict(row), **derived(row, self.rows)} for row in self.rows],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.part")
        beside.write_text(json.dumps(data, indent=1) + "\n")
        beside.replace(self.path)


def _row(data: dict[str, Any]) -> Row:
    names = Row.__dataclass_fields__
    known = {name: value for name, value in data.items() if name in names}
    groups = {name: tuple(known[name]) for name in ("old", "new", "known")}
    return Row(**{**known, **groups, "cost": Cost(**known["cost"])})
