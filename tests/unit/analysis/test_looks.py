from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from treering_trainer.analysis.distributions import contrast
from treering_trainer.analysis.looks import look, look_at
from treering_trainer.dataset import Sample, no_boxes
from treering_trainer.measures import LookName


def picture(seed: int) -> Image.Image:
    source = np.random.default_rng(seed)
    coarse = source.integers(60, 200, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.NEAREST)


def delivery(folder: Path, change: Callable[[Image.Image], Image.Image], suffix: str = "png") -> list[Sample]:
    folder.mkdir()
    samples = []
    for seed in range(6):
        path = folder / f"{seed}.{suffix}"
        change(picture(seed)).save(path)
        samples.append(Sample(str(seed), path, no_boxes(), 320, 240, str(seed), 0))
    return samples


def paler(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.2)


@pytest.mark.parametrize(
    ("name", "change", "sign"),
    [
        ("brightness", lambda image: image.point(lambda value: value // 2), -1),
        ("brightness", lambda image: image.point(lambda value: min(value + 50, 255)), 1),
        ("contrast", lambda image: ImageEnhance.Contrast(image).enhance(0.4), -1),
        ("sharpness", lambda image: image.filter(ImageFilter.GaussianBlur(8)), -1),
        ("colour", paler, -1),
    ],
    ids=["darker", "brighter", "flatter", "blurred", "paler"],
)
def test_look_at__finds_what_was_done_to_the_pictures(
    tmp_path: Path, name: LookName, change: Callable[[Image.Image], Image.Image], sign: int
) -> None:
    before = look_at(delivery(tmp_path / "old", lambda image: image))
    after = look_at(delivery(tmp_path / "new", change))
    shift = contrast(before[name], after[name]).shift
    assert shift is not None
    assert shift * sign > 1


def test_look__of_plain_grey_is_known() -> None:
    found = look(np.full((8, 8, 3), 0.25))
    assert found["brightness"] == pytest.approx(0.25)
    assert found["contrast"] == pytest.approx(0.0, abs=1e-9)
    assert found["sharpness"] == -10
    assert found["colour"] == pytest.approx(0.0, abs=1e-9)


def test_look_at__a_jpeg_at_a_fraction_of_its_size_looks_the_same(tmp_path: Path) -> None:
    sharp = look_at(delivery(tmp_path / "png", lambda image: image))
    drafted = look_at(delivery(tmp_path / "jpg", lambda image: image.resize((1280, 960), 0), "jpg"))
    assert drafted["brightness"].mean == pytest.approx(sharp["brightness"].mean, abs=0.01)
    assert drafted["contrast"].mean == pytest.approx(sharp["contrast"].mean, abs=0.01)


def test_look_at__a_picture_that_is_gone_is_left_out(tmp_path: Path) -> None:
    samples = delivery(tmp_path / "old", lambda image: image)
    samples[0].image.unlink()
    told: list[int] = []
    assert look_at(samples, on_image=lambda done, _: told.append(done))["brightness"].count == 5
    assert told == [1, 2, 3, 4, 5, 6]


def test_look_at__a_picture_like_a_ribbon_is_measured_too(tmp_path: Path) -> None:
    path = tmp_path / "ribbon.png"
    picture(0).resize((2000, 10)).save(path)
    found = look_at([Sample("ribbon", path, no_boxes(), 2000, 10, "0", 0)])
    assert found["sharpness"].mean == -10
    assert 0 < found["brightness"].mean < 1
