"""The memory of a line as a value: old images with their labels, named by content.

Read by `policies.replay` (what to mix in), written by the export stage, stored by the publish stage. The images lie in
the store under `bank/<sha256><suffix>`, shared by all rounds; a round's `memory.json` says which of them it keeps and
with which labels. Labels are kept by class name, so that a line's head order may grow without touching them, and what
people said is kept apart from what models guessed: a guess may change with every round and never overrules people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from treering_trainer.dataset import Sample

NamedBox = tuple[str, float, float, float, float]
"""Class, centre x, centre y, width, height; the last four are shares of the image."""
Guess = tuple[str, float, float, float, float, float]
"""A box that a model found: the same with its confidence, 0..1, at the end."""


class MemoryItem(BaseModel):
    """One remembered image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    suffix: str = Field(description="of the image file, with its dot")
    increment: str = Field(description="the delivery that it came with")
    width: int
    height: int
    phash: str = Field(description="64-bit perceptual hash, hexadecimal")
    classes: tuple[str, ...] = Field(description="classes that people spoke of; others are unknown, not absent")
    boxes: tuple[NamedBox, ...] = Field(description="class, centre x, centre y, width, height as shares of the image")
    guessed_classes: tuple[str, ...] = Field(default=(), description="classes that a model spoke of, beside people's")
    guesses: tuple[Guess, ...] = Field(default=(), description="objects that models found, with their confidence")
    unsure: tuple[Guess, ...] = Field(default=(), description="where models were unsure: neither object nor background")

    @property
    def key(self) -> str:
        """Name of the image in the line's bank."""
        return f"{self.sha256}{self.suffix}"

    @property
    def labels(self) -> tuple[NamedBox, ...]:
        """All objects: people's boxes and models' guesses."""
        return (*self.boxes, *(guess[:5] for guess in self.guesses))

    @property
    def spoken(self) -> frozenset[str]:
        """Classes that the labels speak of, people's and models'."""
        return frozenset((*self.classes, *self.guessed_classes))

    def people(self, names: Mapping[str, int]) -> NDArray[np.float64]:
        """People's boxes alone, (n, 5) with class indices from `names`; those of classes not named fall away."""
        return _rows(self.boxes, names)

    def to_sample(self, folder: Path, names: Mapping[str, int]) -> Sample:
        """The item as a sample, with class indices from `names`; boxes of classes that are not named fall away."""
        return Sample(
            name=self.sha256[:24],
            image=folder / f"{self.sha256}{self.suffix}",
            boxes=_rows(self.labels, names),
            width=self.width,
            height=self.height,
            sha256=self.sha256,
            phash=int(self.phash, 16),
            ignored=_rows((guess[:5] for guess in self.unsure), names),
        )

    @classmethod
    def of(cls, sample: Sample, names: tuple[str, ...], *, increment: str, classes: Iterable[str]) -> MemoryItem:
        """A memory of `sample`, whose class indices point into `names`."""
        return cls(
            sha256=sample.sha256,
            suffix=sample.image.suffix.lower(),
            increment=increment,
            width=sample.width,
            height=sample.height,
            phash=f"{sample.phash:016x}",
            classes=tuple(classes),
            boxes=tuple(named_box(row, names) for row in sample.boxes),
        )


def named_box(row: NDArray[np.float64], names: Sequence[str]) -> NamedBox:
    """A row of class index, centre x, centre y, width, height with the class's name."""
    x, y, width, height = (float(value) for value in row[1:5])
    return names[int(row[0])], x, y, width, height


def _rows(boxes: Iterable[NamedBox], names: Mapping[str, int]) -> NDArray[np.float64]:
    rows = [(names[name], *box) for name, *box in boxes if name in names]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 5)


class Memory(BaseModel):
    """All that a line remembers after a round.

    Version 1 had no guesses of their own: models' boxes stood among people's, and are read as such.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 2
    items: tuple[MemoryItem, ...] = ()


@dataclass(frozen=True)
class Remembered:
    """A memory whose images lie in `folder` on this machine."""

    memory: Memory
    folder: Path

    def samples(self, names: tuple[str, ...]) -> tuple[Sample, ...]:
        """The memory as samples with class indices into `names`."""
        index = {name: position for position, name in enumerate(names)}
        return tuple(item.to_sample(self.folder, index) for item in self.memory.items)
