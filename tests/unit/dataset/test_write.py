from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from treering_api import Verification
from treering_api.errors import ResumableError
from treering_api.exit_codes import ExitCode
from treering_trainer.dataset import Checked, Sample, label_text, no_boxes, read_dataset, write_dataset

NewSample = Callable[..., Sample]


class Delivery(Protocol):
    root: Path

    def label(self, key: str, text: str = ...) -> Path: ...
    def read(self, **settings: Any) -> Checked: ...


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_write_dataset__comes_back(delivery: Delivery, tmp_path: Path) -> None:
    delivery.label("train/t1.txt", "")
    dataset = delivery.read().dataset
    write_dataset(tmp_path / "out", dataset.train, dataset.names)
    write_dataset(tmp_path / "out", dataset.val, dataset.names, "val")
    again = read_dataset(tmp_path / "out", "out", "memory", Verification()).dataset
    assert again.names == dataset.names
    for split, sample in dataset.samples():
        other = next(other for where, other in again.samples() if (where, other.name) == (split, sample.name))
        assert (other.sha256, other.phash, other.boxes.tolist()) == (sample.sha256, sample.phash, sample.boxes.tolist())
    assert (tmp_path / "out/labels/train/t1.txt").read_bytes() == b""


def test_write_dataset__same_bytes_in_any_order(delivery: Delivery, tmp_path: Path) -> None:
    dataset = delivery.read().dataset
    write_dataset(tmp_path / "one", dataset.train, dataset.names)
    write_dataset(tmp_path / "two", reversed(dataset.train), dataset.names, link=False)
    write_dataset(tmp_path / "two", dataset.train, dataset.names)  # over what is there
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert json.loads((tmp_path / "one/names.json").read_text()) == ["ace", "king"]


@pytest.mark.parametrize("link", [True, False])
def test_write_dataset__links_or_copies(delivery: Delivery, tmp_path: Path, link: bool) -> None:
    sample = delivery.read().dataset.train[0]
    write_dataset(tmp_path / "out", [sample], ("ace", "king"), link=link)
    assert (tmp_path / "out/images/train/t0.jpg").samefile(sample.image) is link


def test_write_dataset__copies_where_links_fail(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr("os.link", refuse)
    sample = delivery.read().dataset.train[0]
    write_dataset(tmp_path / "out", [sample], ("ace", "king"))
    assert (tmp_path / "out/images/train/t0.jpg").read_bytes() == sample.image.read_bytes()


def test_write_dataset__disk_full(delivery: Delivery, tmp_path: Path, full_disk: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(1_000_000))
    sample = replace(delivery.read().dataset.train[0], image=large)
    with pytest.raises(ResumableError) as caught:
        write_dataset(full_disk / "out", [sample], ("ace", "king"), link=False)
    assert caught.value.exit_code is ExitCode.RESUMABLE
    assert caught.value.where == str(full_disk / "out")
    assert caught.value.found.startswith("disk full")
    assert "Free some space" in caught.value.mend


def test_write_dataset__picture_gone(new_sample: NewSample, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_dataset(tmp_path, [new_sample("a", "1", 0)], ("ace",))


def test_write_dataset__two_samples_of_one_name(new_sample: NewSample, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two samples of the name 'A'"):
        write_dataset(tmp_path, [new_sample("a", "1", 0), new_sample("A", "2", 0)], ("ace",))


def test_label_text__six_decimals() -> None:
    boxes = np.array([[1, 0.123456789, 0.5, 1 / 3, 1.0], [0, 0.25, 0.75, 0.1, 0.1]])
    assert label_text(boxes, 2) == ("1 0.123457 0.500000 0.333333 1.000000\n0 0.250000 0.750000 0.100000 0.100000\n")
    assert label_text(no_boxes(), 0) == ""


def test_label_text__class_without_a_name(new_sample: NewSample) -> None:
    sample = replace(new_sample("a", "1", 0), boxes=np.array([[2, 0.5, 0.5, 0.1, 0.1]]))
    with pytest.raises(ValueError, match=r"class index outside 0\.\.1"):
        label_text(sample.boxes, 2)
