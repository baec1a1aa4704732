"""The VOC protocol of continual detection on any folder in YOLO layout: two deliveries by class, one full hold-out.

The first delivery holds every train image with an old class, labelled for the old classes only; the second every train
image with a new class, labelled for the new classes only. An image with both stands in both. The hold-out is the val
split with all its labels.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Split:
    """A class split of one data set.

    Args:
        data: folder with images/{train,val}, labels/{train,val} and names.json.
        old: classes of the first delivery.
    """

    data: Path
    old: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All class names, in the order of names.json."""
        return tuple(json.loads((self.data / "names.json").read_text()))

    @property
    def new(self) -> tuple[str, ...]:
        """Classes of the second delivery."""
        return tuple(name for name in self.names if name not in self.old)

    @property
    def union(self) -> tuple[str, ...]:
        """Old classes first, as a line that grows has them."""
        return (*self.old, *self.new)


def write_deliveries(split: Split, out: Path) -> tuple[Path, Path, Path]:
    """Write first delivery, second delivery and hold-out into `out`; returns their folders."""
    first = write_subset(split, out / "first", "train", split.old)
    second = write_subset(split, out / "second", "train", split.new)
    golden = write_subset(split, out / "golden", "val", split.union, keep_all=True)
    return first, second, golden


def write_subset(split: Split, folder: Path, part: str, classes: Sequence[str], *, keep_all: bool = False) -> Path:
    """The images of one split that show any of `classes` (all, with `keep_all`), labelled for those classes only."""
    shutil.rmtree(folder, ignore_errors=True)
    images, labels = folder / "images" / part, folder / "labels" / part
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    index = {split.names.index(name): place for place, name in enumerate(classes)}
    for image in sorted((split.data / "images" / part).iterdir()):
        rows = _rows(split.data / "labels" / part / f"{image.stem}.txt", index)
        if rows or keep_all:
            shutil.copyfile(image, images / image.name)
            (labels / f"{image.stem}.txt").write_text("".join(f"{row}\n" for row in rows))
    (folder / "names.json").write_text(json.dumps(list(classes)))
    return folder


def _rows(path: Path, index: dict[int, int]) -> list[str]:
    lines: Iterable[list[str]] = (line.split() for line in path.read_text().splitlines() if line.strip())
    return [" ".join([str(index[int(row[0])]), *row[1:]]) for row in lines if int(row[0]) in index]
