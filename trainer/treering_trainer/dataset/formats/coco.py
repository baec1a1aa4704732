"""COCO JSON: as COCO itself, CVAT, Label Studio and Roboflow write it.

Written by hand: the libraries (supervision, pycocotools, ultralytics' converter) open what `file_name` says, trust
every type and drop without a word what they don't take; here each of it is a finding. `bbox` leads; where it is
missing, the outline or mask gives the box. Crowds are left out, because one box for many objects teaches a wrong one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.pictures import Pictures
from treering_trainer.dataset.formats.reading import Entry, Reading, number, numbers, size
from treering_trainer.dataset.formats.rle import mask_corners
from treering_trainer.dataset.formats.splits import SplitWord, split_of_file, split_of_folders
from treering_trainer.dataset.marks import Corners, Mark, Marks, around, pairs, turned

_EXPORT = "Export the annotations again, as COCO object detection."


def is_coco(document: object) -> bool:
    """Whether a parsed JSON file is COCO's: an object with images, and annotations or categories."""
    return isinstance(document, dict) and "images" in document and bool({"annotations", "categories"} & {*document})


def read_coco(documents: Mapping[str, dict[str, Any]], pictures: Pictures) -> Reading:
    """Read COCO files by key.

    Where `instances_*.json` are among them, only these count: captions and keypoints of the same pictures lie beside
    them. A picture that is listed without annotations is a background.
    """
    reading = Reading("COCO")
    chosen = {key: item for key, item in documents.items() if PurePosixPath(key).name.startswith("instances")}
    for key in sorted(documents.keys() - chosen.keys() if chosen else ()):
        found, mend = "is not read, as instances_*.json lies beside it", "None needed."
        reading.add("info", "FileNotRead", f"{pictures.name}/{key}", found, mend)
    for key, document in sorted((chosen or documents).items()):
        try:
            _File(key, document, reading, pictures).read()
        except BadDataError as error:
            reading.add("error", "BadAnnotations", error.where, error.found, error.mend)
    return reading


class _File:
    """The work on one file."""

    def __init__(self, key: str, document: dict[str, Any], reading: Reading, pictures: Pictures) -> None:
        self._key, self._where = PurePosixPath(key), f"{pictures.name}/{key}"
        self._document, self._reading, self._pictures = document, reading, pictures

    def read(self) -> None:
        annotations = self._list("annotations")
        classes = self._classes(Counter(_key(item.get("category_id")) for item in annotations))
        marks = self._images()
        for position, item in enumerate(annotations):
            reference = f"annotation {str(item.get('id', f'number {position}'))[:40]}"
            if (of := marks.get(_key(item.get("image_id")))) is None:
                found = f"{reference} belongs to a picture that is not listed or did not come"
                mend = "None needed, if that picture is not wanted."
                self._reading.add("warning", "AnnotationWithoutPicture", self._where, found, mend)
            else:
                _take(of, item, reference, classes)

    def _list(self, name: str) -> list[dict[str, Any]]:
        items = self._document.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise BadDataError(self._where, f"`{name}` is no list of objects", _EXPORT)
        return items

    def _classes(self, used: Counter[object]) -> dict[object, int]:
        """Index by category id. A category that only groups others (Roboflow writes one) is no class."""
        items = self._list("categories")
        groups = {name for item in items if isinstance(name := item.get("supercategory"), str)}
        index: dict[object, int] = {}
        seen: dict[str, object] = {}
        for item in sorted(items, key=lambda item: number(item.get("id")) or 0.0):
            name, key = item.get("name"), _key(item.get("id"))
            if not isinstance(name, str) or key is None or key in index:
                found = f"category {str(item.get('id'))[:40]} has no id and name of its own"
                raise BadDataError(self._where, found, "Give each category an id and a name.")
            if name in groups and not used[key] and len(items) > 1:
                continue
            if name in seen:
                found = f"categories {seen[name]} and {key} have the same name {name!r}: taken for one class"
                mend = "Rename one of the two, if they are not the same."
                self._reading.add("warning", "ClassTwice", self._where, found, mend)
            seen.setdefault(name, key)
            index[key] = self._reading.index(name)
        return index

    def _images(self) -> dict[object, Marks]:
        folders = self._folders()
        marks: dict[object, Marks] = {}
        for item in self._list("images"):
            name, key = item.get("file_name"), _key(item.get("id"))
            if not isinstance(name, str) or not name or key is None or key in marks:
                found = f"picture {str(item.get('id'))[:40]} has no id and file_name of its own"
                raise BadDataError(self._where, found, _EXPORT)
            if (picture := self._pictures.find(name, self._where, folders)) is None:
                continue
            sides = size(item.get("width")), size(item.get("height"))
            marks[key] = Marks(self._key.name, *(sides if all(sides) else (0.0, 0.0)))
            self._pictures.used.add(picture)
            self._reading.entries.append(Entry(picture, self._split(picture), marks[key]))
        return marks

    def _split(self, picture: str) -> SplitWord:
        own = split_of_file(self._key.stem) if len(self._key.parts) < 3 else None
        return own or split_of_folders(self._key) or split_of_folders(PurePosixPath(picture)) or "train"

    def _folders(self) -> tuple[str, ...]:
        """Where a name is looked for first: beside the file, then where COCO and CVAT put pictures."""
        words = [word for word in (self._key.stem.split("_")[-1], split_of_file(self._key.stem)) if word]
        places = [place for word in words for place in (f"images/{word}", word, f"{word}/images")]
        return (self._key.parent.as_posix(), *places, "images", "images/default", "")


def _key(value: object) -> object:
    """An id that can be looked up: a number or a text."""
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None


def _take(marks: Marks, item: dict[str, Any], reference: str, classes: Mapping[object, int]) -> None:
    if item.get("iscrowd") or item.get("ignore"):
        marks.changes["CrowdDropped"] += 1
        return
    index = classes.get(_key(item.get("category_id")))
    if index is None:
        found = f"{reference} has category {str(item.get('category_id'))[:40]}, which is not listed"
        marks.spoil("UnknownCategory", found, "List the category, or take the annotation away.")
        return
    try:
        corners = _corners(item, marks)
    except ValueError as error:
        marks.spoil("BadBox", f"{reference}: {error}", "Draw it again, or take it away.")
        return
    if corners is None:
        marks.changes["ShapeDropped"] += 1
        return
    if item.get("keypoints"):
        marks.changes["KeypointsDropped"] += 1
    marks.rows.append(Mark(index, corners, reference))


def _corners(item: dict[str, Any], marks: Marks) -> Corners | None:
    box, outline = item.get("bbox"), item.get("segmentation")
    if outline:
        marks.changes["MaskToBox" if isinstance(outline, dict) else "OutlineToBox"] += 1
    if not box:
        return _around_outline(outline)
    sides = numbers(box)
    if sides is None or len(sides) != 4:
        raise ValueError("bbox is not four numbers: left, top, width, height")
    left, top, width, height = sides
    corners = (left, top, left + width, top + height)
    attributes = item.get("attributes")
    degrees = number(attributes.get("rotation")) if isinstance(attributes, dict) else None
    if not degrees or outline:
        return corners
    marks.changes["RotatedToBox"] += 1  # CVAT leaves the box upright and its angle beside it
    return turned(corners, degrees)


def _around_outline(outline: object) -> Corners | None:
    if isinstance(outline, dict):
        return mask_corners(outline)
    if not isinstance(outline, list) or not outline:
        return None
    parts = [numbers(part) for part in outline]
    return around(point for part in parts for point in pairs(part or []))
