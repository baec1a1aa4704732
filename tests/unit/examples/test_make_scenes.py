from __future__ import annotations

import hashlib
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from make_scenes import DELIVERIES, GAP_PX, HOLDOUT, NAMES, SIDE_PX, compose, make_scenes, split_samples

TRAIN = (12, 10, 10)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    make_scenes(out, TRAIN, seed=3)
    return out


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def labels(folder: Path) -> list[list[float]]:
    lines = [line for path in sorted(folder.rglob("*.txt")) for line in path.read_text().splitlines()]
    return [[float(value) for value in line.split()] for line in lines]


def test_make_scenes__same_seed_same_files(scenes: Path, tmp_path: Path) -> None:
    make_scenes(tmp_path / "again", TRAIN, seed=3)
    make_scenes(tmp_path / "other", TRAIN, seed=4)
    assert digests(tmp_path / "again") == digests(scenes)
    assert digests(tmp_path / "other") != digests(scenes)


@pytest.mark.parametrize(("delivery", "train"), list(zip(DELIVERIES, TRAIN, strict=True)), ids=list(DELIVERIES))
def test_make_scenes__delivery_is_yolo_layout_of_its_own_classes(scenes: Path, delivery: str, train: int) -> None:
    folder = scenes / delivery
    names = json.loads((folder / "names.json").read_text())
    assert names == [NAMES[digit] for digit in DELIVERIES[delivery]]
    for split, count in (("train", train), ("val", train // 5)):
        images = {path.stem for path in (folder / "images" / split).iterdir()}
        assert len(images) == count
        assert images == {path.stem for path in (folder / "labels" / split).iterdir()}
    assert {int(row[0]) for row in labels(folder)} == set(range(len(names)))


def test_make_scenes__holdout_labels_all_ten(scenes: Path) -> None:
    rows = np.array(labels(scenes / HOLDOUT))
    counts = np.bincount(rows[:, 0].astype(int), minlength=10)
    assert json.loads((scenes / HOLDOUT / "names.json").read_text()) == list(NAMES)
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 3


def test_make_scenes__boxes_lie_inside_and_hold_a_digit(scenes: Path) -> None:
    rows = np.array(labels(scenes))[:, 1:]
    low, high = rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2
    assert low.min() >= 0
    assert high.max() <= 1
    assert (rows[:, 2:].max(axis=1) * SIDE_PX >= 12).all()


def test_make_scenes__pictures_are_squares_in_colour(scenes: Path) -> None:
    paths = list(scenes.rglob("*.jpg"))
    assert paths
    for path in paths:
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((SIDE_PX, SIDE_PX), "RGB")


def test_make_scenes__later_trains_hold_unlabelled_digits_and_no_other_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[list[int]] = []

    def record(rng: np.random.Generator, pools: dict[int, np.ndarray], digits: list[int]) -> object:
        image, placed = compose(rng, pools, digits)
        drawn.append([place.glyph.digit for place in placed])
        return image, placed

    monkeypatch.setattr("make_scenes.compose", record)
    make_scenes(tmp_path, TRAIN, seed=3)
    strangers: dict[tuple[str, str], int] = {}
    rest = iter(drawn)
    for (delivery, digits), train in zip(DELIVERIES.items(), TRAIN, strict=True):
        for split, count in (("train", train), ("val", train // 5)):
            shown = [digit for _ in range(count) for digit in next(rest)]
            strangers[delivery, split] = sum(digit not in digits for digit in shown)
            assert len(shown) - strangers[delivery, split] == len(labels(tmp_path / delivery / "labels" / split))
    assert {key for key, count in strangers.items() if count} == {("digits-5-7", "train"), ("digits-8-9", "train")}


def test_compose__digits_never_overlap() -> None:
    rng = np.random.default_rng(1)
    _, placed = compose(rng, split_samples(1)["train"], [digit % 10 for digit in range(40)])
    assert len(placed) > 8
    for one, other in combinations(placed, 2):
        gap_x = max(one.left, other.left) - min(one.right, other.right)
        gap_y = max(one.top, other.top) - min(one.bottom, other.bottom)
        assert max(gap_x, gap_y) >= GAP_PX


def test_split_samples__no_sample_in_two_splits() -> None:
    pools = split_samples(0)
    seen = {
        split: {sample.tobytes() for samples in digits.values() for sample in samples}
        for split, digits in pools.items()
    }
    assert sum(len(samples) for digits in pools.values() for samples in digits.values()) == 1797
    for one, other in combinations(seen.values(), 2):
        assert not one & other
