"""Pascal VOC: one XML file for each picture, in Annotations or beside it; CVAT, Label Studio and Roboflow write it too.

Written by hand over defusedxml: supervision's loader and ultralytics' parse with the unguarded parser, open whatever
`<filename>` says, and have no findings. Corners are taken as written, as the tools of today mean them; VOC 2007 counted
pixels from 1, which moves a box by less than one. Difficult, truncated and occluded objects are real ones and stay:
left out, they would be taught as background.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.documents import MAX_VOC_BYTES, read_xml
from treering_trainer.dataset.formats.pictures import Pictures
from treering_trainer.dataset.formats.reading import Entry, Reading, is_set, parsed, size
from treering_trainer.dataset.formats.splits import SplitWord, split_of_folders, split_word
from treering_trainer.dataset.marks import Corners, Mark, Marks, around, turned

_FOLDERS = ("JPEGImages", "images", "Images", "")
_RADIANS = 57.29577951308232


def read_voc(keys: list[str], pictures: Pictures) -> Reading:
    """Read VOC files by key. A picture without one is unlabelled, one on no list in ImageSets/Main unused."""
    reading = Reading("Pascal VOC", label_suffix=".xml")
    sets = _image_sets(pictures)
    marks: dict[str, Marks] = {}
    by_place = {PurePosixPath(key).with_suffix("").as_posix(): key for key in pictures.keys}
    for key in sorted(keys):
        where = f"{pictures.name}/{key}"
        try:
            root = read_xml(pictures.files[key], where, MAX_VOC_BYTES)
            if root.tag != "annotation":
                raise BadDataError(where, f"is no VOC annotation: its root is <{root.tag[:40]}>", "Take it away.")
        except BadDataError as error:
            reading.add("error", "BadAnnotations", error.where, error.found, error.mend)
            continue
        picture = _picture(PurePosixPath(key), root, by_place, pictures, where)
        if picture is not None and picture in marks:
            reading.add("error", "ListedTwice", where, f"{picture} is annotated by another file too", "Keep one.")
        elif picture is not None:
            marks[picture] = _marks(key, root, reading)
    pictures.used.update(marks)
    for key in sorted(pictures.keys):
        if (split := _split(key, sets)) is not None:
            reading.entries.append(Entry(key, split, marks.get(key)))
            pictures.used.add(key)
    pictures.used.update(key for key in pictures.keys if _split(key, sets) == "test")
    _tell_of_unlisted(reading, pictures, sets)
    return reading


def _image_sets(pictures: Pictures) -> dict[str, SplitWord]:
    """Split by picture, as written: stem, perhaps with its folder. `trainval` speaks where the other two don't."""
    sets: dict[str, SplitWord] = {}
    for name in ("trainval", "default", "test", "val", "valid", "train"):
        path = pictures.files.get(f"ImageSets/Main/{name}.txt")
        if path is not None:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            sets.update({line.split()[0]: split_word(name) or "train" for line in lines if line.strip()})
    return sets


def _split(key: str, sets: dict[str, SplitWord]) -> SplitWord | None:
    if not sets:
        return split_of_folders(PurePosixPath(key)) or "train"
    path = PurePosixPath(key).with_suffix("")
    return next((sets[name] for name in ("/".join(path.parts[1:]), path.name, path.as_posix()) if name in sets), None)


def _tell_of_unlisted(reading: Reading, pictures: Pictures, sets: dict[str, SplitWord]) -> None:
    unlisted = [key for key in pictures.keys if _split(key, sets) is None]
    for key in unlisted:
        found, mend = "no list in ImageSets/Main names it; it is not used", "Add it to train.txt or val.txt."
        reading.add("warning", "PictureNotListed", f"{pictures.name}/{key}", found, mend)


def _picture(key: PurePosixPath, root: Element, by_place: dict[str, str], pictures: Pictures, where: str) -> str | None:
    inner = key.with_suffix("").parts
    inside = inner[1:] if inner[0].casefold() == "annotations" else inner
    places = ["/".join(inner), *("/".join(part for part in (folder, *inside) if part) for folder in _FOLDERS)]
    by_stem = next((by_place[place] for place in places if place in by_place), None)
    return by_stem or pictures.find(root.findtext("filename") or key.stem, where)


def _marks(key: str, root: Element, reading: Reading) -> Marks:
    sides = size(parsed(root.findtext("size/width"))), size(parsed(root.findtext("size/height")))
    marks = Marks(key, *(sides if all(sides) else (0.0, 0.0)))
    for position, item in enumerate(root.iterfind("object"), start=1):
        reference = f"object {position}"
        name = (item.findtext("name") or "").strip()
        if not name:
            marks.spoil("UnknownCategory", f"{reference} has no name", "Name it, or take it away.")
            continue
        corners = _corners(item, marks)
        if corners is None:
            marks.changes["ShapeDropped"] += 1
            continue
        flags = (item.findtext(flag) for flag in ("difficult", "truncated", "occluded"))
        marks.changes["HardObjectKept"] += any(is_set(flag) for flag in flags)
        marks.rows.append(Mark(reading.index(name), corners, reference))
    return marks


def _corners(item: Element, marks: Marks) -> Corners | None:
    box, outline, robot = item.find("bndbox"), item.find("polygon"), item.find("robndbox")
    if outline is not None:
        marks.changes["OutlineToBox"] += 1
    if box is not None:
        left, top, right, bottom = (parsed(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
        degrees = _rotation(item)
        marks.changes["RotatedToBox"] += degrees != 0
        return turned((left, top, right, bottom), degrees) if degrees else (left, top, right, bottom)
    if robot is not None:  # roLabelImg: centre, size and radians
        x, y, width, height, angle = (parsed(robot.findtext(part)) for part in ("cx", "cy", "w", "h", "angle"))
        marks.changes["RotatedToBox"] += 1
        return turned((x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle * _RADIANS)
    return None if outline is None else _around(outline)


def _rotation(item: Element) -> float:
    """CVAT's angle in degrees, which it writes among the attributes."""
    for attribute in item.iterfind("attributes/attribute"):
        if attribute.findtext("name") == "rotation":
            return parsed(attribute.findtext("value")) % 360
    return 0.0


def _around(outline: Element) -> Corners | None:
    found = {child.tag: parsed(child.text) for child in outline}
    count = sum(tag.startswith("x") for tag in found)
    points = [(found[f"x{n}"], found[f"y{n}"]) for n in range(1, count + 1) if f"x{n}" in found and f"y{n}" in found]
    return around(points) if len(points) > 2 else None
