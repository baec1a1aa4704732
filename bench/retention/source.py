"""The data set that is measured on: any folder in YOLO layout, read and checked by Treering's own reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from treering_api import Verification
from treering_trainer.dataset import Sample, read_dataset

VAL_SHARE = 0.2
"""Of the train images, where a folder has no val split."""


@dataclass(frozen=True, eq=False)
class Source:
    """One data set; boxes index into `names`.

    Args:
        name: of its folder.
        train: never shows a picture of `val`.
        val: what every model is measured on, and no model is trained on.
        dropped: train pictures that stand in `val` too, and were left out.
    """

    name: str
    names: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    dropped: int

    @property
    def digest(self) -> str:
        """SHA-256 over names, pictures and labels."""
        return digest_of(self.names, (("train", self.train), ("val", self.val)))


def read_source(folder: Path) -> Source:
    """Read a folder with images/{train,val}, labels/{train,val} and names.json; its test split is left alone.

    Without a val split, a fifth of the train images is held out, the same in every call.

    Raises:
        SystemExit: there is nothing to train on, or fewer than two classes.
    """
    settings = Verification(max_quarantined=1.0, missing_labels="background")
    checked = read_dataset(folder.resolve(), folder.resolve().name, "increment", settings)
    dataset = checked.dataset
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    if errors:
        raise SystemExit(f"{errors[0].where}: {errors[0].found}. {errors[0].mend}")
    if len(dataset.names) < 2:
        raise SystemExit(f"{folder} has {len(dataset.names)} classes: two at least are needed")
    val = dataset.val or tuple(item for item in dataset.train if lot("val", item.sha256) < VAL_SHARE)
    measured = {item.sha256 for item in val}
    train = _distinct(item for item in dataset.train if item.sha256 not in measured)
    if not train or not any(len(item.boxes) for item in val):
        raise SystemExit(f"{folder} has {len(train)} train images and {len(val)} to measure on: no boxes to compare")
    dropped = sum(item.sha256 in measured for item in dataset.train) if dataset.val else 0
    return Source(dataset.name, dataset.names, train, val, dropped)


def digest_of(names: Iterable[str], parts: Iterable[tuple[str, tuple[Sample, ...]]]) -> str:
    """SHA-256 over class names and labelled pictures, hexadecimal; their order counts."""
    digest = hashlib.sha256(repr(tuple(names)).encode())
    for part, samples in parts:
        digest.update(f"{part}{len(samples)}".encode())
        for sample in samples:
            digest.update(sample.sha256.encode())
            digest.update(sample.boxes.tobytes())
    return digest.hexdigest()


def content_digest(names: Sequence[str], samples: Iterable[Sample]) -> str:
    """SHA-256 over labelled pictures, hexadecimal, in whatever order; boxes index into `names`."""
    parts = sorted((sample.sha256, sample.boxes.tolist()) for sample in samples)
    return hashlib.sha256(repr((tuple(names), parts)).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def text_digest(*parts: object) -> str:
    """SHA-256 over how the parts are written, hexadecimal."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def lot(*words: object) -> float:
    """A number from 0 to below 1 that is drawn from the words alone, the same on every machine."""
    drawn = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48


def _distinct(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sample.sha256, sample)
    return tuple(first.values())
