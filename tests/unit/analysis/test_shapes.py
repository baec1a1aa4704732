from __future__ import annotations

import numpy as np
import pytest

from tests.unit.analysis.scenes import sample
from treering_trainer.analysis.map import draw_map
from treering_trainer.analysis.neighbours import class_overlaps
from treering_trainer.analysis.shapes import class_shapes, merge_classes
from treering_trainer.measures import Portrait


def test_class_shapes__size_aspect_and_place_of_known_boxes() -> None:
    boxes = [[(0, 0.25, 0.75, 0.1, 0.4)], [(0, 0.25, 0.75, 0.1, 0.4), (1, 0.5, 0.5, 0.3, 0.3)], []]
    found = class_shapes([sample(number, rows) for number, rows in enumerate(boxes)], ("cat", "dog"))
    cat = found["cat"]
    assert (cat.boxes, cat.images, found["dog"].boxes) == (2, 2, 1)
    assert cat.shapes["size"].mean == pytest.approx(0.2)
    assert cat.shapes["aspect"].mean == pytest.approx(np.log2(0.1 * 640 / (0.4 * 480)))
    assert (cat.shapes["x"].mean, cat.shapes["y"].mean) == pytest.approx((0.25, 0.75))
    assert class_shapes([sample(0, [])], ("cat",)) == {}


def test_merge_classes__looseness_weighs_by_boxes() -> None:
    shape = class_shapes([sample(0, [(0, 0.5, 0.5, 0.2, 0.2)])], ("cat",))["cat"]
    parts = [shape.model_copy(update={"looseness": value, "judged": count}) for value, count in ((0.4, 1), (0.0, 3))]
    portraits = [Portrait(name="w", images=1, backgrounds=0, looks={}, classes={"cat": part}) for part in parts]
    merged = merge_classes(portraits)["cat"]
    assert (merged.boxes, merged.judged) == (2, 4)
    assert merged.looseness == pytest.approx(0.1)


def clouds(centres: list[float], count: int = 20) -> np.ndarray:
    source = np.random.default_rng(0)
    return np.concatenate([source.normal(0, 0.3, (count, 12)) + centre for centre in centres])


def test_class_overlaps__only_of_classes_in_one_place() -> None:
    labels = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    assert class_overlaps(clouds([0, 3, 6]), labels) == ()
    found = class_overlaps(clouds([0, 0, 6]), labels)
    assert {(item.left, item.right) for item in found} <= {("a", "b"), ("b", "a")}
    assert found and found[0].share > 0.2
    assert class_overlaps(clouds([0]), ["a"] * 20) == ()


def test_draw_map__groups_stay_groups_and_the_seed_repeats_it() -> None:
    features = clouds([0, 8], count=15)
    places = draw_map(features, seed=0)
    assert places is not None
    assert (places.min(), places.max()) == (0.0, 1.0)
    left, right = places[:15], places[15:]
    spread = max(np.linalg.norm(side - side.mean(axis=0), axis=1).mean() for side in (left, right))
    assert np.linalg.norm(left.mean(axis=0) - right.mean(axis=0)) > spread
    again = draw_map(features, seed=0)
    assert again is not None and np.array_equal(places, again)
    assert draw_map(features[:9], seed=0) is None
