"""replay: a small part of what was learned is learned again beside the new images.

Replay is the mechanism that every benchmark agrees on (D-RICO: "replay of a small amount of data beats all methods"). A
remembered image that comes again in a delivery is shown once, with both sets of labels. Classes that a remembered
image's labels do not speak of, such as the one that the round brings, are unknown there, not background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from treering_api import Replay
from treering_trainer.dataset import SAME_OBJECT, Boxes, Sample, apart, ignoring, matches
from treering_trainer.memory import Candidates, MemoryItem, choose_balanced
from treering_trainer.policies.interface import Detector, Keepsakes, Policy, Situation, TrainingData

FAINTEST = 0.05
"""Least confidence of a detection that counts for how hard an image is."""
DUPLICATE = 0.7
"""IoU from which two detections of a class are one, as in ultralytics' validation."""


def mix_memory(data: TrainingData, remembered: tuple[Sample, ...], known: tuple[frozenset[str], ...]) -> TrainingData:
    """Add remembered images to the training data; the same image in both is united.

    Args:
        remembered: class indices into `data.names`.
        known: per remembered image, the classes that its labels speak of.
    """
    position = {sample.sha256: index for index, sample in enumerate(data.new)}
    new, new_known, memory = list(data.new), list(data.new_classes_known), []
    for sample, classes in zip(remembered, known, strict=True):
        index = position.get(sample.sha256)
        if index is None:
            memory.append(sample)
            continue
        missing = classes - new_known[index]
        new[index] = replace(
            new[index],
            boxes=np.concatenate([new[index].boxes, _of_classes(sample.boxes, missing, data.names)]),
            ignored=np.concatenate([new[index].ignored, _of_classes(sample.ignored, missing, data.names)]),
        )
        new_known[index] = new_known[index] | classes
    return replace(
        data,
        new=tuple(new),
        new_classes_known=tuple(new_known),
        memory=(*data.memory, *memory),
        merged_images=data.merged_images + len(remembered) - len(memory),
    )


def memory_size(settings: Replay, history_images: int) -> int:
    """Images to keep: a share of all that was learned, or the floor, under the cap; with ratio 0, the cap or all."""
    if not settings.ratio:
        return history_images if settings.max_images is None else settings.max_images
    size = max(1, round(settings.ratio * history_images), min(settings.min_images, history_images))
    return size if settings.max_images is None else min(size, settings.max_images)


def shown_memory(settings: Replay, memory: int, new: int, *, new_classes: bool) -> float:
    """Memory images that an epoch shows beside so many new ones, at most all."""
    if settings.batch_share is not None:
        return float(memory)
    share = settings.epoch_share
    if share is None:
        share = 1.0 if new_classes else 0.5
    return min(float(memory), max(share * new, 1.0))


def fit_bytes(choose: Callable[[int], list[int]], size: int, sizes_bytes: Sequence[int], limit: int) -> list[int]:
    """The choice of as many images, at most `size`, as fit into `limit` bytes.

    Args:
        choose: indices of that many images.
        sizes_bytes: of each image's file.
    """
    chosen = choose(size)
    while (total := sum(sizes_bytes[index] for index in chosen)) > limit:
        chosen = choose(min(len(chosen) - 1, len(chosen) * limit // total))
    return chosen


def difficulty(truth: Boxes, found: Boxes) -> float:
    """How far detections are from the labels, 0..1: 1 - F1, in which every detection weighs as much as it is sure.

    Args:
        truth: (n, 5) class, centre x, centre y, width, height.
        found: (m, 6) the same with a confidence.
    """
    everything = len(truth) + float(found[:, 5].sum())
    if not everything:
        return 0.0
    right = sum(float(row[5]) for row, match in zip(found, matches(found, truth), strict=True) if match >= 0)
    return 1.0 - 2.0 * right / everything


class ReplayPolicy(Policy):
    """Mixes the memory in and chooses the next one."""

    name = "replay"

    def __init__(self, settings: Replay, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings

    def compose(self, data: TrainingData) -> TrainingData:
        """Memory beside the new images, in incremental rounds."""
        if not self.situation.incremental or not self.situation.memory_samples:
            return data
        known = tuple(item.spoken for item in self.situation.memory.items)
        samples = self._doubted(data)
        if self.settings.unknown == "ignore":
            samples = tuple(
                ignoring(sample, (place for place, name in enumerate(data.names) if name not in classes))
                for sample, classes in zip(samples, known, strict=True)
            )
        mixed = replace(mix_memory(data, samples, known), batch_share=self.settings.batch_share)
        if not mixed.memory:
            return mixed
        brings = len(data.names) > len(self.situation.old_names)
        share = shown_memory(self.settings, len(mixed.memory), len(mixed.new), new_classes=brings) / len(mixed.memory)
        return replace(mixed, repeats=(*(1.0,) * len(mixed.new), *(share,) * len(mixed.memory)) if share < 1 else ())

    def remember(self, keepsakes: Keepsakes, student: Detector) -> tuple[MemoryItem, ...]:
        """Choose the memory of the next round from the present one and the images just learned."""
        settings, items = self.settings, keepsakes.items
        candidates = self._candidates(keepsakes, student)
        balanced = settings.balance == "increments"
        groups = [item.increment if balanced else "" for item in items]
        weights = keepsakes.train_images if balanced else {}

        def choose(size: int) -> list[int]:
            return choose_balanced(settings.selection, candidates, groups, weights, size, self.situation.seed)

        size = min(memory_size(settings, keepsakes.history_images), len(items))
        limit = settings.max_bytes
        chosen = choose(size) if limit is None else fit_bytes(choose, size, keepsakes.sizes_bytes, limit)
        return tuple(items[position] for position in chosen)

    def _doubted(self, data: TrainingData) -> tuple[Sample, ...]:
        """The memory without guesses on what people have marked since, in an image that comes again.

        A model calls a class that it does not know by the name of the most similar one that it does.
        """
        marked = {sample.sha256: sample.boxes for sample in data.new}
        index = {name: column for column, name in enumerate(data.names)}
        result = []
        for item, sample in zip(self.situation.memory.items, self.situation.memory_samples, strict=True):
            boxes = marked.get(sample.sha256)
            if boxes is not None:
                people = item.people(index)
                guesses = apart(boxes, sample.boxes[len(people) :], SAME_OBJECT)
                sample = replace(
                    sample,
                    boxes=np.concatenate([people, guesses]),
                    ignored=apart(boxes, sample.ignored, SAME_OBJECT),
                )
            result.append(sample)
        return tuple(result)

    def _candidates(self, keepsakes: Keepsakes, student: Detector) -> Candidates:
        index = {name: column for column, name in enumerate(self.situation.names)}
        presence = np.zeros((len(keepsakes.items), len(index)))
        for row, item in enumerate(keepsakes.items):
            for name, *_ in item.labels:
                presence[row, index[name]] += 1
        return Candidates(
            presence=presence,
            embed=cache(lambda: student.embed(keepsakes.samples)),
            difficulty=cache(lambda: _difficulties(keepsakes, student)),
        )


def _difficulties(keepsakes: Keepsakes, student: Detector) -> Boxes:
    """(images,) measured by people's labels alone: a model agrees with its own guesses."""
    names = student.names
    index = {name: place for place, name in enumerate(names)}
    found = student.detect(keepsakes.samples, confidence=FAINTEST, overlap=DUPLICATE)
    result = np.zeros(len(found))
    for place, (item, rows) in enumerate(zip(keepsakes.items, found, strict=True)):
        result[place] = difficulty(item.people(index), _of_classes(rows, frozenset(item.classes), names))
    return result


def _of_classes(rows: Boxes, wanted: frozenset[str], names: Sequence[str]) -> Boxes:
    return rows[[names[int(row[0])] in wanted for row in rows]] if len(rows) else rows
