"""How boxes are drawn: size, aspect and place, by class, from labels alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from treering_trainer.analysis.distributions import distribution, merge
from treering_trainer.dataset import Boxes, Sample
from treering_trainer.measures import ClassShape, Distribution, Portrait, ShapeName

RANGES: dict[ShapeName, tuple[float, float]] = {
    "size": (0.0, 1.0),
    "aspect": (-2.0, 2.0),
    "x": (0.0, 1.0),
    "y": (0.0, 1.0),
}
"""Low and high of each measure's histogram."""


def class_shapes(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, ClassShape]:
    """The boxes of every class that has one.

    Size is the root of a box's share of the image, 0..1; aspect is log2 of width over height in pixels; x and y are the
    centre's place, 0..1.

    Args:
        names: class names that the boxes' indices point into.
    """
    rows = [_measured(sample) for sample in samples if len(sample.boxes)]
    if not rows:
        return {}
    values = np.concatenate(rows)
    owners = np.concatenate([np.full(len(sample.boxes), place) for place, sample in enumerate(samples)])
    return {
        names[int(index)]: _shape(values[values[:, 0] == index, 1:], len(np.unique(owners[values[:, 0] == index])))
        for index in np.unique(values[:, 0])
    }


def all_shapes(portraits: Iterable[Portrait]) -> dict[ShapeName, Distribution]:
    """The boxes of all classes of some portraits together; empty where there are none."""
    shapes = [shape for portrait in portraits for shape in portrait.classes.values()]
    merged = {name: merge(shape.shapes[name] for shape in shapes) for name in RANGES}
    return {name: found for name, found in merged.items() if found is not None}


def merge_classes(portraits: Iterable[Portrait]) -> dict[str, ClassShape]:
    """Each class over some portraits; looseness is the mean, weighted by the boxes that it rests on."""
    found: dict[str, list[ClassShape]] = {}
    for portrait in portraits:
        for name, shape in portrait.classes.items():
            found.setdefault(name, []).append(shape)
    return {name: _merged(parts) for name, parts in found.items()}


def _merged(parts: Sequence[ClassShape]) -> ClassShape:
    judged = [(part.looseness, part.judged) for part in parts if part.looseness is not None and part.judged]
    count = sum(number for _, number in judged)
    shapes = {name: merge(part.shapes[name] for part in parts) for name in RANGES}
    return ClassShape(
        boxes=sum(part.boxes for part in parts),
        images=sum(part.images for part in parts),
        shapes={name: shape for name, shape in shapes.items() if shape is not None},
        looseness=sum(value * number for value, number in judged) / count if count else None,
        judged=count,
    )


def _measured(sample: Sample) -> Boxes:
    """(n, 5): class, size, aspect, x, y."""
    index, x, y, width, height = sample.boxes.T
    aspect = np.log2(np.maximum(width * sample.width, 1e-6) / np.maximum(height * sample.height, 1e-6))
    return np.stack([index, np.sqrt(width * height), aspect, x, y], axis=1)


def _shape(values: Boxes, images: int) -> ClassShape:
    shapes = {name: distribution(values[:, place], *RANGES[name]) for place, name in enumerate(RANGES)}
    return ClassShape(boxes=len(values), images=images, shapes=shapes)
