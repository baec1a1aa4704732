"""What a checked data set is: samples (a picture with its boxes) in two splits, under one list of class names.

Built by `read`, compared by `compare`, written by `write`; policies, memory and the trainer work on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from treering_trainer.records import Finding, SplitCount

Kind = Literal["increment", "holdout", "memory"]
Split = Literal["train", "val"]
Boxes = NDArray[np.float64]
"""Rows of `class index, x centre, y centre, width, height`; the last four are shares of the picture, 0..1."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One usable picture with its boxes; without any it is a background.

    Attributes:
        name: stem of the picture's file, unique inside its data set and split, also where case is ignored.
        image: the picture's file.
        boxes: shape (n, 5); the class is an index into the names of the data set.
        width: pixels, as shown, which is after the EXIF orientation; so is `height`.
        sha256: hex digest of the file's bytes.
        phash: perceptual hash, 64 bits; pictures that look alike differ in few of them.
        ignored: shape (n, 5), as `boxes`: inside each, nothing is learned about whether the class is there or not.
        labelled: whether people looked at it; else its boxes are none, and say nothing.
    """

    name: str
    image: Path
    boxes: Boxes
    width: int
    height: int
    sha256: str
    phash: int
    ignored: Boxes = field(default_factory=lambda: no_boxes())
    labelled: bool = True


@dataclass(frozen=True, eq=False)
class DataSet:
    """One increment, hold-out or memory: what of it may be learned from or measured on.

    Attributes:
        name: the name in the spec.
        kind: what it is for; a hold-out has samples in `val` only.
        names: class names in the line's words; boxes index into them.
        train: sorted by name; so is `val`.
    """

    name: str
    kind: Kind
    names: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]

    def samples(self) -> tuple[tuple[Split, Sample], ...]:
        """Every sample with its split, train first."""
        return (*(("train", sample) for sample in self.train), *(("val", sample) for sample in self.val))


@dataclass(frozen=True, eq=False)
class Checked:
    """A data set as it was read, and all that was seen on the way."""

    dataset: DataSet
    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]


def ignoring(sample: Sample, classes: Iterable[int]) -> Sample:
    """The sample, in which nothing is learned of these classes where there is no object."""
    rows = [(index, 0.5, 0.5, 1.0, 1.0) for index in classes]
    return replace(sample, ignored=np.concatenate([sample.ignored, np.asarray(rows, dtype=np.float64).reshape(-1, 5)]))


def no_boxes() -> Boxes:
    """The boxes of a background: shape (0, 5)."""
    return np.zeros((0, 5), dtype=np.float64)
