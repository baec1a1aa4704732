from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from treering_api import BadDataError
from treering_trainer.dataset import list_pictures, wanted_keys
from treering_trainer.dataset.layout import scan
from treering_trainer.records import Finding

Only = Callable[..., Finding]

KEYS = [
    "names.json",
    "data.yaml",
    "classes.txt",
    "images/train/a.jpg",
    "images/train/b.PNG",
    "images/val/c.webp",
    "images/d.tiff",
    "images/extra/e.jpg",
    "labels/train/a.txt",
    "labels/val/c.txt",
]
UNWANTED = [
    "labels/train.cache",
    "labels/train/a.cache",
    "labels/train/a.npy",
    "images/train/a.txt",
    "images/train/a.pkl",
    "images/train/.a.jpg",
    "images/.hidden/a.jpg",
    "images/test/t.jpg",
    "labels/test/t.txt",
    "images/train/",
    "sub/names.json",
    "best.pt",
    "README.md",
    "other/a.jpg",
]


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_wanted_keys__only_what_is_read() -> None:
    assert wanted_keys([*KEYS, *UNWANTED]) == sorted(KEYS)


def test_wanted_keys__holdout_has_its_test_split() -> None:
    assert wanted_keys(UNWANTED, "holdout") == ["images/test/t.jpg", "labels/test/t.txt"]


def test_scan__splits(tmp_path: Path) -> None:
    touch(tmp_path, "images/train/b.jpg", "images/train/a.JPG", "images/val/v.png", "images/test/t.jpg")
    touch(tmp_path, "labels/train/a.txt", "labels/train/b.txt", "labels/val/v.txt", "images/train/.DS_Store")
    layout = scan(tmp_path, "w47", "increment")
    assert layout.findings == ()
    assert [(part.name, part.split, [path.name for path in part.images]) for part in layout.folders] == [
        ("train", "train", ["a.JPG", "b.jpg"]),
        ("val", "val", ["v.png"]),
    ]
    assert layout.folders[0].labels["a"] == tmp_path / "labels/train/a.txt"


def test_scan__flat_is_train(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "labels/a.txt", "labels/classes.txt")
    layout = scan(tmp_path, "w47", "increment")
    assert [(part.name, part.split) for part in layout.folders] == [("", "train")]
    assert layout.findings == ()


def test_scan__holdout_is_all_val(tmp_path: Path) -> None:
    touch(tmp_path, "images/train/a.jpg", "images/val/b.jpg", "images/test/c.jpg")
    layout = scan(tmp_path, "golden", "holdout")
    assert [(part.name, part.split) for part in layout.folders] == [("train", "val"), ("val", "val"), ("test", "val")]


@pytest.mark.parametrize("files", [[], ["images/val/a.jpg"]], ids=["nothing", "only val"])
def test_scan__empty_increment(tmp_path: Path, files: list[str], only: Only) -> None:
    finding = only(scan(touch(tmp_path, *files), "w47", "increment").findings, "EmptyIncrement")
    assert (finding.severity, finding.where) == ("error", "w47")
    assert finding.found == "empty increment: no picture to train on"
    assert "images/train" in finding.mend and ".jpg" in finding.mend


def test_scan__empty_holdout(tmp_path: Path, only: Only) -> None:
    finding = only(scan(tmp_path / "absent", "golden", "holdout").findings, "EmptyHoldout")
    assert (finding.severity, finding.where) == ("error", "golden")
    assert finding.found == "empty holdout: no picture to measure on"


@pytest.mark.parametrize(("one", "other"), [("a.jpg", "a.png"), ("A.jpg", "a.jpg")], ids=["suffix", "case"])
def test_scan__same_name_twice(tmp_path: Path, one: str, other: str, only: Only) -> None:
    layout = scan(touch(tmp_path, f"images/train/{one}", f"images/train/{other}"), "w47", "increment")
    finding = only(layout.findings, "SameName")
    assert (finding.severity, finding.where) == ("error", f"w47/train/{other}")
    assert f"w47/train/{one}" in finding.found
    assert "Rename one of the two" in finding.mend
    assert len(layout.folders[0].images) == 1


def test_scan__same_name_in_two_folders(tmp_path: Path, only: Only) -> None:
    touch(tmp_path, "images/train/a.jpg", "images/val/a.jpg")
    assert scan(tmp_path, "w47", "increment").findings == ()
    finding = only(scan(tmp_path, "golden", "holdout").findings, "SameName")
    assert finding.where == "golden/val/a.jpg"
    assert "golden/train/a.jpg" in finding.found


def test_scan__label_without_image(tmp_path: Path, only: Only) -> None:
    touch(tmp_path, "images/train/a.jpg", "labels/train/a.txt", "labels/train/b.txt")
    finding = only(scan(tmp_path, "w47", "increment").findings, "LabelWithoutImage")
    assert (finding.severity, finding.where) == ("warning", "w47/train/b.txt")
    assert "Deliver the picture" in finding.mend


def test_scan__unknown_suffix(tmp_path: Path, only: Only) -> None:
    touch(tmp_path, "images/train/a.jpg", "images/train/b.heic")
    finding = only(scan(tmp_path, "w47", "increment").findings, "UnknownSuffix")
    assert (finding.severity, finding.where) == ("warning", "w47/train/b.heic")
    assert ".heic" in finding.found and ".png" in finding.mend


@pytest.mark.parametrize("folder", ["valid", "train/monday"])
def test_scan__unknown_folder(tmp_path: Path, folder: str, only: Only) -> None:
    touch(tmp_path, "images/train/a.jpg", f"images/{folder}/b.jpg")
    finding = only(scan(tmp_path, "w47", "increment").findings, "UnknownFolder")
    assert (finding.severity, finding.where) == ("error", f"w47/images/{folder}")
    assert "images/val" in finding.mend


def test_scan__mixed_layout(tmp_path: Path, only: Only) -> None:
    touch(tmp_path, "images/train/a.jpg", "images/b.jpg")
    finding = only(scan(tmp_path, "w47", "increment").findings, "MixedLayout")
    assert (finding.severity, finding.where) == ("error", "w47/images")
    assert "b.jpg" in finding.found


def test_list_pictures(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "a.jpg", "a.txt", "c.jpg/1.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in list_pictures(tmp_path)] == ["a.jpg", "b/2.PNG", "c.jpg/1.webp"]
    assert list_pictures(tmp_path, 1) == [tmp_path / "a.jpg"]
    with pytest.raises(BadDataError, match=r"there are no pictures in it.*\.jpg .*\.tiff"):
        list_pictures(tmp_path / "none")
