"""A delivery in numbers: what its images look like, how its boxes are drawn, and how loosely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from treering_trainer.analysis.looks import Told, look_at
from treering_trainer.analysis.shapes import class_shapes
from treering_trainer.dataset import Sample
from treering_trainer.measures import Portrait


def portray(
    name: str,
    samples: Sequence[Sample],
    names: Sequence[str],
    *,
    seed: int,
    most: int,
    workers: int = 1,
    on_image: Told | None = None,
) -> Portrait:
    """The portrait of some samples; boxes of all of them, looks of at most `most`, chosen by `seed`.

    Args:
        names: class names that the boxes point into.
    """
    return Portrait(
        name=name,
        images=len(samples),
        backgrounds=sum(not len(sample.boxes) for sample in samples),
        looks=look_at(some(samples, most, seed), workers=workers, on_image=on_image),
        classes=class_shapes(samples, names),
    )


def with_looseness(portrait: Portrait, looseness: Mapping[str, tuple[float, int]]) -> Portrait:
    """The portrait with how loosely its boxes are drawn, by class: value and boxes it rests on; of others, nothing."""
    judged = {name: looseness.get(name, (None, 0)) for name in portrait.classes}
    classes = {
        name: shape.model_copy(update={"looseness": judged[name][0], "judged": judged[name][1]})
        for name, shape in portrait.classes.items()
    }
    return portrait.model_copy(update={"classes": classes})


def some(samples: Sequence[Sample], most: int, seed: int) -> tuple[Sample, ...]:
    """At most so many of the samples, chosen by chance, in their order."""
    if len(samples) <= most:
        return tuple(samples)
    places = np.random.default_rng(seed).permutation(len(samples))[:most]
    return tuple(samples[int(place)] for place in np.sort(places))
