from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.retention.shift import camera, change_light, shifted, turn, turn_boxes
from treering_trainer.dataset import Sample

WIDTH, HEIGHT = 200, 160


@pytest.mark.parametrize("seed", range(6))
def test_turn_boxes__goes_with_the_pixels(seed: int) -> None:
    """A bright object stays inside its box, which is no larger than its turned corners need."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[60:100, 70:130] = 255
    matrix = camera(WIDTH, HEIGHT, np.random.default_rng(seed))
    box = np.array([[2, 100 / WIDTH, 80 / HEIGHT, 60 / WIDTH, 40 / HEIGHT]])
    (row,) = turn_boxes(box, matrix, WIDTH, HEIGHT)
    padding = np.all(turn(np.full_like(pixels, 255), matrix) == 114, axis=2)
    bright = (turn(pixels, matrix)[..., 0] > 128) & ~padding
    rows, columns = np.nonzero(bright)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    told = [(row[1] - row[3] / 2) * WIDTH, (row[2] - row[4] / 2) * HEIGHT,
            (row[1] + row[3] / 2) * WIDTH, (row[2] + row[4] / 2) * HEIGHT]  # fmt: skip
    assert row[0] == 2
    assert told == pytest.approx(seen, abs=2.0)


def test_turn_boxes__what_left_the_picture_is_dropped() -> None:
    away = np.array([[1, 0, 500], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
    assert turn_boxes(np.array([[0, 0.5, 0.5, 0.2, 0.2]]), away, WIDTH, HEIGHT).shape == (0, 5)


def test_turn_boxes__stays_inside_the_picture() -> None:
    half_out = np.array([[1, 0, 90], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
    (row,) = turn_boxes(np.array([[0, 0.5, 0.5, 0.2, 0.2]]), half_out, WIDTH, HEIGHT)
    assert row[1] + row[3] / 2 == pytest.approx(1.0)
    assert row[3] == pytest.approx(0.15)


def test_change_light__darker_and_noisy() -> None:
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    changed = change_light(grey, np.random.default_rng(0))
    assert changed.mean() < 100 and 2 < changed.std() < 40


def test_shifted__the_same_every_time(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    boxes = np.array([[0, 0.5, 0.5, 0.3, 0.3]])
    sample = Sample("a", tmp_path / "a.png", boxes, WIDTH, HEIGHT, "digest", 0)
    once, again = shifted(sample, tmp_path / "x", 3), shifted(sample, tmp_path / "y", 3)
    assert once.sha256 == again.sha256 != shifted(sample, tmp_path / "z", 4).sha256
    with Image.open(once.image) as picture:
        assert picture.size == (WIDTH, HEIGHT)
