"""What a process that makes and measures one format is told, and what it leaves: plain data."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from treering_trainer.dataset import Sample

Row = tuple[float, float, float, float, float]
Found = tuple[float, float, float, float, float, float]
ITSELF = "pt"
"""The job that makes nothing and measures the model itself."""


class Plain(BaseModel):
    """Frozen, closed, JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Picture(Plain):
    """A sample to measure on; its boxes index into the model's names."""

    name: str
    image: Path
    boxes: tuple[Row, ...]
    width: int
    height: int

    @classmethod
    def of(cls, sample: Sample) -> Picture:
        """What of a sample is needed."""
        boxes = tuple(cast("Row", tuple(float(value) for value in row)) for row in sample.boxes)
        return cls(name=sample.name, image=sample.image, boxes=boxes, width=sample.width, height=sample.height)

    def sample(self) -> Sample:
        """The sample again, as far as it is needed."""
        boxes = np.asarray(self.boxes, dtype=np.float64).reshape(-1, 5)
        return Sample(self.name, self.image, boxes, self.width, self.height, str(self.image), 0)


class Pictures(Plain):
    """A set to measure on."""

    name: str
    pictures: tuple[Picture, ...]


class Job(Plain):
    """One format to make and to measure; with the name `pt`, the model itself is measured.

    Args:
        checkpoint: a `.pt` of ours.
        folder: where the format goes.
        scratch: where what is not kept may lie.
        calibration: pictures that a format with 8 bits is made with; never those that are measured on.
        image_size: pixels.
        device: as torch names it.
    """

    name: str
    checkpoint: Path
    folder: Path
    scratch: Path
    image_size: int
    device: str
    threads: int
    calibration: tuple[Path, ...] = ()
    sets: tuple[Pictures, ...] = ()


class SetResult(Plain):
    """Scores on one set, and what people see: boxes by picture, class, centre, sides (pixels), confidence."""

    name: str
    map50: float | None = Field(description="mean over the set's classes; None where it has no box")
    map50_95: float | None
    found: tuple[tuple[Found, ...], ...]


class Result(Plain):
    """What a process leaves."""

    files: tuple[str, ...] = Field(description="relative to the job's folder")
    size_bytes: int
    sets: tuple[SetResult, ...]
    latency_ms: float = Field(description="median of one picture, warm, without suppression")
    latency_p95_ms: float
    reference_ms: float = Field(description="of the model itself, in turns with it")
