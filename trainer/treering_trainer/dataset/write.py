"""Writing a data set in YOLO layout: what the demo's data, the memory and the folder to train on are made with.

The same samples give the same bytes on every machine. `read_dataset` reads back what this wrote.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from treering_trainer.dataset.samples import Boxes, Sample, Split
from treering_trainer.store.local import disk_failure

NAMES_FILE = "names.json"


def write_dataset(
    root: Path, samples: Iterable[Sample], names: Sequence[str], split: Split = "train", *, link: bool = True
) -> None:
    """Write one split below `root`, which may hold the other one already: pictures, labels, names.json.

    Pictures are hard links where the file system allows it and `link` does not forbid it, else copies; nobody may
    write into them. A sample without boxes gets a label file of zero bytes. Files that are there are replaced.

    Raises:
        ValueError: two samples of one name, or a box whose class has no name.
        ResumableError: the disk is full or broken.
        BadSpecError: `root` may not be written to.
    """
    images, labels = root / "images" / split, root / "labels" / split
    with _disk(root):
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for sample in _distinct(samples):
            _place(sample.image, images / f"{sample.name}{sample.image.suffix.lower()}", link=link)
            _write(labels / f"{sample.name}.txt", label_text(sample.boxes, len(names)))
        _write(root / NAMES_FILE, json.dumps([*names], ensure_ascii=False) + "\n")


def label_text(boxes: Boxes, classes: int) -> str:
    """Boxes of shape (n, 5) as rows of `class x y width height` with six decimals; empty for none.

    Raises:
        ValueError: a class index not below `classes`.
    """
    if len(boxes) and (boxes[:, 0].min() < 0 or boxes[:, 0].max() >= classes):
        raise ValueError(f"class index outside 0..{classes - 1}: {boxes[:, 0].tolist()}")
    return "".join("{:d} {:.6f} {:.6f} {:.6f} {:.6f}\n".format(int(row[0]), *row[1:]) for row in boxes.tolist())


def _distinct(samples: Iterable[Sample]) -> list[Sample]:
    first: dict[str, Sample] = {}
    for sample in samples:
        if first.setdefault(sample.name.casefold(), sample) is not sample:
            raise ValueError(f"two samples of the name {sample.name!r}")
    return [*first.values()]


def _place(source: Path, target: Path, *, link: bool) -> None:
    """Link or copy beside the target first, so that a reader never sees half a picture."""
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    if not (link and _linked(source.resolve(), beside)):
        shutil.copyfile(source, beside)
    beside.replace(target)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or too many of them
        return False
    return True


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise  # a picture that was there when it was checked: nothing that another folder would mend
    except OSError as error:
        raise disk_failure(root, error) from error
