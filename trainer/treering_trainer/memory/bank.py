"""The memory of a line as a value: old images with their labels, named by content.

Read by `policies.replay` (what to mix in), written by the export stage, stored by the publish stage. The images lie in
the store under `bank/<sha256><suffix>`, shared by all rounds; a round's `memory.json` says which of them it keeps and
with which labels. Labels are kept by class name, so that a line's head order may grow without touching them.
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


class MemoryItem(BaseModel):
    """One remembered image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    suffix: str = Field(description="of the image file, with its dot")
    increment: str = Field(description="the delivery that it came with")
    width: int
    height: int
    phash: str = Field(description="64-bit perceptual hash, hexadecimal")
    classes: tuple[str, ...] = Field(description="classes that the labels speak of; others are unknown, not absent")
    boxes: tuple[NamedBox, ...] = Field(description="class, centre x, centre y, width, height as shares of the image")

    @property
    def key(self) -> str:
        """Name of the image in the line's bank."""
        return f"{self.sha256}{self.suffix}"

    def to_sample(self, folder: Path, names: Mapping[str, int]) -> Sample:
        """The item as a sample, with class indices from `names`; boxes of classes that are not named fall away."""
        rows = [(names[name], *box) for name, *box in self.boxes if name in names]
        return Sample(
            name=self.sha256[:24],
            image=folder / f"{self.sha256}{self.suffix}",
            boxes=np.asarray(rows, dtype=np.float64).reshape(-1, 5),
            width=self.width,
            height=self.height,
            sha256=self.sha256,
            phash=int(self.phash, 16),
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


class Memory(BaseModel):
    """All that a line remembers after a round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
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
