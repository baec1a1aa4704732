"""pseudoLabels: models label what people did not, in both directions.

A delivery is labelled for its own classes. An old object in a new image would be trained as background, and a new
object in a remembered image too: that, not the weights' drift, is most of forgetting in detection. So the published
model labels new images for the old classes before training, and the new model labels the memory after every round, for
all classes that people did not speak of. A box must be seen in the mirror image as well: cards, old classes in new
images, mean of both views at .3: precision .90, recall .97; one view at .4 (the best of GCD's ablation): .89, .91.
Where a true box stands already, none is added, whatever its class: the old model calls a new class by the name of the
most similar old one. What is too faint to be an object and too sure to be background is neither: the loss ignores it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from treering_api import PseudoLabels
from treering_trainer.dataset import Sample, apart, matches
from treering_trainer.memory import Guess, Memory, MemoryItem, named_box
from treering_trainer.policies.interface import Boxes, Detector, Policy, Situation, TrainingData
from treering_trainer.records import Threshold

LEAST, MOST = 0.15, 0.75
"""Between these, a measured threshold is believed."""
UNMEASURED = 0.3
"""Threshold of a class that too few boxes speak of."""
Judged = list[tuple[float, bool]]
"""Detections of one class: confidence, and whether people marked that object."""


def least_confidence(judged: Judged, precision: float) -> tuple[float, float]:
    """The lowest confidence from which on the share of right detections is `precision`, and that share as it is.

    Args:
        judged: at least one, none below `LEAST`.
        precision: above 0, at most 1.

    Returns:
        A confidence from `LEAST` (all of them are good enough) to `MOST` (not even the surest are), and the share of
        right ones among the detections from there on; 0 where there are none.
    """
    ordered = sorted(judged, key=lambda one: -one[0])
    confidences = np.array([confidence for confidence, _ in ordered])
    right = np.cumsum([hit for _, hit in ordered]) / np.arange(1, len(ordered) + 1)
    ends = np.append(confidences[1:] < confidences[:-1], True)  # equal confidences are in or out together
    good = np.flatnonzero(ends & (right >= precision))
    least = MOST
    if len(good):
        least = LEAST if good[-1] == len(ordered) - 1 else float(np.clip(confidences[good[-1]], LEAST, MOST))
    taken = [hit for confidence, hit in ordered if confidence >= least]
    return least, sum(taken) / len(taken) if taken else 0.0


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
        if not asked:
            return data
        thresholds = self._thresholds(teacher)
        least = np.array([thresholds[name].confidence if name in old else np.inf for name in data.names])
        faintest = min(self.settings.ignore_band, float(least.min()))
        found = self._detect(teacher, [data.new[index] for index in asked], faintest)
        new, counts, unsure = list(data.new), Counter[str](), Counter[str]()
        for index, rows in zip(asked, found, strict=True):
            wanted = rows[[data.names[int(row[0])] in old - data.new_classes_known[index] for row in rows]]
            others = apart(new[index].boxes, wanted, self.settings.overlap)
            sure = others[:, 5] >= least[others[:, 0].astype(int)]
            band = ~sure & (others[:, 5] >= self.settings.ignore_band)
            counts.update(data.names[int(row[0])] for row in others[sure])
            unsure.update(data.names[int(row[0])] for row in others[band])
            new[index] = _with_boxes(new[index], others[sure], others[band])
        return replace(
            data,
            new=tuple(new),
            pseudo_labels=dict(sorted(counts.items())),
            unsure=dict(sorted(unsure.items())),
            thresholds=thresholds,
        )

    def relabel(
        self, items: tuple[MemoryItem, ...], samples: Sequence[Sample], student: Detector
    ) -> tuple[MemoryItem, ...]:
        """The new model looks at every remembered image for the classes that people did not speak of there."""
        names = self.situation.names
        if self.settings.directions == "new":
            return items
        asked = [index for index, item in enumerate(items) if set(names) - set(item.classes)]
        faintest = min(self.settings.ignore_band, self.settings.memory_confidence)
        found = self._detect(student, [samples[index] for index in asked], faintest)
        result = list(items)
        for index, rows in zip(asked, found, strict=True):
            result[index] = _guess_again(items[index], rows, names, self.settings)
        return tuple(result)

    def _thresholds(self, teacher: Detector) -> dict[str, Threshold]:
        """By old class, measured where enough of it was seen: on val pictures, with the memory's where they are few.

        The teacher has learned the memory, and is surer there than on new pictures: what it has never seen goes first.
        """
        situation, settings = self.situation, self.settings
        if settings.confidence is not None:
            given = Threshold(confidence=settings.confidence, precision=None, boxes=0)
            return dict.fromkeys(situation.old_names, given)
        val = self._judge(teacher, situation.val, situation.val_samples)
        memory = self._judge(teacher, situation.memory, situation.memory_samples)
        result: dict[str, Threshold] = {}
        for name in situation.old_names:
            judged = val[name] if _hits(val[name]) >= settings.min_boxes else val[name] + memory[name]
            result[name] = _threshold(judged, settings)
        return result

    def _judge(self, teacher: Detector, memory: Memory, samples: Sequence[Sample]) -> dict[str, Judged]:
        """By old class, what the teacher finds in pictures whose labels, people's alone, speak of the class."""
        names = self.situation.names
        index = {name: place for place, name in enumerate(names)}
        judged: dict[str, Judged] = {name: [] for name in self.situation.old_names}
        found = self._detect(teacher, samples, LEAST)
        for item, rows in zip(memory.items, found, strict=True):
            truth = item.people(index)
            for row, match in zip(rows, matches(rows, truth), strict=True):
                if names[int(row[0])] in item.classes:
                    judged[names[int(row[0])]].append((float(row[5]), match >= 0))
        return judged

    def _detect(self, detector: Detector, samples: Sequence[Sample], confidence: float) -> list[Boxes]:
        if not samples:
            return []
        settings = self.settings
        return detector.detect(samples, confidence=confidence, overlap=settings.overlap, mirror=settings.mirror)


def _threshold(judged: Judged, settings: PseudoLabels) -> Threshold:
    hits = _hits(judged)
    if hits < settings.min_boxes:
        return Threshold(confidence=UNMEASURED, precision=None, boxes=hits)
    confidence, precision = least_confidence(judged, settings.precision)
    return Threshold(confidence=confidence, precision=precision, boxes=hits)


def _hits(judged: Judged) -> int:
    return sum(right for _, right in judged)


def _with_boxes(sample: Sample, sure: Boxes, unsure: Boxes) -> Sample:
    boxes = np.concatenate([sample.boxes, sure[:, :5]])
    return replace(sample, boxes=boxes, ignored=np.concatenate([sample.ignored, unsure[:, :5]]))


def _guess_again(item: MemoryItem, rows: Boxes, names: tuple[str, ...], settings: PseudoLabels) -> MemoryItem:
    """The item with guesses of all its models so far; people's boxes and classes stay what they are."""
    index = {name: place for place, name in enumerate(names)}
    unknown = tuple(name for name in names if name not in item.classes)
    earlier = _rows([guess for guess in (*item.guesses, *item.unsure) if guess[0] in unknown], index)
    seen = rows[[names[int(row[0])] in unknown for row in rows]]
    truth = item.people(index)
    fused = apart(truth, fuse_guesses(earlier, seen, settings.overlap), settings.overlap)
    guesses = [(*named_box(row, names), float(row[5])) for row in fused]
    sure, band = settings.memory_confidence, settings.ignore_band
    return item.model_copy(
        update={
            "guessed_classes": unknown,
            "guesses": tuple(guess for guess in guesses if guess[5] >= sure),
            "unsure": tuple(guess for guess in guesses if band <= guess[5] < sure),
        }
    )


def fuse_guesses(earlier: Boxes, seen: Boxes, overlap: float) -> Boxes:
    """What earlier models and the present one found: of each object the surer box, with the mean confidence.

    As with two views of an image, who does not see an object that the other one sees says 0; but of an object that was
    never found before, the earlier models say nothing.

    Args:
        earlier: (n, 6) class, centre x, centre y, width, height, confidence; `seen` likewise, (m, 6).
        overlap: IoU from which boxes of a class are one object, 0..1.
    """
    fused, missed = seen.copy(), np.ones(len(earlier), dtype=bool)
    for row, match in enumerate(matches(seen, earlier, overlap)):
        if match >= 0:
            missed[match] = False
            surer = max(seen[row], earlier[match], key=lambda box: float(box[5]))
            fused[row, 1:5] = surer[1:5]
            fused[row, 5] = (seen[row, 5] + earlier[match, 5]) / 2
    lost = earlier[missed]
    lost[:, 5] /= 2
    return np.concatenate([fused, lost])


def _rows(guesses: Sequence[Guess], index: Mapping[str, int]) -> Boxes:
    return np.asarray([(index[name], *rest) for name, *rest in guesses], dtype=np.float64).reshape(-1, 6)
