"""CVAT for images 1.1: one `annotations.xml`; rectangles, and what can be put into one.

Polygons, polylines, ellipses and masks become the boxes around them; points, cuboids and tags are dropped.
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
    around,
    number,
    split_of,
    turned,
)
from treering_trainer.dataset.labels import Fault

SHAPES = ("box", "polygon", "polyline", "ellipse", "mask")
DROPPED = ("points", "cuboid", "skeleton", "tag")


def read_cvat(key: PurePosixPath, root: Element, pictures: Pictures, tally: Tally) -> Found:
    """The pictures of one file; its labels are the classes, in its order.

    Raises:
        UnreadableError: a picture's name leads out of the delivery.
    """
    where = str(key)
    names = dict.fromkeys(
        (label.findtext("name") or "").strip() for labels in root.iter("labels") for label in labels.findall("label")
    )
    marks: dict[Path, Marks] = {}
    splits: dict[Path, Split] = {}
    for image in root.iter("image"):
        name = image.get("name") or ""
        path = pictures.find(name, str(key.parent), "images", ".", where=where) if name else None
        if path is None:
            tally.note("NoSuchPicture", f"{where}: {name}")
            continue
        marks[path] = _marks(image, where, tally)
        names |= dict.fromkeys(found for found, _ in marks[path].boxes)
        splits[path] = split_of(PurePosixPath((image.get("subset") or "train").lower()) / name)
    return Found("CVAT for images", tuple(name for name in names if name), marks, splits)


def _marks(image: Element, where: str, tally: Tally) -> Marks:
    boxes: list[tuple[str, Corners]] = []
    place = f"{where}: {image.get('name')}"
    try:
        size = tuple(int(number(image.get(side), where, side)) for side in ("width", "height"))
        for shape in image:
            if shape.tag in SHAPES:
                label = (shape.get("label") or "").strip()
                if not label:
                    raise UnreadableError(where, f"a <{shape.tag}> without a label", "Label it, or take it away.")
                boxes.append((label, _corners(shape, where)))
                if shape.tag != "box" or shape.get("rotation"):
                    tally.note("MaskToBox" if shape.tag != "box" else "TurnedToUpright", place)
            elif shape.tag in DROPPED:
                tally.note("ShapeDropped", place)
    except UnreadableError as error:
        return Marks(fault=Fault("BadAnnotation", error.found, error.mend))
    return Marks(tuple(boxes), (size[0], size[1]))


def _corners(shape: Element, where: str) -> Corners:
    def read(name: str) -> float:
        return number(shape.get(name), where, f"{name} of a <{shape.tag}>")

    if shape.tag == "box":
        left, top, right, bottom = (read(name) for name in ("xtl", "ytl", "xbr", "ybr"))
        if turn := number(shape.get("rotation") or 0, where, "rotation"):
            return turned(left, top, right - left, bottom - top, turn, ((left + right) / 2, (top + bottom) / 2))
        return left, top, right, bottom
    if shape.tag == "ellipse":
        x, y, across, down = (read(name) for name in ("cx", "cy", "rx", "ry"))
        return x - across, y - down, x + across, y + down
    if shape.tag == "mask":
        left, top, width, height = (read(name) for name in ("left", "top", "width", "height"))
        return left, top, left + width, top + height
    points = []
    for pair in (shape.get("points") or "").split(";"):
        x_text, _, y_text = pair.partition(",")
        points.append((number(x_text, where, "points"), number(y_text, where, "points")))
    return around(points)
