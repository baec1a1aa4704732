"""Label Studio's JSON and JSON-MIN: tasks with results in percent of the picture.

Of several annotations of a picture the last one counts; cancelled ones and predictions do not. Polygons and ellipses
become the boxes around them, turned rectangles upright ones; brushes and key points are dropped.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from treering_trainer.dataset.formats.json_file import listed, mapping
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

LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
PREFIX = 9
"""Length of the random prefix, with its hyphen, that Label Studio puts before an uploaded file's name."""


def is_label_studio(data: object) -> bool:
    """Whether parsed JSON is a list of tasks."""
    if not isinstance(data, list) or not data or not all(isinstance(one, dict) for one in data):
        return False
    return all(("data" in one and ("annotations" in one or "predictions" in one)) or "image" in one for one in data)


def read_label_studio(files: dict[PurePosixPath, Any], pictures: Pictures, tally: Tally) -> Found:
    """All tasks of a delivery; classes in alphabetical order.

    Raises:
        UnreadableError: a task's picture leads out of the delivery, or a task has another shape.
    """
    marks: dict[Path, Marks] = {}
    splits: dict[Path, Split] = {}
    for key, data in files.items():
        where = str(key)
        for task in listed(data, where, "the file"):
            path = _picture(mapping(task, where, "a task"), pictures, where, tally)
            results = _results(task, where, tally)
            if path is None or results is None:
                continue
            marks[path] = _marks(results, where, tally)
            splits[path] = split_of(key)
    names = sorted({name for found in marks.values() for name, _ in found.boxes})
    return Found("Label Studio JSON", tuple(names), marks, splits)


def _picture(task: dict[str, Any], pictures: Pictures, where: str, tally: Tally) -> Path | None:
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    assert isinstance(data, dict)
    named = next((data[key] for key in ("image", "img", "photo") if isinstance(data.get(key), str)), "")
    parts = urlsplit(named)
    plain = parse_qs(parts.query).get("d", [""])[0] or unquote(parts.path)  # local files are served as ?d=folder/x.jpg
    if ".." in PurePosixPath(plain).parts:
        raise UnreadableError(where, f"it names a picture outside of the delivery: {named[:120]!r}", "Export it anew.")
    name = PurePosixPath(plain).name
    found = pictures.find(name, where=where) if name else None
    if found is None and len(name) > PREFIX and name[PREFIX - 1] == "-":
        found = pictures.find(name[PREFIX:], where=where)
    if found is None:
        tally.note("NoSuchPicture", f"{where}: {named[:120]}")
    return found


def _results(task: dict[str, Any], where: str, tally: Tally) -> list[dict[str, Any]] | None:
    """None where nobody has finished the task."""
    if "annotations" not in task:
        if "predictions" in task or "label" not in task:
            tally.note("NotAnnotated", f"{where}: task {task.get('id')}")
            return None
        return [_full(mapping(one, where, "a label")) for one in listed(task["label"], where, "label")]
    done = [
        one
        for one in listed(task["annotations"], where, "annotations")
        if isinstance(one, dict) and not one.get("was_cancelled")
    ]
    if not done:
        tally.note("NotAnnotated", f"{where}: task {task.get('id')}")
        return None
    if len(done) > 1:
        tally.note("SeveralAnnotations", f"{where}: task {task.get('id')}")
    last = max(done, key=lambda one: (str(one.get("updated_at") or ""), one.get("id") or 0))
    return [mapping(one, where, "a result") for one in listed(last.get("result", []), where, "result")]


def _full(one: dict[str, Any]) -> dict[str, Any]:
    """A label of JSON-MIN as a result of the full JSON."""
    kind = next((key for key in LABELS if key in one), "")
    sizes = {key: one.get(key) for key in ("original_width", "original_height")}
    return {"type": kind, "value": one, **sizes}


def _marks(results: list[dict[str, Any]], where: str, tally: Tally) -> Marks:
    boxes: list[tuple[str, Corners]] = []
    size: tuple[int, int] | None = None
    try:
        for one in results:
            kind, value = one.get("type"), one.get("value")
            if kind not in LABELS or not isinstance(value, dict):
                tally.note("ShapeDropped", f"{where}: {kind}")
                continue
            labels = value.get(kind) or value.get("labels") or []
            if not isinstance(labels, list) or len(labels) != 1:
                raise UnreadableError(where, f"a result has {labels!r} as its labels"[:160], "Give each exactly one.")
            across, down = one.get("original_width"), one.get("original_height")
            if across and down:
                size = (int(number(across, where, "original_width")), int(number(down, where, "original_height")))
            boxes.append((str(labels[0]), _corners(value, size, where, tally)))
    except UnreadableError as error:
        return Marks(fault=Fault("BadAnnotation", error.found, error.mend))
    return Marks(tuple((name, _share(corners)) for name, corners in boxes), shares=True)


def _share(corners: Corners) -> Corners:
    x1, y1, x2, y2 = corners
    return x1 / 100, y1 / 100, x2 / 100, y2 / 100


def _corners(value: dict[str, Any], size: tuple[int, int] | None, where: str, tally: Tally) -> Corners:
    if "points" in value:
        tally.note("MaskToBox", where)
        points = listed(value["points"], where, "points")
        pairs = [(number(point[0], where, "points"), number(point[1], where, "points")) for point in points]
        return around(pairs)
    if "radiusX" in value:
        tally.note("MaskToBox", where)
        x, y, across, down = (number(value.get(key), where, key) for key in ("x", "y", "radiusX", "radiusY"))
        return x - across, y - down, x + across, y + down
    left, top, width, height = (number(value.get(key), where, key) for key in ("x", "y", "width", "height"))
    turn = number(value.get("rotation") or 0, where, "rotation")
    if not turn:
        return left, top, left + width, top + height
    tally.note("TurnedToUpright", where)
    wide, high = size or (1, 1)  # percent of both sides are no lengths that one could turn
    x1, y1, x2, y2 = turned(left * wide, top * high, width * wide, height * high, turn, (left * wide, top * high))
    return x1 / wide, y1 / high, x2 / wide, y2 / high
