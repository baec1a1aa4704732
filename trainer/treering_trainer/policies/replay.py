"""replay: a small part of what was learned is learned again beside the new images.

Replay is the mechanism that every benchmark agrees on (D-RICO: "replay of a small amount of data beats all methods"). A
remembered image that comes again in a delivery is shown once, with both sets of labels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from treering_api import Replay
from treering_trainer.dataset import Sample
from treering_trainer.memory import Candidates, MemoryItem, choose
from treering_trainer.policies.interface import Detector, Keepsakes, Policy, Situation, TrainingData


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
        old_boxes = sample.boxes[[data.names[int(row[0])] in missing for row in sample.boxes]]
        new[index] = replace(new[index], boxes=np.concatenate([new[index].boxes, old_boxes]))
        new_known[index] = new_known[index] | classes
    return replace(
        data,
        new=tuple(new),
        new_classes_known=tuple(new_known),
        memory=(*data.memory, *memory),
        merged_images=data.merged_images + len(remembered) - len(memory),
    )


def memory_size(settings: Replay, history_images: int) -> int:
    """Images to keep: a share of everything learned, at least one, under the cap; with ratio 0, the cap."""
    if not settings.ratio:
        return settings.max_images or 0
    size = max(1, round(settings.ratio * history_images))
    return size if settings.max_images is None else min(size, settings.max_images)


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
        known = tuple(frozenset(item.classes) for item in self.situation.memory.items)
        mixed = mix_memory(data, self.situation.memory_samples, known)
        return replace(mixed, batch_share=self.settings.batch_share)

    def remember(self, keepsakes: Keepsakes, student: Detector) -> tuple[MemoryItem, ...]:
        """Choose the memory of the next round from the present one and the images just learned."""
        size = memory_size(self.settings, keepsakes.history_images)
        index = {name: column for column, name in enumerate(self.situation.names)}
        presence = np.zeros((len(keepsakes.items), len(index)))
        for row, item in enumerate(keepsakes.items):
            for name, *_ in item.boxes:
                presence[row, index[name]] += 1
        candidates = Candidates(presence=presence, embed=lambda: student.embed(keepsakes.samples))
        chosen = choose(self.settings.selection, candidates, size, self.situation.seed)
        return tuple(keepsakes.items[position] for position in chosen)
