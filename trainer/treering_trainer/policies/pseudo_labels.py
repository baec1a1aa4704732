"""pseudoLabels: models label what people did not, in both directions.

A delivery is labelled for its own classes. An old object in a new image would be trained as background, and a new
object in a remembered image too: that, not the weights' drift, is most of forgetting in detection. So the published
model labels new images for the old classes before training, and the new model labels the memory for the new classes
after. A box must be seen in the mirror image as well: cards, old classes in new images, mean of both views at .3:
precision .90, recall .97; one view at .4 (the best of GCD's ablation): .89, .91. Where a true box stands already, none
is added, whatever its class: the old model calls a new class by the name of the most similar old one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from treering_api import PseudoLabels
from treering_trainer.dataset import Sample
from treering_trainer.memory import MemoryItem, named_box
from treering_trainer.policies.interface import Boxes, Detector, Policy, Situation, TrainingData


def add_boxes(boxes: Boxes, found: Boxes, overlap: float) -> Boxes:
    """Those rows of `found` that do not cover a true box.

    Args:
        boxes: (n, 5) class, centre x, centre y, width, height.
        found: (m, 6) the same with a confidence at the end.
        overlap: IoU from which a found box is the same object as a true one, 0..1, whatever its class.
    """
    if not len(found):
        return found[:, :5]
    if not len(boxes):
        return np.asarray(found[:, :5])
    return np.asarray(found[(intersection_over_union(found[:, 1:5], boxes[:, 1:5]) < overlap).all(axis=1), :5])


def intersection_over_union(left: Boxes, right: Boxes) -> Boxes:
    """(n, m) of boxes given as (n, 4) and (m, 4): centre x, centre y, width, height."""
    a, b = _corners(left)[:, None], _corners(right)[None]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-12))


class PseudoLabelsPolicy(Policy):
    """Two-way pseudo-labels."""

    name = "pseudoLabels"
    after = ("replay",)  # an image that memory knows already needs no guess

    def __init__(self, settings: PseudoLabels, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings

    def compose(self, data: TrainingData) -> TrainingData:
        """The published model labels new images for the old classes that their labels do not speak of."""
        teacher = self.situation.teacher
        if teacher is None or self.settings.directions == "memory":
            return data
        old = frozenset(self.situation.old_names)
        asked = [index for index, known in enumerate(data.new_classes_known) if old - known]
        found = self._detect(teacher, [data.new[index] for index in asked], self.settings.confidence)
        new, counts = list(data.new), Counter[str]()
        for index, rows in zip(asked, found, strict=True):
            wanted = [data.names[int(row[0])] in old - data.new_classes_known[index] for row in rows]
            added = add_boxes(new[index].boxes, rows[wanted], self.settings.overlap)
            counts.update(data.names[int(row[0])] for row in added)
            new[index] = replace(new[index], boxes=np.concatenate([new[index].boxes, added]))
        return replace(data, new=tuple(new), pseudo_labels=dict(sorted(counts.items())))

    def relabel(
        self, items: tuple[MemoryItem, ...], samples: Sequence[Sample], student: Detector
    ) -> tuple[MemoryItem, ...]:
        """The new model labels remembered images for the classes that their labels do not speak of."""
        names = self.situation.names
        if self.settings.directions == "new":
            return items
        asked = [index for index, item in enumerate(items) if set(names) - set(item.classes)]
        found = self._detect(student, [samples[index] for index in asked], self.settings.memory_confidence)
        result = list(items)
        for index, rows in zip(asked, found, strict=True):
            result[index] = _relabelled(items[index], samples[index], rows, names, self.settings.overlap)
        return tuple(result)

    def _detect(self, detector: Detector, samples: Sequence[Sample], confidence: float) -> list[Boxes]:
        if not samples:
            return []
        settings = self.settings
        return detector.detect(samples, confidence=confidence, overlap=settings.overlap, mirror=settings.mirror)


def _relabelled(item: MemoryItem, sample: Sample, rows: Boxes, names: tuple[str, ...], overlap: float) -> MemoryItem:
    unknown = set(names) - set(item.classes)
    added = add_boxes(sample.boxes, rows[[names[int(row[0])] in unknown for row in rows]], overlap)
    boxes = tuple(named_box(row, names) for row in added)
    return item.model_copy(update={"boxes": (*item.boxes, *boxes), "classes": names})


def _corners(boxes: Boxes) -> Boxes:
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
