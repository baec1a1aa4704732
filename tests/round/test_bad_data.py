"""Whatever is wrong with a delivery or a hold-out: named before any training, by file and line, and nothing changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.lines import TestLine, draw_delivery, expect
from tests.round.conftest import Deliveries

BAD_SPEC, BAD_DATA = 2, 3


@pytest.fixture
def delivery(line: TestLine, deliveries: Deliveries) -> Path:
    """The first delivery, to be spoilt."""
    folder = line.root / "w1"
    shutil.copytree(deliveries.root / "w1", folder)
    line.spec["increments"][0]["uri"] = folder.as_uri()
    return folder


def label(folder: Path, text: str) -> None:
    (folder / "labels" / "train" / "train1_00.txt").write_text(text)


def take_label(folder: Path) -> None:
    (folder / "labels" / "train" / "train1_00.txt").unlink()


def copy_picture(folder: Path) -> None:
    shutil.copy(folder / "images/train/train1_00.png", folder / "images/train/TRAIN1_00.jpg")


def cut_picture(folder: Path) -> None:
    path = folder / "images" / "train" / "train1_00.png"
    path.write_bytes(path.read_bytes()[:2000])


SPOILT: list[Any] = [
    pytest.param(take_label, "image without a label file", "empty if nothing", id="no-label"),
    pytest.param(lambda f: label(f, "2 .5 .5 .1 .1"), "class 2 is out of range", "Use 0 to 1", id="class-out-of-range"),
    pytest.param(lambda f: label(f, "0 nan .5 .1 .1"), "nan is no finite number", "Correct the row", id="nan"),
    pytest.param(lambda f: label(f, "0 .5 .5 .1 .1 .9"), "6 columns", "drop that column", id="six-columns"),
    pytest.param(lambda f: label(f, "0 .5 .5 0 .1"), "zero area", "Draw the box again", id="zero-area"),
    pytest.param(cut_picture, "train1_00.png", "Mend these files", id="corrupt-image"),
    pytest.param(copy_picture, "the same name as", "Rename one of the two", id="same-name-twice"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "found", "mend"), SPOILT)
def test_spoilt_delivery__stops_before_training(
    line: TestLine, delivery: Path, spoil: Callable[[Path], object], found: str, mend: str
) -> None:
    spoil(delivery)
    error = line.refused()
    assert error["exitCode"] == BAD_DATA
    assert "w1" in error["where"]
    assert found in error["found"]
    assert mend in error["found"] + error["mend"]
    assert not (line.store / "lineage.json").exists()


def test_a_mended_delivery_is_learned_by_the_next_run(line: TestLine, delivery: Path) -> None:
    label(delivery, "0 nan .5 .1 .1")
    line.refused()
    label(delivery, "0 .5 .5 .25 .25")
    assert line.run().code == 0
    assert line.lineage.learned == ("w1",)


def test_a_delivery_changed_after_it_was_verified__the_round_starts_anew(line: TestLine, delivery: Path) -> None:
    line.stop_before("evaluate")
    draw_delivery(delivery, ("ring", "bark"), 10, seed=1, split="train")
    answer = line.run()
    assert answer.code == 0
    assert line.lineage.rounds[0].images == 10


def test_empty_increment(line: TestLine, delivery: Path) -> None:
    shutil.rmtree(delivery / "images")
    error = line.refused()
    expect(error, BAD_DATA, "spec.increments[0].uri", "no images under file://", "Deliver images/train/*.jpg")


def test_increment_without_a_train_picture(line: TestLine, delivery: Path) -> None:
    for part in ("images", "labels"):
        (delivery / part / "train").rename(delivery / part / "val")
    expect(line.refused(), BAD_DATA, "w1", "no picture to train on", "images/train")


def test_a_first_delivery_without_any_box(line: TestLine, delivery: Path) -> None:
    for path in (delivery / "labels" / "train").iterdir():
        path.write_text("")
    expect(line.refused(), BAD_DATA, "w1", "no picture has a box", "Label the pictures")


def test_class_renamed(grown: TestLine, deliveries: Deliveries) -> None:
    folder = grown.root / "w2"
    shutil.copytree(deliveries.root / "w2", folder)
    (folder / "names.json").write_text(json.dumps(["Ring"]))
    grown.spec["increments"][1]["uri"] = folder.as_uri()
    expect(grown.refused(), BAD_DATA, "w2", "'Ring' here, 'ring' in the line", '`classes: {"Ring": "ring"}`')
    assert grown.lineage.learned == ("w1",)


def test_holdout_overlapping_train(line: TestLine, deliveries: Deliveries) -> None:
    folder = line.root / "leaky"
    shutil.copytree(deliveries.root / "golden", folder)
    shutil.copy(deliveries.root / "w1/images/train/train1_00.png", folder / "images/val/again.png")
    shutil.copy(deliveries.root / "w1/labels/train/train1_00.txt", folder / "labels/val/again.txt")
    line.spec["evaluation"]["holdouts"] = [{"name": "leaky", "uri": folder.as_uri()}]
    error = line.refused()
    expect(
        error, BAD_DATA, "leaky/val/again.png", "the same picture as w1/train/train1_00.png", "never enters training"
    )


def test_a_holdout_that_shows_nothing_of_the_line(line: TestLine) -> None:
    folder = draw_delivery(line.root / "strange", ("root",), 3, seed=5, split="val")
    line.spec["evaluation"]["holdouts"] = [{"name": "strange", "uri": folder.as_uri()}]
    expect(
        line.refused(), BAD_SPEC, "spec.evaluation", "nothing to compare models on", "Add a hold-out that shows them"
    )
