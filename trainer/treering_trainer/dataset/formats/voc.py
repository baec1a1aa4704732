"""Pascal VOC, as labelImg, CVAT, Label Studio and Roboflow write it: one XML file a picture, corners in pixels.

`difficult` objects are kept: a detector that has learned that they are background is worse. Splits are those of
ImageSets/Main, else of the folders. Coordinates are taken as they stand: tools count from 0, the original from 1.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from treering_trainer.dataset.formats.marks import (
    Corners,
    Found,
    Marks,
    Pictures,
    Split,
    Tally,
    UnreadableError,
    number,
    split_of,
)
from treering_trainer.dataset.formats.xml_file import content, read_xml
from treering_trainer.dataset.labels import Fault

SETS: dict[str, Split] = {"train": "train", "trainval": "train", "val": "val", "test": "test", "default": "train"}


def read_voc(
    root: Path, keys: list[PurePosixPath], lists: list[PurePosixPath], pictures: Pictures, tally: Tally
) -> Found:
    """Every XML file of a delivery with its picture.

    Args:
        lists: text files of ImageSets/Main.

    Raises:
        UnreadableError: a file is no annotation.
    """
    told = _sets(root, lists)
    names: dict[str, None] = {}
    marks: dict[Path, Marks] = {}
    splits: dict[Path, Split] = {}
    for key in keys:
        where = str(key)
        element = read_xml(root / key, where)
        if element.tag != "annotation":
            raise UnreadableError(where, f"its root is <{element.tag[:40]}>, no <annotation>", "Take the file away.")
        path = pictures.by_stem(key.stem) or _named(element, key, pictures, where)
        if path is None:
            tally.note("NoSuchPicture", where)
            continue
        marks[path] = _marks(element, where, tally)
        names |= dict.fromkeys(name for name, _ in marks[path].boxes)
        splits[path] = told.get(key.stem) or split_of(key)
    return Found("Pascal VOC", tuple(sorted(names)), marks, splits)


def _sets(root: Path, lists: list[PurePosixPath]) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for key in sorted(lists, key=lambda key: key.stem != "trainval"):  # of which val is a part
        if (split := SETS.get(key.stem)) is not None:
            lines = (root / key).read_text(encoding="utf-8", errors="replace").splitlines()
            found |= {line.split()[0]: split for line in lines if line.strip()}
    return found


def _named(element: Element, key: PurePosixPath, pictures: Pictures, where: str) -> Path | None:
    name = content(element, "filename")
    return pictures.find(name, str(key.parent), where=where) if name else None


def _marks(element: Element, where: str, tally: Tally) -> Marks:
    boxes: list[tuple[str, Corners]] = []
    try:
        size = element.find("size")
        shown = None
        if size is not None:
            shown = (
                int(number(content(size, "width"), where, "width")),
                int(number(content(size, "height"), where, "height")),
            )
        for item in element.iter("object"):
            name, box = content(item, "name"), item.find("bndbox")
            if not name or box is None:
                raise UnreadableError(where, "an object without <name> or <bndbox>", "Complete it, or take it away.")
            corners = tuple(number(content(box, side), where, side) for side in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((name, (corners[0], corners[1], corners[2], corners[3])))
            if content(item, "difficult") == "1":
                tally.note("DifficultKept", where)
    except UnreadableError as error:
        return Marks(fault=Fault("BadAnnotation", error.found, error.mend))
    return Marks(tuple(boxes), shown if shown and all(shown) else None)
