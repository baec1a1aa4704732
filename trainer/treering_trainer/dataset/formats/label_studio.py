"""Label Studio: its JSON (tasks with annotations) and JSON-MIN (one flat object per task), with the pictures beside.

Its own converter (label-studio-converter) downloads pictures and drops what it does not know. Coordinates are per cent
of the picture; a rotated box turns about its upper left corner. Of several annotations the newest that was not skipped
counts; predictions never do.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from treering_trainer.dataset.formats.pictures import Pictures
from treering_trainer.dataset.formats.reading import Entry, Reading, number, numbers, size
from treering_trainer.dataset.formats.recognition import is_picture
from treering_trainer.dataset.formats.splits import split_of_folders
from treering_trainer.dataset.marks import Corners, Mark, Marks, around, ellipse, turned

_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # an uploaded file's name gets one
_DRAW = "Draw it again, or take it away."


def is_label_studio(document: object) -> bool:
    """Whether a parsed JSON file is a list of tasks, each with a picture."""
    return isinstance(document, list) and any(isinstance(task, dict) and _reference(task) for task in document[:100])


def read_label_studio(documents: dict[str, list[Any]], pictures: Pictures) -> Reading:
    """Read exports by key. A task without an annotation is unlabelled, one without regions a background."""
    reading = Reading("Label Studio")
    for key, tasks in sorted(documents.items()):
        for position, task in enumerate(tasks):
            where = f"{pictures.name}/{key}"
            reference = _reference(task) if isinstance(task, dict) else None
            if reference is None:
                found = f"task number {position} names no picture"
                reading.add("error", "BadAnnotations", where, found, "Export the project again, as JSON.")
            elif (picture := _picture(reference, pictures, where)) is not None:
                marks = _marks(task, PurePosixPath(key).name, reading)
                split = split_of_folders(PurePosixPath(picture)) or "train"
                reading.entries.append(Entry(picture, split, marks))
                pictures.used.add(picture)
    return reading


def _reference(task: dict[str, Any]) -> str | None:
    """The picture that a task is about: in its data, or in JSON-MIN beside its regions."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    assert isinstance(data, dict)
    named = [data.get(name) for name in ("image", "img", "url")]
    for value in (*named, *data.values()):
        if isinstance(value, str) and is_picture(_plain(value)):
            return value
    upload = task.get("file_upload")
    return upload if isinstance(upload, str) and is_picture(upload) else None


def _plain(reference: str) -> str:
    """The path inside an address: `/data/local-files/?d=a/x.jpg` is `a/x.jpg`."""
    try:
        parts = urlsplit(reference)
    except ValueError:
        return reference
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _picture(reference: str, pictures: Pictures, where: str) -> str | None:
    """Addresses are absolute by nature, so only the name counts, with as much of its folders as the delivery has."""
    path = PurePosixPath(_plain(reference))
    if ".." in path.parts:
        return pictures.find(reference, where)  # refused there, by name
    parts = [part for part in path.parts if part != "/"]
    for name in (parts[-1], _PREFIX.sub("", parts[-1])):
        shared = {key: _common(PurePosixPath(key).parts, parts) for key in pictures.named(name)}
        closest = [key for key, count in shared.items() if count == max(shared.values())]
        if len(closest) == 1:
            return closest[0]
    return pictures.find(parts[-1], where)


def _common(one: tuple[str, ...], other: list[str]) -> int:
    """How many folders above the name are the same."""
    count = 0
    for mine, its in zip(reversed(one[:-1]), reversed(other[:-1]), strict=False):
        if mine != its:
            break
        count += 1
    return count


def _marks(task: dict[str, Any], file: str, reading: Reading) -> Marks | None:
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        regions = [item for value in task.values() if isinstance(value, list) for item in value]
        return _drawn([(item, item) for item in regions if isinstance(item, dict)], file, reading, Counter())
    changes = Counter[str]()
    if task.get("predictions"):
        changes["PredictionDropped"] += 1
    listed = annotations if isinstance(annotations, list) else []
    valid = [item for item in listed if isinstance(item, dict) and not item.get("was_cancelled")]
    if not valid:
        return None
    changes["CancelledDropped"] += len(listed) - 1
    newest = max(valid, key=lambda item: (bool(item.get("ground_truth")), str(item.get("updated_at") or ""), _id(item)))
    results = newest.get("result")
    found = [item for item in results if isinstance(item, dict)] if isinstance(results, list) else []
    return _drawn([(item, _dict(item.get("value"))) for item in found], file, reading, changes)


def _id(annotation: dict[str, Any]) -> float:
    return number(annotation.get("id")) or 0.0


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _drawn(
    regions: list[tuple[dict[str, Any], dict[str, Any]]], file: str, reading: Reading, changes: Counter[str]
) -> Marks:
    """Shapes with their labels; where `<Labels>` and `<Rectangle>` are tags apart, the region's id joins them."""
    sides = next(
        ((size(item.get("original_width")), size(item.get("original_height"))) for item, _ in regions), (0.0, 0.0)
    )
    marks = Marks(file, *sides, changes=changes) if all(sides) else Marks(file, 100.0, 100.0, False, changes=changes)
    by_id: dict[str, list[str]] = {}
    for item, value in regions:
        by_id.setdefault(str(item.get("id")), []).extend(_labels(value))
    for position, (item, value) in enumerate(regions, start=1):
        reference = f"region {str(item.get('id', f'number {position}'))[:40]}"
        if "choices" in value or "taxonomy" in value or not _has_shape(value):
            words_only = (
                bool(_labels(value)) and not {"x", "points", "rle"} & value.keys()
            )  # the labels of another entry
            marks.changes["ShapeDropped"] += not words_only
            continue
        labels = _labels(value) or by_id[str(item.get("id"))]
        _take(marks, value, reference, [reading.index(label) for label in dict.fromkeys(labels)], item)
    return marks


def _labels(value: dict[str, Any]) -> list[str]:
    lists = [found for name, found in value.items() if name.endswith("labels") and isinstance(found, list)]
    return [label.strip() for found in lists for label in found if isinstance(label, str) and label.strip()]


def _has_shape(value: dict[str, Any]) -> bool:
    return "points" in value or ("x" in value and ("height" in value or "radiusX" in value))


def _take(marks: Marks, value: dict[str, Any], reference: str, classes: list[int], item: dict[str, Any]) -> None:
    if not classes:
        marks.spoil("UnknownCategory", f"{reference} has no label", "Label it, or take it away.")
        return
    if number(item.get("image_rotation")):
        marks.spoil("ImageRotated", f"{reference} was drawn on a turned picture", "Draw it on the picture as it is.")
        return
    try:
        corners = _corners(value, marks)
    except ValueError as error:
        marks.spoil("BadBox", f"{reference}: {error}", _DRAW)
        return
    marks.rows += [Mark(index, corners, reference) for index in classes]


def _corners(value: dict[str, Any], marks: Marks) -> Corners:
    x_unit, y_unit = marks.width / 100, marks.height / 100
    if "points" in value:
        marks.changes["OutlineToBox"] += 1
        points = [numbers(point) for point in value["points"]] if isinstance(value["points"], list) else []
        if len(points) < 3 or not all(point and len(point) == 2 for point in points):
            raise ValueError("an outline is three or more points")
        return around((point[0] * x_unit, point[1] * y_unit) for point in points if point)
    degrees = number(value.get("rotation")) or 0.0
    if degrees and not marks.pixels:
        raise ValueError("it is rotated, and the size of the picture is not written with it")
    names = ("x", "y", "radiusX", "radiusY") if "radiusX" in value else ("x", "y", "width", "height")
    sides = numbers([value.get(name) for name in names])
    if sides is None:
        raise ValueError(f"{', '.join(names)} are not four numbers")
    x, y, width, height = (side * unit for side, unit in zip(sides, (x_unit, y_unit) * 2, strict=True))
    if "radiusX" in value:
        marks.changes["OutlineToBox"] += 1
        return ellipse(x, y, width, height, degrees)
    marks.changes["RotatedToBox"] += degrees != 0
    return turned((x, y, x + width, y + height), degrees, (x, y)) if degrees else (x, y, x + width, y + height)
