"""Deliveries whose labels and detections are written down: what a model says of them is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Glance

Row = tuple[float, ...]


def sample(number: int, boxes: Sequence[Row]) -> Sample:
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 5)
    return Sample(f"s{number}", Path(f"/nowhere/{number}.png"), rows, 640, 480, f"{number:064x}", number)


def scene(
    boxes: Sequence[Sequence[Row]], found: Sequence[Sequence[Row]], features: np.ndarray | None = None
) -> tuple[tuple[Sample, ...], Glance]:
    """Samples with these boxes (class, x, y, w, h) and what a model finds (the same and a confidence)."""
    samples = tuple(sample(number, rows) for number, rows in enumerate(boxes))
    count = sum(len(rows) for rows in boxes)
    seen = tuple(np.asarray(rows, dtype=np.float64).reshape(-1, 6) for rows in found)
    plain = np.zeros((count, 2)) if features is None else features
    return samples, Glance(images=np.zeros((len(samples), 2)), boxes=plain, found=seen)
