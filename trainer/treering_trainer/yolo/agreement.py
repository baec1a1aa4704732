"""How well detections of single images agree with the truth, and the images where they agree least."""

from __future__ import annotations

from collections.abc import Sequence

from treering_trainer.dataset import SAME_OBJECT, Sample, intersection_over_union
from treering_trainer.policies.interface import Boxes
from treering_trainer.records import ImageScore


def worst_images(
    names: Sequence[str], samples: Sequence[Sample], found: Sequence[Boxes], count: int
) -> tuple[ImageScore, ...]:
    """The `count` images with the lowest F1, lowest first.

    Args:
        names: what the class indices of samples and detections mean.
        found: per sample (n, 6): class, centre x, centre y, width, height, confidence.
    """
    scores = [_image_score(names, sample, rows) for sample, rows in zip(samples, found, strict=True)]
    return tuple(sorted(scores, key=lambda score: (score.f1, score.path))[:count])


def agreement(truth: Boxes, found: Boxes) -> tuple[float, float, float]:
    """Precision, recall and F1; an image that shows nothing and where nothing is found is perfect.

    Args:
        truth: (n, 5) class, centre x, centre y, width, height.
        found: (m, 6) the same with a confidence.
    """
    if not len(truth) or not len(found):
        perfect = float(len(truth) == len(found))
        return perfect, perfect, perfect
    hits = _count_hits(truth, found)
    precision, recall = hits / len(found), hits / len(truth)
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def _count_hits(truth: Boxes, found: Boxes) -> int:
    overlap = intersection_over_union(found[:, 1:5], truth[:, 1:5]) * (found[:, :1] == truth[:, 0][None])
    hits = 0
    while overlap.max() >= SAME_OBJECT:
        row, column = divmod(int(overlap.argmax()), overlap.shape[1])
        overlap[row, :] = overlap[:, column] = 0.0
        hits += 1
    return hits


def _image_score(names: Sequence[str], sample: Sample, rows: Boxes) -> ImageScore:
    precision, recall, f1 = agreement(sample.boxes, rows)
    return ImageScore(
        name=sample.image.name,
        path=str(sample.image),
        precision=precision,
        recall=recall,
        f1=f1,
        truth=tuple((names[int(row[0])], *_corners(row, sample)) for row in sample.boxes),
        predictions=tuple((names[int(row[0])], float(row[5]), *_corners(row, sample)) for row in rows),
    )


def _corners(row: Boxes, sample: Sample) -> tuple[float, float, float, float]:
    x, y, width, height = (float(value) for value in row[1:5])
    return (
        (x - width / 2) * sample.width,
        (y - height / 2) * sample.height,
        (x + width / 2) * sample.width,
        (y + height / 2) * sample.height,
    )
