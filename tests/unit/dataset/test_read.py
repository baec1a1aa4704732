from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from PIL import Image

from treering_api import Verification
from treering_trainer.dataset import Checked, Fault, read_dataset
from treering_trainer.dataset.images import Picture, read_picture
from treering_trainer.records import Finding

Only = Callable[..., Finding]


class Delivery(Protocol):
    root: Path

    def image(self, key: str, seed: int) -> Path: ...
    def label(self, key: str, text: str = ...) -> Path: ...
    def pair(self, key: str, seed: int, text: str = ...) -> Path: ...
    def names(self, *names: str) -> None: ...
    def read(self, kind: str = ..., rename: dict[str, str] | None = ..., **settings: Any) -> Checked: ...


def test_read_dataset__clean(delivery: Delivery) -> None:
    delivery.label("train/t3.txt", "")
    delivery.label("train/t4.txt", "1 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.25 0.25\n")
    checked = delivery.read()
    assert checked.findings == ()
    assert [sample.name for sample in checked.dataset.train] == [f"t{number}" for number in range(10)]
    assert checked.dataset.names == ("ace", "king")
    train, val = checked.counts
    assert (train.split, train.images, train.backgrounds, train.quarantined) == ("train", 10, 1, 0)
    assert train.boxes == {"ace": 9, "king": 1}
    assert (val.split, val.images, val.boxes) == ("val", 2, {"ace": 2, "king": 0})
    sample = checked.dataset.train[4]
    assert (sample.width, sample.height) == (96, 64)
    assert sample.boxes.tolist() == [[1, 0.5, 0.5, 0.5, 0.5], [0, 0.25, 0.25, 0.25, 0.25]]


def test_read_dataset__same_whatever_the_threads(delivery: Delivery) -> None:
    delivery.label("train/t5.txt", "7 0 0 1 1\n")
    one, many = (read_dataset(delivery.root, "w47", "increment", Verification(), workers=n) for n in (1, 8))
    assert one.findings == many.findings
    assert [(s.name, s.sha256, s.phash) for s in one.dataset.train] == [
        (s.name, s.sha256, s.phash) for s in many.dataset.train
    ]


def test_read_dataset__tells_its_progress(delivery: Delivery) -> None:
    seen: list[tuple[int, int]] = []
    read_dataset(
        delivery.root, "w47", "increment", Verification(), on_image=lambda done, total: seen.append((done, total))
    )
    assert seen == [(number, 12) for number in range(1, 13)]


def test_read_dataset__empty_increment(new_delivery: Callable[[str], Delivery], only: Only) -> None:
    checked = new_delivery("w47").read()
    assert only(checked.findings, "EmptyIncrement").found.startswith("empty increment")
    assert (checked.counts, len(checked.findings)) == ((), 1)


def test_read_dataset__no_names(delivery: Delivery, only: Only) -> None:
    (delivery.root / "names.json").unlink()
    finding = only(delivery.read().findings, "BadClassNames")
    assert (finding.severity, finding.where) == ("error", "w47")
    assert "no class names" in finding.found
    assert "names.json" in finding.mend


def test_read_dataset__holdout_counts_as_val(delivery: Delivery) -> None:
    dataset = delivery.read("holdout").dataset
    assert (len(dataset.train), len(dataset.val)) == (0, 12)


def test_read_dataset__missing_label(delivery: Delivery, only: Only) -> None:
    (delivery.root / "labels/train/t3.txt").unlink()
    checked = delivery.read()
    finding = only(checked.findings, "MissingLabel")
    assert (finding.severity, finding.where) == ("quarantine", "w47/train/t3.jpg")
    assert finding.found == "image without a label file"
    assert "labels/train/t3.txt, empty if nothing" in finding.mend
    assert "missingLabels: background" in finding.mend
    assert (checked.counts[0].images, checked.counts[0].quarantined) == (9, 1)


def test_read_dataset__missing_label_as_background(delivery: Delivery, only: Only) -> None:
    (delivery.root / "labels/train/t3.txt").unlink()
    checked = delivery.read(missing_labels="background")
    assert only(checked.findings, "TakenAsBackground").where == "w47/train/t3.jpg"
    assert (checked.counts[0].images, checked.counts[0].backgrounds, checked.counts[0].quarantined) == (10, 1, 0)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2 0.5 0.5 0.2 0.2", "ClassOutOfRange"),
        ("0 nan 0.5 0.2 0.2", "NotFinite"),
        ("0 0.5 0.5 0.2 0.2 1", "WrongColumns"),
        ("0 0.5 0.5 0 0", "ZeroArea"),
        ("0 0.5 0.5 0.005 0.5", "TinyBox"),
    ],
)
def test_read_dataset__bad_row(delivery: Delivery, only: Only, row: str, code: str) -> None:
    delivery.label("val/v1.txt", f"0 0.5 0.5 0.5 0.5\n{row}\n")
    checked = delivery.read()
    finding = only(checked.findings, code)
    assert (finding.severity, finding.where) == ("quarantine", "w47/val/v1.txt:2")
    assert [sample.name for sample in checked.dataset.val] == ["v0"]
    assert checked.counts[1].quarantined == 1


def test_read_dataset__least_box_is_a_setting(delivery: Delivery) -> None:
    delivery.label("train/t1.txt", "0 0.5 0.5 0.005 0.5\n")
    assert "TinyBox" in {finding.code for finding in delivery.read().findings}
    assert "TinyBox" not in {finding.code for finding in delivery.read(min_box_px=0.4).findings}


def test_read_dataset__box_size_as_shown(delivery: Delivery, only: Only) -> None:
    """96 x 64 pixels in the file, turned by its EXIF orientation: 64 wide."""
    path = delivery.root / "images/train/t1.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)
    delivery.label("train/t1.txt", "0 0.5 0.5 0.0125 0.5\n")
    assert "0.80 x 48.00 pixels" in only(delivery.read().findings, "TinyBox").found


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "EmptyImage"), (b"no picture", "CorruptImage"), (None, "TruncatedImage")]
)
def test_read_dataset__bad_image(delivery: Delivery, only: Only, data: bytes | None, code: str) -> None:
    path = delivery.root / "images/train/t7.jpg"
    path.write_bytes(path.read_bytes()[:-50] if data is None else data)
    checked = delivery.read()
    finding = only(checked.findings, code)
    assert (finding.severity, finding.where) == ("quarantine", "w47/train/t7.jpg")
    assert "Deliver the picture again" in finding.mend
    assert "t7" not in [sample.name for sample in checked.dataset.train]


def test_read_dataset__wrong_suffix_is_used(delivery: Delivery, only: Only) -> None:
    Image.open(delivery.root / "images/train/t7.jpg").save(delivery.root / "images/train/t7.jpg", "PNG")
    checked = delivery.read()
    finding = only(checked.findings, "WrongSuffix")
    assert (finding.severity, finding.where) == ("warning", "w47/train/t7.jpg")
    assert "holds PNG" in finding.found
    assert checked.counts[0].images == 10


def test_read_dataset__duplicate_rows(delivery: Delivery, only: Only) -> None:
    delivery.label("train/t1.txt", "0 0.5 0.5 0.5 0.5\n" * 3)
    checked = delivery.read()
    finding = only(checked.findings, "DuplicateRows")
    assert (finding.severity, finding.where) == ("info", "w47/train/t1.txt")
    assert "2 rows" in finding.found
    assert checked.dataset.train[1].boxes.shape == (1, 5)


def test_read_dataset__same_image_twice(delivery: Delivery, only: Only) -> None:
    delivery.pair("train/u", 3)
    checked = delivery.read()
    finding = only(checked.findings, "DuplicateImage")
    assert (finding.severity, finding.where) == ("info", "w47/train/u.jpg")
    assert "the same picture as w47/train/t3.jpg" in finding.found
    assert (checked.counts[0].images, checked.counts[0].quarantined) == (10, 0)


def test_read_dataset__same_image_twice_labelled_otherwise(delivery: Delivery, only: Only) -> None:
    delivery.pair("train/u", 3, "1 0.5 0.5 0.5 0.5\n")
    checked = delivery.read()
    finding = only(checked.findings, "ContradictoryLabels")
    assert (finding.severity, finding.where) == ("quarantine", "w47/train/u.jpg")
    assert "w47/train/t3.jpg" in finding.found
    assert (checked.counts[0].images, checked.counts[0].quarantined) == (10, 1)


def test_read_dataset__nothing_usable(delivery: Delivery, only: Only) -> None:
    for number in range(10):
        delivery.label(f"train/t{number}.txt", "9 0 0 1 1")
    checked = delivery.read()
    assert only(checked.findings, "NothingUsable").severity == "error"
    assert checked.findings[0].code == "NothingUsable"
    assert checked.counts[0].quarantined == 10


def test_read_dataset__no_boxes(delivery: Delivery, only: Only) -> None:
    for number in range(10):
        delivery.label(f"train/t{number}.txt", "")
    finding = only(delivery.read().findings, "NoBoxes")
    assert (finding.severity, finding.where) == ("warning", "w47")


def test_read_dataset__class_without_boxes(delivery: Delivery, only: Only) -> None:
    finding = only(delivery.read().findings, "ClassWithoutBoxes")
    assert (finding.severity, finding.found) == ("info", "no box of king")


def test_read_dataset__rename(delivery: Delivery) -> None:
    delivery.names("Ace", "king")
    assert delivery.read(rename={"Ace": "ace"}).dataset.names == ("ace", "king")


def test_read_dataset__rename_joins_two_classes(delivery: Delivery) -> None:
    delivery.names("red ace", "king", "black ace")
    delivery.label("train/t0.txt", "2 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n")
    dataset = delivery.read(rename={"red ace": "ace", "black ace": "ace"}).dataset
    assert dataset.names == ("ace", "king")
    assert dataset.train[0].boxes[:, 0].tolist() == [0, 1]


def test_read_dataset__rename_of_an_unknown_class(delivery: Delivery, only: Only) -> None:
    finding = only(delivery.read(rename={"aec": "ace"}).findings, "BadClassNames")
    assert (finding.severity, finding.where) == ("error", "w47/classes")
    assert "'aec'" in finding.found
    assert "Did you mean 'ace'?" in finding.mend


def test_read_dataset__many_remarks_are_bounded(delivery: Delivery) -> None:
    for number in range(30):
        delivery.label(f"train/orphan{number:02}.txt")
    findings = [finding for finding in delivery.read().findings if finding.code == "LabelWithoutImage"]
    assert len(findings) == 21
    assert (findings[-1].where, findings[-1].found) == ("w47", "10 more findings LabelWithoutImage, 30 in all")


def test_read_dataset__stops_when_told(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: what has not been started is not read any more."""
    started: list[Path] = []

    def slowly(path: Path) -> Picture | Fault:
        started.append(path)
        time.sleep(0.05)
        return read_picture(path)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("treering_trainer.dataset.read.read_picture", slowly)
    with pytest.raises(KeyboardInterrupt):
        read_dataset(delivery.root, "w47", "increment", Verification(), workers=1, on_image=stop)
    time.sleep(0.1)
    assert len(started) < 6


def test_read_dataset__never_opens_a_label_cache(delivery: Delivery) -> None:
    (delivery.root / "labels/train.cache").write_bytes(b"\x80\x04cos\nabort\n(tR.")
    (delivery.root / "labels/train/t1.cache").write_bytes(b"\x80\x04cos\nabort\n(tR.")
    assert {finding.code for finding in delivery.read().findings} == {"ClassWithoutBoxes"}
