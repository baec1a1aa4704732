"""inversion: the old model draws what nobody has a picture of, and the round is shown that.

What a round's pictures do not show is forgotten, whatever else is done: COCO's person, merged with six cards on
pictures of cards, was gone after training, and nearly so with the backbone frozen. But a network holds enough of what
it has learned to draw it: pixels that follow its own loss and the statistics of its BatchNorm layers become pictures in
which it sees the class (Yin et al., DeepInversion, CVPR 2020; for detectors Chawla et al., DIODE, WACV 2021). What it
then sees in them, by its own confidence, is their label.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from treering_api import Inversion
from treering_trainer.dataset import Sample, box_counts, ignoring, no_boxes
from treering_trainer.policies.interface import Boxes, Detector, Policy, Situation, TrainingData
from treering_trainer.store import sha256_of

FIRST_CLASS, FURTHER_CLASS, MOST = 64, 4, 128
"""Pictures for one class, for each further one, and for all together: they cost more than their training does."""
MOST_OBJECTS = 4
"""In one picture."""
SIZES = 0.1, 0.8
"""Root of a box's area, in shares of the picture's side."""
SLIMMEST = 0.35
"""Of two sides of a box, the shorter one over the longer one, at least."""
CROWDED = 0.3
"""Share of a side that two boxes may have in common."""
FAINTEST = 0.1
"""Confidence from which on the model's boxes are not background."""
DUPLICATE = 0.7
"""IoU from which two of its boxes of a class are one, as in ultralytics' validation."""


@dataclass(frozen=True)
class _Source:
    """A model that draws.

    Args:
        known: classes that it speaks of.
        wanted: those that it is to draw.
    """

    detector: Detector
    known: tuple[str, ...]
    wanted: tuple[str, ...]


class InversionPolicy(Policy):
    """Adds drawn pictures to the memory of a round."""

    name = "inversion"
    after = ("replay", "pseudoLabels")  # what the pictures show is known then

    def __init__(self, settings: Inversion, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings

    def compose(self, data: TrainingData) -> TrainingData:
        """Draw the old classes that hardly a box shows."""
        folder, sources = self.situation.folder, self._sources(self.wanted(data))
        if folder is None or not sources:
            return data
        classes = sum(len(source.wanted) for source in sources)
        total, done = self._images(classes), 0
        samples: list[Sample] = []
        for source in sources:
            done += len(source.wanted)
            samples += self._drawn(source, total * done // classes - len(samples), folder, len(samples))
        names = data.names
        counts = Counter(names[int(row[0])] for sample in samples for row in sample.boxes)
        repeats = (*data.repeats, *(1.0,) * len(samples)) if data.repeats else ()
        return replace(
            data,
            memory=(*data.memory, *samples),
            repeats=repeats,
            drawn_images=len(samples),
            drawn_boxes=dict(sorted(counts.items())),
            image_passes=data.image_passes + self._cost(len(samples)),
        )

    def wanted(self, data: TrainingData) -> tuple[str, ...]:
        """Old classes that fewer boxes show than `minBoxes`.

        One that people marked, and that comes seldom all the same, is a rare one: drawn only where that is asked for.
        Without donors or a memory nobody can tell.
        """
        situation, settings = self.situation, self.settings
        told = situation.donors is not None or situation.memory.items or settings.classes == "rare"
        if not situation.incremental or not told:
            return ()
        counts = box_counts((*data.new, *data.memory), data.names)
        passed = _marked(data, situation) if settings.classes == "unmarked" else ()
        return tuple(name for name in situation.old_names if counts[name] < settings.min_boxes and name not in passed)

    def _cost(self, images: int) -> int:
        assert self.situation.toolbox is not None, "a round that trains has its toolbox"
        return round(images * self.situation.toolbox.drawing_passes(self.settings.steps))

    def _images(self, classes: int) -> int:
        return self.settings.images or min(FIRST_CLASS + FURTHER_CLASS * (classes - 1), MOST)

    def _sources(self, wanted: Sequence[str]) -> list[_Source]:
        """Who draws which classes; one that no network here can draw is left out."""
        situation, open_names, found = self.situation, list(wanted), list[_Source]()
        models = (
            [(situation.teacher, situation.old_names)]
            if situation.donors is None
            else [(donor.detector, donor.classes) for donor in situation.donors]
        )
        for detector, known in models:
            mine = tuple(name for name in open_names if name in known)
            if detector is not None and mine:
                found.append(_Source(detector, tuple(known), mine))
                open_names = [name for name in open_names if name not in mine]
        return found

    def _drawn(self, source: _Source, count: int, folder: Path, first: int) -> Iterator[Sample]:
        situation = self.situation
        assert situation.toolbox is not None, "a round that trains has its toolbox"
        places = [source.detector.names.index(name) for name in source.wanted]
        scenes = draw_scenes(count, places, np.random.default_rng([situation.seed, first]))
        folder.mkdir(parents=True, exist_ok=True)
        pictures = situation.toolbox.pictures(
            source.detector.network, scenes, steps=self.settings.steps, seed=situation.seed
        )
        bare: list[Sample] = []
        for number, pixels in enumerate(pictures, first):
            path = folder / f"drawn-{number:05}.png"
            Image.fromarray(pixels).save(path)
            height, width = pixels.shape[:2]
            bare.append(Sample(path.stem, path, no_boxes(), width, height, sha256_of(path), 0))
        found = source.detector.detect(bare, confidence=FAINTEST, overlap=DUPLICATE)
        for sample, rows in zip(bare, found, strict=True):
            yield self._labelled(sample, rows, source)

    def _labelled(self, sample: Sample, rows: Boxes, source: _Source) -> Sample:
        names, seen = self.situation.names, source.detector.names
        mine = rows[[seen[int(row[0])] in source.known for row in rows]].copy()
        mine[:, 0] = [names.index(seen[int(row[0])]) for row in mine]
        sure = mine[:, 5] >= self.settings.confidence
        labelled = replace(sample, boxes=mine[sure][:, :5], ignored=mine[~sure][:, :5])
        return ignoring(labelled, (place for place, name in enumerate(names) if name not in source.known))


def _marked(data: TrainingData, situation: Situation) -> set[str]:
    """Classes that people marked in this round's pictures, or looked for in remembered ones."""
    found = {name for item in situation.memory.items for name in item.classes}
    for sample, known in zip(data.new, data.new_classes_known, strict=True):
        found.update(known.intersection(data.names[int(row[0])] for row in sample.boxes))
    return found


def draw_scenes(count: int, classes: Sequence[int], source: np.random.Generator) -> list[Boxes]:
    """Boxes for so many pictures: per picture (n, 5) class, centre x, centre y, width, height, n from 1 to 4.

    Every class stands in equally many pictures first, as far as the number allows; sizes are spread evenly in scale.
    """
    scenes = []
    for number in range(count):
        boxes: list[list[float]] = []
        for place in range(int(source.integers(1, MOST_OBJECTS, endpoint=True))):
            index = classes[number % len(classes)] if place == 0 else int(source.choice(classes))
            size = math.exp(source.uniform(*np.log(SIZES)))
            slim = math.exp(source.uniform(math.log(SLIMMEST), -math.log(SLIMMEST)) / 2)
            width, height = min(size * slim, 0.95), min(size / slim, 0.95)
            x, y = source.uniform(width / 2, 1 - width / 2), source.uniform(height / 2, 1 - height / 2)
            box = [index, x, y, width, height]
            if not any(_crowd(box, other) for other in boxes):
                boxes.append(box)
        scenes.append(np.array(boxes, dtype=np.float64))
    return scenes


def _crowd(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes have more than a little in common."""
    shared = [
        min(one[axis] + one[side] / 2, other[axis] + other[side] / 2)
        - max(one[axis] - one[side] / 2, other[axis] - other[side] / 2)
        for axis, side in ((1, 3), (2, 4))
    ]
    return all(part > CROWDED * min(one[side], other[side]) for part, side in zip(shared, (3, 4), strict=True))
