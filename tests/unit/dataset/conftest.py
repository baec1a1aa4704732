"""Small data sets on disk, made with real pictures, and a way to break them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from treering_api import Verification
from treering_trainer.dataset import Checked, DataSet, Kind, Sample, no_boxes, read_dataset
from treering_trainer.records import Finding

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")

SIZE_PX = (96, 64)
BOX = "0 0.5 0.5 0.25 0.5\n"


def picture(seed: int, size: tuple[int, int] = SIZE_PX) -> Image.Image:
    """A coarse random pattern: unlike any other one to a perceptual hash, and alike after compression."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


@dataclass
class Delivery:
    """A data set in the making."""

    root: Path

    def image(self, key: str, seed: int) -> Path:
        path = self.root / "images" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
        return path

    def label(self, key: str, text: str = BOX) -> Path:
        path = self.root / "labels" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def pair(self, key: str, seed: int, text: str = BOX) -> Path:
        self.label(f"{key}.txt", text)
        return self.image(f"{key}.jpg", seed)

    def names(self, *names: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "names.json").write_text(json.dumps(names), encoding="utf-8")

    def read(self, kind: Kind = "increment", rename: dict[str, str] | None = None, **settings: object) -> Checked:
        return read_dataset(self.root, "w47", kind, Verification.model_validate(settings), rename or {}, workers=2)


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """Ten good train pictures, two good val pictures, two class names."""
    made = Delivery(tmp_path / "w47")
    made.names("ace", "king")
    for number in range(10):
        made.pair(f"train/t{number}", number)
    for number in range(2):
        made.pair(f"val/v{number}", 100 + number)
    return made


@pytest.fixture
def new_delivery(tmp_path: Path) -> Callable[[str], Delivery]:
    return lambda name: Delivery(tmp_path / name)


@pytest.fixture
def only() -> Callable[..., Finding]:
    """The one finding of a code."""

    def pick(findings: tuple[Finding, ...], code: str) -> Finding:
        found = [finding for finding in findings if finding.code == code]
        assert len(found) == 1, [*findings]
        return found[0]

    return pick


@pytest.fixture
def new_sample() -> Callable[..., Sample]:
    """A sample without a file behind it."""

    def make(name: str, sha256: str, phash: int, folder: str = "train") -> Sample:
        return Sample(name, Path(f"/data/images/{folder}/{name}.jpg"), no_boxes(), *SIZE_PX, sha256, phash)

    return make


@pytest.fixture
def new_dataset() -> Callable[..., DataSet]:
    def make(
        name: str,
        kind: Kind = "increment",
        train: tuple[Sample, ...] = (),
        val: tuple[Sample, ...] = (),
        names: tuple[str, ...] = ("ace",),
    ) -> DataSet:
        return DataSet(name, kind, names, train, val)

    return make
