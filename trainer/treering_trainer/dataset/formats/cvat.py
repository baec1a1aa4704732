"""CVAT for images 1.1: one annotations.xml beside images.

Read over defusedxml; no library we may ship reads it with findings. Tasks of videos are exported as tracks, whose boxes
between key frames are nowhere written down; they are refused, with what to export instead.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.documents import MAX_CVAT_BYTES, read_xml
from treering_trainer.dataset.formats.pictures import Pictures
from treering_trainer.dataset.formats.reading import Entry, Reading, is_set, parsed, size
from treering_trainer.dataset.formats.recognition import CVAT_FILE
from treering_trainer.dataset.formats.splits import SplitWord, split_of_folders, split_word
from treering_trainer.dataset.marks import Corners, Mark, Marks, around, ellipse, turned

_EXPORT = "Export the task as `CVAT for images 1.1`, or as COCO, with its pictures."
_SHAPES = ("box", "polygon", "ellipse", "mask", "cuboid", "polyline", "points", "skeleton", "tag")


def read_cvat(pictures: Pictures) -> Reading:
    """Read annotations.xml. A picture that is listed without shapes is a background."""
    reading = Reading("CVAT for images", label_suffix=".xml")
    where = f"{pictures.name}/{CVAT_FILE}"
    try:
        root = read_xml(pictures.files[CVAT_FILE], where, MAX_CVAT_BYTES)
        if root.tag != "annotations" or root.find("track") is not None:
            what = "has tracks of a video" if root.tag == "annotations" else f"has the root <{root.tag[:40]}>"
            raise BadDataError(where, f"{what}, not CVAT's pictures", _EXPORT)
    except BadDataError as error:
        reading.add("error", "BadAnnotations", error.where, error.found, error.mend)
        return reading
    for label in root.iterfind("meta//label/name"):
        if label.text and label.text.strip():
            reading.index(label.text.strip())
    for image in root.iterfind("image"):
        _take(image, reading, pictures, where)
    return reading


def _take(image: Element, reading: Reading, pictures: Pictures, where: str) -> None:
    name, subset = image.get("name") or "", image.get("subset") or ""
    folders = (f"images/{subset}", "images", "images/default", subset, "")
    key = pictures.find(name, where, folders)
    if key is None:
        return
    sides = size(parsed(image.get("width"))), size(parsed(image.get("height")))
    marks = Marks(CVAT_FILE, *(sides if all(sides) else (0.0, 0.0)))
    for position, shape in enumerate((child for child in image if child.tag in _SHAPES), start=1):
        reference = f"{shape.tag} {position} of {name[-60:]}"
        corners = _corners(shape, marks)
        label = (shape.get("label") or "").strip()
        if corners is None:
            marks.changes["ShapeDropped"] += 1
        elif not label:
            marks.spoil("UnknownCategory", f"{reference} has no label", "Label it, or take it away.")
        else:
            marks.changes["HardObjectKept"] += is_set(shape.get("occluded"))
            marks.rows.append(Mark(reading.index(label), corners, reference))
    split: SplitWord = split_word(subset) or split_of_folders(PurePosixPath(key)) or "train"
    reading.entries.append(Entry(key, split, marks))
    pictures.used.add(key)


def _corners(shape: Element, marks: Marks) -> Corners | None:
    degrees = parsed(shape.get("rotation", "0")) % 360
    if shape.tag == "box":
        marks.changes["RotatedToBox"] += degrees != 0
        corners = _attributes(shape, "xtl", "ytl", "xbr", "ybr")
        return turned(corners, degrees) if degrees else corners
    if shape.tag == "ellipse":
        marks.changes["OutlineToBox"] += 1
        return ellipse(*_attributes(shape, "cx", "cy", "rx", "ry"), degrees)
    if shape.tag == "mask":
        marks.changes["MaskToBox"] += 1
        left, top, width, height = _attributes(shape, "left", "top", "width", "height")
        return left, top, left + width, top + height
    if shape.tag == "polygon":
        marks.changes["OutlineToBox"] += 1
        return around(_points(shape.get("points") or ""))
    if shape.tag == "cuboid":
        marks.changes["OutlineToBox"] += 1
        return around(
            (parsed(shape.get(f"x{corner}{side}")), parsed(shape.get(f"y{corner}{side}")))
            for corner in ("tl", "bl", "tr", "br")
            for side in ("1", "2")
        )
    return None


def _attributes(shape: Element, *names: str) -> tuple[float, float, float, float]:
    first, second, third, fourth = (parsed(shape.get(name)) for name in names)
    return first, second, third, fourth


def _points(text: str) -> list[tuple[float, float]]:
    """`x,y;x,y`; what is no pair becomes a point that is no number, and a finding with it."""
    points = [item.partition(",") for item in text.split(";")]
    return [(parsed(x), parsed(y)) for x, _, y in points]
