# ruff: noqa: RUF001 - pages use true minus signs and dashes
from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.report.sample_rounds import draw_scene, round_record, scene
from treering_trainer.records import ImageScore
from treering_trainer.report.drawing import PREDICTION_COLOUR, TRUTH_COLOUR
from treering_trainer.report.matching import read_image
from treering_trainer.report.pictures import LIMIT, MAX_SIDE_PX, MIN_CONFIDENCE, Picture, worst_pictures


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw_scene(tmp_path / "scene.jpg")


def decode(picture: Picture) -> Image.Image:
    assert picture.data_uri is not None
    return Image.open(io.BytesIO(base64.b64decode(picture.data_uri.split(",")[1]))).convert("RGB")


def near(image: Image.Image, colour: str) -> int:
    wanted = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
    raw = image.tobytes()
    pixels = (raw[at : at + 3] for at in range(0, len(raw), 3))
    return sum(1 for pixel in pixels if max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 40)


def test_thumbnail__is_small_and_shows_truth_and_predictions(picture: Path) -> None:
    shown = decode(worst_pictures(round_record(worst=[scene(picture, "scene.jpg", 0.2)]))[0])
    assert shown.size == (MAX_SIDE_PX, MAX_SIDE_PX * 3 // 4)
    assert near(shown, TRUTH_COLOUR) > 200
    assert near(shown, PREDICTION_COLOUR) > 200


def test_thumbnail__follows_the_exif_orientation(tmp_path: Path) -> None:
    turned = Image.new("RGB", (600, 300), "#888888")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    turned.save(tmp_path / "turned.jpg", exif=exif)
    shown = worst_pictures(round_record(worst=[scene(tmp_path / "turned.jpg", "turned.jpg", 0.2)]))[0]
    assert (shown.width, shown.height) == (MAX_SIDE_PX // 2, MAX_SIDE_PX)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_thumbnail__takes_every_mode(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (40, 30)).save(tmp_path / "picture.png")
    shown = worst_pictures(round_record(worst=[scene(tmp_path / "picture.png", "picture.png", 0.2)]))[0]
    assert decode(shown).size == (40, 30)


@pytest.mark.parametrize("content", [None, b"no picture", b"\xff\xd8\xff\xe0truncated"], ids=["gone", "text", "cut"])
def test_unreadable_image__keeps_its_caption(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "picture.jpg"
    if content is not None:
        path.write_bytes(content)
    shown = worst_pictures(round_record(worst=[scene(path, "picture.jpg", 0.2)]))[0]
    assert shown.data_uri is None
    assert shown.name == "picture.jpg"


def test_choice__covers_weak_classes_before_it_repeats_one(tmp_path: Path) -> None:
    kings = [scene(tmp_path / f"king{at}.jpg", f"king{at}", at / 100, ["king"]) for at in range(20)]
    nine = scene(tmp_path / "nine.jpg", "nine", 0.9, ["nine"])
    chosen = worst_pictures(round_record(worst=[*kings, nine]))
    assert len(chosen) == LIMIT
    assert [picture.name for picture in chosen] == [*(f"king{at}" for at in range(LIMIT - 1)), "nine"]


def test_choice__takes_images_without_known_classes_too(tmp_path: Path) -> None:
    empty = ImageScore(
        name="empty", path=str(tmp_path / "x.jpg"), precision=0, recall=0, f1=0, truth=(), predictions=()
    )
    assert [picture.keys for picture in worst_pictures(round_record(worst=[empty]))] == [("s0",)]


def test_keys__name_classes_by_place_and_the_set(picture: Path) -> None:
    shown = worst_pictures(round_record(worst=[scene(picture, "scene.jpg", 0.2, ["king", "nine"])]))[0]
    assert shown.keys == ("c1", "c5", "s0")


def test_reading__tells_found_missed_and_wrong(picture: Path) -> None:
    reading = read_image(scene(picture, "scene.jpg", 0.2, ["king", "jack"]), MIN_CONFIDENCE)
    assert [mark.right for mark in reading.truth] == [True, False]
    assert [mark.right for mark in reading.predictions] == [True, False]
    assert reading.missed == ("jack",)
    assert reading.wrong == ("king",)


def test_reading__finds_each_object_once() -> None:
    score = ImageScore(
        name="twice",
        path="twice.jpg",
        precision=0.5,
        recall=1,
        f1=0.67,
        truth=(("king", 0, 0, 100, 100),),
        predictions=(("king", 0.6, 0, 0, 100, 100), ("king", 0.9, 0, 0, 98, 98), ("king", 0.8, 50, 50, 50, 50)),
    )
    reading = read_image(score, MIN_CONFIDENCE)
    assert [(mark.confidence, mark.right) for mark in reading.predictions] == [(0.9, True), (0.8, False), (0.6, False)]
    assert reading.wrong == ("2 × king",)
