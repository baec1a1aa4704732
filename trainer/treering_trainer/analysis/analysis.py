"""All measures of a delivery in one: against what a line keeps of earlier deliveries, through its published model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from treering_trainer.analysis.distributions import contrast, merge
from treering_trainer.analysis.drift import measure_drift
from treering_trainer.analysis.frechet import class_distance
from treering_trainer.analysis.history import Features, Statistics
from treering_trainer.analysis.labels import confusions, looseness, pair
from treering_trainer.analysis.map import draw_map
from treering_trainer.analysis.neighbours import class_overlaps
from treering_trainer.analysis.portrait import with_looseness
from treering_trainer.analysis.shapes import all_shapes, merge_classes
from treering_trainer.analysis.warnings import drift_warnings, label_warnings, name_warnings
from treering_trainer.dataset import Sample
from treering_trainer.measures import Analysis, ClassDrift, ClassShape, Contrast, LookName, MapPoint, Overlap, Portrait
from treering_trainer.policies.interface import Glance

Floats = NDArray[np.float64]
MAPPED = 150
"""Images of each side on the map."""
BOXES_PER_CLASS = 200
"""Boxes of a class and side whose features are compared."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A delivery as the published model sees it: samples, class indices into `names`, and what one look gave."""

    samples: tuple[Sample, ...]
    sources: tuple[str, ...]
    names: tuple[str, ...]
    model_names: tuple[str, ...]
    glance: Glance

    def box_labels(self) -> list[str]:
        """Class name of every box, in the order of the glance's boxes."""
        return [self.names[int(row[0])] for sample in self.samples for row in sample.boxes]

    def features(self) -> tuple[Features, Features]:
        """Image and box features, as they are kept."""
        owners = [source for source, sample in zip(self.sources, self.samples, strict=True) for _ in sample.boxes]
        images = Features.of(self.glance.images, self.sources, [sample.sha256 for sample in self.samples])
        return images, Features.of(self.glance.boxes, owners, self.box_labels())


def analyse_data(
    portraits: Sequence[Portrait],
    before: Statistics,
    seen: Seen | None,
    *,
    looked_at: int,
    labelled: Collection[str],
    pictures: dict[str, str],
    seed: int,
) -> Analysis:
    """Everything measured before a round.

    Args:
        portraits: one per increment of the round.
        before: what is kept of earlier increments, in the space of the published model.
        seen: the delivery through that model; None in a line's first round.
        looked_at: images whose pictures were opened.
        labelled: classes that the delivery's labels speak of.
        pictures: path of each image on this machine, old and new, by SHA-256.
    """
    looks = _looks(portraits, before.portraits)
    old_shapes = all_shapes(before.portraits)
    plain = Analysis(
        images=sum(portrait.images for portrait in portraits),
        backgrounds=sum(portrait.backgrounds for portrait in portraits),
        looked_at=looked_at,
        looks=looks,
        shapes={name: contrast(old_shapes.get(name), shape) for name, shape in all_shapes(portraits).items()},
        portraits=tuple(portraits),
    )
    if seen is None:
        return plain
    return _through_model(plain, before, seen, labelled, pictures, seed)


def _through_model(
    plain: Analysis, before: Statistics, seen: Seen, labelled: Collection[str], pictures: dict[str, str], seed: int
) -> Analysis:
    pairs = pair(seen.samples, seen.names, seen.glance, seen.model_names)
    drawn = looseness(pairs)
    portraits = tuple(with_looseness(portrait, drawn) for portrait in plain.portraits)
    now = merge_classes(portraits)
    classes = _classes(now, merge_classes(before.portraits), seen, before.boxes, seed)
    found = confusions(pairs)
    drift = measure_drift(before.images.rows(), seen.glance.images, seed=seed) if before.images.sources else None
    told = (
        *name_warnings(found, seen.model_names, {name: shape.boxes for name, shape in now.items()}),
        *label_warnings(classes, pairs.unlabelled, labelled),
        *drift_warnings(drift, plain.looks),
    )
    return plain.model_copy(
        update={
            "portraits": portraits,
            "drift": drift,
            "classes": classes,
            "confusions": found[:20],
            "overlaps": _overlaps(seen, before.boxes, seed),
            "unlabelled": pairs.unlabelled,
            "map": _map(seen, before.images, pictures, seed),
            "warnings": told[:20],
        }
    )


def _looks(portraits: Sequence[Portrait], before: Sequence[Portrait]) -> dict[LookName, Contrast]:
    found: dict[LookName, Contrast] = {}
    for name in portraits[0].looks if portraits else ():
        new = merge(portrait.looks[name] for portrait in portraits)
        assert new is not None
        found[name] = contrast(merge(portrait.looks[name] for portrait in before), new)
    return found


def _classes(
    now: dict[str, ClassShape], before: dict[str, ClassShape], seen: Seen, kept: Features, seed: int
) -> tuple[ClassDrift, ...]:
    old_rows, labels = kept.rows(), seen.box_labels()
    result = []
    for name, shape in now.items():
        old = before.get(name)
        left = _some([place for place, label in enumerate(kept.labels) if label == name], seed)
        right = _some([place for place, label in enumerate(labels) if label == name], seed)
        far = class_distance(old_rows[left], seen.glance.boxes[right], seed=seed) if left and right else None
        result.append(
            ClassDrift(
                name=name,
                boxes=shape.boxes,
                old_boxes=old.boxes if old else 0,
                distance=far[0] if far else None,
                by_chance=far[1] if far else None,
                looseness=shape.looseness,
                looseness_before=old.looseness if old else None,
                judged=shape.judged,
                size_ratio=_ratio(shape, old),
            )
        )
    return tuple(result)


def _ratio(now: ClassShape, before: ClassShape | None) -> float | None:
    if before is None or before.shapes["size"].mean <= 0:
        return None
    return now.shapes["size"].mean / before.shapes["size"].mean


def _overlaps(seen: Seen, kept: Features, seed: int) -> tuple[Overlap, ...]:
    """Among the delivery's boxes and the kept ones of other classes."""
    labels = seen.box_labels()
    new = [place for name in dict.fromkeys(labels) for place in _some(_places(labels, name), seed)]
    old = [place for name in dict.fromkeys(kept.labels) for place in _some(_places(kept.labels, name), seed)]
    if not new:
        return ()
    rows = [seen.glance.boxes[new], *([kept.rows()[old]] if old else [])]
    return class_overlaps(np.concatenate(rows), [*(labels[at] for at in new), *(kept.labels[at] for at in old)])


def _map(seen: Seen, kept: Features, pictures: dict[str, str], seed: int) -> tuple[MapPoint, ...]:
    old = _some(range(len(kept.sources)), seed, MAPPED)
    new = _some(range(len(seen.samples)), seed, MAPPED)
    if not old or not new:
        return ()
    places = draw_map(np.concatenate([kept.rows()[old], seen.glance.images[new]]), seed=seed)
    if places is None:
        return ()
    known = [(kept.sources[at], pictures.get(kept.labels[at], ""), False) for at in old]
    known += [(seen.sources[at], str(seen.samples[at].image), True) for at in new]
    return tuple(
        MapPoint(x=round(float(x), 4), y=round(float(y), 4), is_new=is_new, source=source, path=path)
        for (x, y), (source, path, is_new) in zip(places, known, strict=True)
    )


def _places(labels: Sequence[str], name: str) -> list[int]:
    return [place for place, label in enumerate(labels) if label == name]


def _some(places: Sequence[int], seed: int, most: int = BOXES_PER_CLASS) -> list[int]:
    if len(places) <= most:
        return list(places)
    chosen = np.random.default_rng(seed).permutation(len(places))[:most]
    return [places[int(at)] for at in np.sort(chosen)]
