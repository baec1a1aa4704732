"""What a line keeps of its deliveries besides images: portraits in numbers, and a sample of features, in one file.

Written by the export stage as `statistics.json`, published with the model, read by the next round's analyse. Features
belong to the model that gave them: when a model is replaced, what is kept is translated into the new one's space by a
linear map that is fitted on images which both models saw. Numbers only; there is no way back to a picture.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from treering_trainer.measures import Portrait

Floats = NDArray[np.float64]
LEAST_PAIRS = 10
"""Images that both models must have seen before old features are translated; with fewer they are dropped."""


class Features(BaseModel):
    """Rows of features with where each comes from; half precision, base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = 0
    sources: tuple[str, ...] = Field(default=(), description="increment of each row")
    labels: tuple[str, ...] = Field(default=(), description="SHA-256 of each image, or class name of each box")
    data: str = Field(default="", description="little-endian float16, row after row")

    @classmethod
    def of(cls, rows: Floats, sources: Sequence[str], labels: Sequence[str]) -> Features:
        """Rows (n, features) with n sources and n labels."""
        if not len(rows):
            return cls()
        data = base64.b64encode(np.clip(rows, -6e4, 6e4).astype("<f2").tobytes()).decode("ascii")
        return cls(width=rows.shape[1], sources=tuple(sources), labels=tuple(labels), data=data)

    def rows(self) -> Floats:
        """(n, features)."""
        raw = np.frombuffer(base64.b64decode(self.data), dtype="<f2").astype(np.float64)
        return raw.reshape(len(self.sources), self.width)

    def joined(self, other: Features) -> Features:
        """These rows and the other ones, of the same width."""
        parts = [part for part in (self, other) if part.sources]
        if len(parts) < 2:
            return parts[0] if parts else self
        rows = np.concatenate([self.rows(), other.rows()])
        return Features.of(rows, (*self.sources, *other.sources), (*self.labels, *other.labels))

    def chosen(self, places: Sequence[int]) -> Features:
        """The rows at these places."""
        return Features.of(
            self.rows()[list(places)], [self.sources[at] for at in places], [self.labels[at] for at in places]
        )

    def thinned(self, most: int, seed: int) -> Features:
        """At most so many rows, chosen by chance, in their order."""
        if len(self.sources) <= most:
            return self
        return self.chosen(sorted(np.random.default_rng(seed).permutation(len(self.sources))[:most]))

    def translated(self, before: Floats, after: Floats) -> Features:
        """The rows as another model would have them.

        Args:
            before: (pairs, features) what the model of these rows gives for some images or boxes.
            after: (pairs, other features) what the other model gives for the same.
        """
        if not self.sources or len(before) < LEAST_PAIRS or before.shape[1] != self.width:
            return Features()
        mean, other_mean = before.mean(axis=0), after.mean(axis=0)
        centred = before - mean
        penalty = 1e-2 * max(float((centred**2).sum()) / before.shape[1], 1e-9)
        squares = centred.T @ centred + penalty * np.eye(before.shape[1])
        weights = np.linalg.solve(squares, centred.T @ (after - other_mean))
        return Features.of((self.rows() - mean) @ weights + other_mean, self.sources, self.labels)


class Statistics(BaseModel):
    """Everything kept of what a line learned so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    portraits: tuple[Portrait, ...] = ()
    images: Features = Field(default=Features(), description="in the space of the model that they are published with")
    boxes: Features = Features()
