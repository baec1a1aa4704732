"""COCO JSON, as COCO itself, CVAT, Label Studio and Roboflow write it; boxes are `[x, y, width, height]` in pixels.

Regions of a crowd (`iscrowd`) are no objects of their own and are dropped; masks and polygons become the boxes around
them; key points are dropped. A picture that the file lists without annotations is a background.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from treering_trainer.dataset.formats.json_file import listed, mapping, text
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
)
from treering_trainer.dataset.labels import Fault


def is_coco(data: object) -> bool:
    """Whether parsed JSON is a COCO file."""
    return isinstance(data, dict) and {"images", "annotations", "categories"} <= data.keys()


def read_coco(files: dict[PurePosixPath, Any], pictures: Pictures, tally: Tally) -> Found:
    """All COCO files of a delivery as one; classes are united by name, in the order of their ids.

    Raises:
        UnreadableError: a file contradicts itself or the format.
    """
    names: dict[str, None] = {}
    marks: dict[Path, Marks] = {}
    splits: dict[Path, Split] = {}
    for key, data in files.items():
        where = str(key)
        classes = _classes(data, where)
        names |= dict.fromkeys(classes.values())
        boxes: dict[Any, list[tuple[str, Corners] | Fault]] = {}
        for item in listed(data["annotations"], where, "annotations"):
            one = mapping(item, where, "an annotation")
            found = _box(one, classes, where, tally)
            boxes.setdefault(one.get("image_id"), []).extend([found] if found is not None else [])
        for item in listed(data["images"], where, "images"):
            one = mapping(item, where, "an image")
            name = text(one.get("file_name"), where, "file_name")
            path = pictures.find(name, *_places(key), where=where)
            if path is None:
                tally.note("NoSuchPicture", f"{where}: {name}")
                continue
            marks[path] = _marks(boxes.get(one.get("id"), []), one, where)
            splits[path] = split_of(key)
    return Found("COCO JSON", tuple(names), marks, splits)


def _places(key: PurePosixPath) -> tuple[str, ...]:
    """Where a file's pictures may lie: beside it, or in `images`, in a folder of its split's name."""
    stem = key.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    here = str(key.parent)
    return (here, ".", "images", f"images/{stem}", stem, f"images/{split_of(key)}", str(key.parent.parent / "images"))


def _classes(data: dict[str, Any], where: str) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for item in listed(data["categories"], where, "categories"):
        one = mapping(item, where, "a category")
        name = text(one.get("name"), where, "a category's name")
        if name in found.values() or one.get("id") in found:
            raise UnreadableError(where, f"the category {name!r} stands there twice", "Keep one of the two.")
        found[one.get("id")] = name
    return dict(sorted(found.items(), key=lambda item: (not isinstance(item[0], int), item[0])))


def _box(one: dict[str, Any], classes: dict[Any, str], where: str, tally: Tally) -> tuple[str, Corners] | Fault | None:
    if one.get("category_id") not in classes:
        found = f"an annotation is of category {str(one.get('category_id'))[:40]!r}, which {where} does not list"
        return Fault("BadAnnotation", found, "List the category, or take the annotation away.")
    name = classes[one["category_id"]]
    if one.get("iscrowd"):
        tally.note("CrowdDropped", f"{where}: annotation {one.get('id')}")
        return None
    if one.get("keypoints"):
        tally.note("KeypointsDropped", f"{where}: annotation {one.get('id')}")
    try:
        box = one.get("bbox")
        if isinstance(box, list) and len(box) == 4:
            x, y, width, height = (number(value, where, "a box") for value in box)
            if one.get("segmentation"):
                tally.note("MaskToBox", f"{where}: annotation {one.get('id')}")
            return name, (x, y, x + width, y + height)
        polygons = one.get("segmentation")
        if isinstance(polygons, list) and polygons:
            flat = [number(value, where, "a polygon") for polygon in polygons for value in polygon]
            tally.note("MaskToBox", f"{where}: annotation {one.get('id')}")
            return name, around(list(zip(flat[::2], flat[1::2], strict=True)))
    except (UnreadableError, TypeError, ValueError) as error:
        return Fault("BadAnnotation", f"annotation {one.get('id')}: {str(error)[:200]}", "Correct it in the JSON file.")
    tally.note("MaskWithoutBox", f"{where}: annotation {one.get('id')}")
    return None


def _marks(boxes: list[tuple[str, Corners] | Fault], one: dict[str, Any], where: str) -> Marks:
    for box in boxes:
        if isinstance(box, Fault):
            return Marks(fault=box)
    width, height = one.get("width"), one.get("height")
    size = None
    if width is not None and height is not None:
        size = (int(number(width, where, "width")), int(number(height, where, "height")))
    return Marks(tuple(box for box in boxes if not isinstance(box, Fault)), size)
