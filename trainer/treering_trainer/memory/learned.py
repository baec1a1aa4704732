"""What a line has learned from, picture by picture: the memory keeps a share of them, and none may become a measure.

Written by the export stage as `learned.json`, published with the model, read by verify. Only digests: some 90 bytes for
each picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from treering_trainer.dataset import DataSet, Sample, no_boxes


class Learned(BaseModel):
    """Every train picture so far, under the increment that it was first learned with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    increments: dict[str, dict[str, str]] = Field(
        default={}, description="by increment: SHA-256 of the image file → 64-bit perceptual hash, hexadecimal"
    )

    def with_train(self, datasets: Iterable[DataSet]) -> Learned:
        """This, and the train pictures of `datasets`."""
        seen = {sha256 for pictures in self.increments.values() for sha256 in pictures}
        grown = {name: dict(pictures) for name, pictures in self.increments.items()}
        for dataset in datasets:
            for sample in dataset.train:
                if sample.sha256 not in seen:
                    seen.add(sample.sha256)
                    grown.setdefault(dataset.name, {})[sample.sha256] = f"{sample.phash:016x}"
        return Learned(increments=grown)

    def datasets(self) -> tuple[DataSet, ...]:
        """The pictures as train samples, for comparing alone: there are neither files nor boxes."""
        return tuple(
            DataSet(name, "increment", (), train=tuple(_known(*item) for item in pictures.items()), val=())
            for name, pictures in self.increments.items()
        )


def _known(sha256: str, phash: str) -> Sample:
    return Sample(sha256[:24], Path(sha256[:24]), no_boxes(), 0, 0, sha256, int(phash, 16))
