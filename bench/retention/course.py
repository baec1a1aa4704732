"""A course: deliveries one after the other, hold-outs, and which scores count as old and new after each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.retention.source import digest_of
from treering_trainer.dataset import Sample, remap, write_dataset

READY = ".ready"


@dataclass(frozen=True, eq=False)
class Holdout:
    """What models are measured on; boxes index into the course's names."""

    name: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One delivery.

    Args:
        samples: with all their boxes, which index into the course's names.
        classes: what the delivery is labelled for.
        old: cells (`hold-out/class`) that the column "old" is the mean of.
        new: cells of the column "new"; empty where the scenario has no such thing.
        known: cells that the model before it had learned; what is lost on them is forgotten.
    """

    name: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """What the column "all" is the mean of."""
        return tuple(dict.fromkeys((*self.old, *self.new)))


@dataclass(frozen=True, eq=False)
class Course:
    """What one scenario makes of a data set with one seed.

    Args:
        names: every class, in the order in which they come.
    """

    scenario: str
    seed: int
    names: tuple[str, ...]
    steps: tuple[Step, ...]
    holdouts: tuple[Holdout, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over everything that is learned and measured."""
        parts = [(f"{step.name}{step.classes}", step.samples) for step in self.steps]
        return digest_of(self.names, [*parts, *((item.name, item.samples) for item in self.holdouts)])

    def seen(self, count: int) -> tuple[str, ...]:
        """Classes after the first `count` deliveries, in the order of `names`."""
        known = {name for step in self.steps[:count] for name in step.classes}
        return tuple(name for name in self.names if name in known)

    def together(self, count: int) -> tuple[Sample, ...]:
        """Every image of the first `count` deliveries once, with all its boxes, of classes to come as well."""
        samples: dict[str, Sample] = {}
        for step in self.steps[:count]:
            for sample in step.samples:
                samples.setdefault(sample.sha256, sample)
        return tuple(samples.values())

    def write_holdouts(self, folder: Path) -> dict[str, Path]:
        """The hold-outs as folders in YOLO layout, by name."""
        return {
            item.name: write(folder / f"holdout-{item.name}", item.samples, self.names, self.names, "val")
            for item in self.holdouts
        }

    def write_step(self, folder: Path, index: int) -> Path:
        """A delivery as a folder in YOLO layout, labelled for its own classes."""
        step = self.steps[index]
        return write(folder / step.name, step.samples, self.names, step.classes)


def write(
    folder: Path,
    samples: Sequence[Sample],
    names: Sequence[str],
    classes: Sequence[str],
    split: str = "train",
    *,
    listed: Sequence[str] | None = None,
    link: bool = True,
) -> Path:
    """Write samples with their boxes of `classes`; what is there already is taken as it is.

    Args:
        names: what the samples' boxes index into.
        listed: the class list of the folder, where it is longer than `classes`.
        link: False copies the pictures, for readers that mend broken ones in place, as ultralytics does.
    """
    if (folder / READY).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    kept = [only(sample, names, classes) for sample in samples]
    into = tuple(listed or classes)
    told = [replace(sample, boxes=remap(sample.boxes, names, into)) for sample in kept]
    write_dataset(folder, told, into, "val" if split == "val" else "train", link=link)
    (folder / READY).touch()
    return folder


def only(sample: Sample, names: Sequence[str], classes: Sequence[str]) -> Sample:
    """The sample with its boxes of `classes` alone; they go on indexing into `names`."""
    wanted = [index for index, name in enumerate(names) if name in classes]
    return replace(sample, boxes=sample.boxes[[int(row[0]) in wanted for row in sample.boxes]])
