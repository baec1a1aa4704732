"""Label files: text in, boxes or the reason why not out. Whatever the text is, nothing is raised.

Called by `read` for every picture. Stricter than ultralytics, which takes a missing file for an empty one and drops a
bad picture with a warning: here each row is checked, and one bad row keeps the picture out, by file and line.
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from treering_trainer.dataset.samples import Boxes, no_boxes

COLUMNS = 5
_OUTLINE_COLUMNS = 7
TOLERANCE = 0.01
"""How far a coordinate may lie outside 0..1 and still be clipped: ultralytics' own tolerance."""
MAX_SIZE_BYTES = 16 * 1024 * 1024

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a picture or its label file; `line` counts from 1, 0 stands for the whole file."""

    code: str
    found: str
    mend: str
    line: int = 0


@dataclass(frozen=True, eq=False)
class Labels:
    """A label file as read. With a fault there are no boxes; `duplicates` rows were dropped.

    `changes` counts what was no plain box, by code (see `changes`).
    """

    boxes: Boxes
    duplicates: int = 0
    fault: Fault | None = None
    changes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Limits:
    """What a row is measured against: number of class names, the picture's size, least side of a box in pixels.

    `pose_columns` is the length of rows with keypoints, 0 where there are none.
    """

    classes: int
    width: int
    height: int
    min_box_px: float
    pose_columns: int = 0


def read_labels(path: Path, limits: Limits) -> Labels:
    """Read a label file that exists. An empty one is a background; a byte-order mark is no offence."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_SIZE_BYTES:
            return _faulty("LabelTooLarge", f"{size_bytes} bytes, too large for labels", "Deliver the right file.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _faulty("LabelNotText", f"is no UTF-8 text (byte {error.start})", "Save it as plain UTF-8 text.")
    except OSError as error:
        return _faulty("LabelUnreadable", f"can't be read: {error.strerror}", "Make the file readable.")
    return parse_labels(text, limits)


def parse_labels(text: str, limits: Limits) -> Labels:
    """Rows of `class x y w h`, centre and size as shares of the picture, to boxes of shape (n, 5).

    Rows of `class x1 y1 x2 y2 x3 y3 ...` (outlines, and oriented boxes by their corners) become the boxes around them;
    rows with keypoints lose those.

    Coordinates up to 1 % outside 0..1 and edges beyond the picture are clipped; exact duplicates dropped. The first
    bad row is the fault, and says how many more there are. Blank lines are no rows.
    """
    boxes: dict[tuple[float, ...], None] = {}
    faults: list[Fault] = []
    changes = Counter[str]()
    rows = 0
    for line, row in enumerate(io.StringIO(text, newline=None), start=1):
        if not row.strip():
            continue
        rows += 1
        parsed = _parse_row(row.split(), line, limits, changes)
        if isinstance(parsed, Fault):
            faults.append(parsed)
        else:
            boxes[parsed] = None
    if faults:
        return Labels(no_boxes(), fault=_first(faults))
    return Labels(np.array([*boxes], dtype=np.float64).reshape(-1, COLUMNS), rows - len(boxes), changes=changes)


def _faulty(code: str, found: str, mend: str) -> Labels:
    return Labels(no_boxes(), fault=Fault(code, found, mend))


def _first(faults: list[Fault]) -> Fault:
    first = faults[0]
    more = f"; {len(faults) - 1} more bad rows in this file" if len(faults) > 1 else ""
    return Fault(first.code, first.found + more, first.mend, first.line)


def _parse_row(tokens: list[str], line: int, limits: Limits, changes: Counter[str]) -> tuple[float, ...] | Fault:
    if len(tokens) == limits.pose_columns:
        changes["KeypointsDropped"] += 1
        tokens = tokens[:COLUMNS]
    elif len(tokens) >= _OUTLINE_COLUMNS and len(tokens) % 2:
        around = _around(tokens, line)
        if isinstance(around, Fault):
            return around
        changes["OutlineToBox"] += 1
        tokens = around
    if len(tokens) != COLUMNS:
        return _wrong_columns(len(tokens), line)
    for token in tokens:
        if fault := _number_fault(token, line):
            return fault
    index, *numbers = (float(token) for token in tokens)
    if fault := _class_fault(index, tokens[0], line, limits) or _coordinate_fault(numbers, tokens, line):
        return fault
    box = _clipped(*numbers)
    return size_fault(box, line, limits) or (index + 0.0, *box)  # + 0.0: no class -0.0


def _around(tokens: list[str], line: int) -> list[str] | Fault:
    """An outline's row as that of the box around it."""
    for token in tokens:
        if fault := _number_fault(token, line):
            return fault
    points = [float(token) for token in tokens[1:]]
    outside = next((token for token in tokens[1:] if not -TOLERANCE <= float(token) <= 1 + TOLERANCE), None)
    if outside is not None:
        mend = "Coordinates are shares of the picture, 0 to 1. For keypoints give kpt_shape in data.yaml."
        return Fault("OutOfPicture", f"a point has {_short(outside)}, outside 0..1", mend, line)
    (left, right), (top, bottom) = ((max(min(side), 0.0), min(max(side), 1.0)) for side in (points[::2], points[1::2]))
    return [
        tokens[0],
        *(repr(number) for number in ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)),
    ]


def _wrong_columns(count: int, line: int) -> Fault:
    found = f"{count} columns, a box has {COLUMNS}: class x y width height"
    if count == COLUMNS + 1:
        mend = "A sixth column is mostly the confidence of a prediction: check the boxes and drop that column."
    elif count > COLUMNS:
        mend = "This looks like a box with keypoints: give kpt_shape in data.yaml, or leave the keypoints out."
    else:
        mend = "Complete the row, or take it away."
    return Fault("WrongColumns", found, mend, line)


def _number_fault(token: str, line: int) -> Fault | None:
    if _NUMBER.fullmatch(token) and math.isfinite(float(token)):
        return None
    if _NUMBER.fullmatch(token) or _NOT_FINITE.fullmatch(token):
        return Fault("NotFinite", f"{_short(token)} is no finite number", "Correct the row, or take it away.", line)
    mend = "Rows are `class x y width height` in plain numbers, with the class as an index, not a name."
    return Fault("NotANumber", f"{_short(token)} is no number", mend, line)


def _class_fault(index: float, token: str, line: int, limits: Limits) -> Fault | None:
    if index != int(index):
        return Fault("ClassNotIntegral", f"class {_short(token)} is no whole number", "Classes are 0, 1, 2, ...", line)
    if 0 <= index < limits.classes:
        return None
    found = f"class {_short(token)} is out of range: the data set names {limits.classes} classes"
    mend = f"Use 0 to {limits.classes - 1}, or add the missing names to the data set's list of class names."
    return Fault("ClassOutOfRange", found, mend, line)


def _coordinate_fault(numbers: list[float], tokens: list[str], line: int) -> Fault | None:
    for label, number, token in zip(("x", "y", "width", "height"), numbers, tokens[1:], strict=True):
        if not -TOLERANCE <= number <= 1 + TOLERANCE:
            mend = "Coordinates are shares of the picture, 0 to 1: divide pixels by its width and height."
            return Fault("OutOfPicture", f"{label} = {_short(token)} is outside 0..1", mend, line)
    if min(numbers[2:]) <= 0:
        found = f"zero area: width {_short(tokens[3])}, height {_short(tokens[4])}"
        return Fault("ZeroArea", found, "Draw the box again, or take the row away.", line)
    return None


def _clipped(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    x, width = _clipped_side(x, width)
    y, height = _clipped_side(y, height)
    return x, y, width, height


def _clipped_side(centre: float, size: float) -> tuple[float, float]:
    """A side that lies inside stays bit by bit what it was."""
    centre, size = min(max(centre, 0.0), 1.0), min(size, 1.0)
    low, high = centre - size / 2, centre + size / 2
    if low >= 0 and high <= 1:
        return centre, size
    low, high = max(low, 0.0), min(high, 1.0)
    return (low + high) / 2, high - low


def size_fault(box: tuple[float, float, float, float], line: int, limits: Limits) -> Fault | None:
    """What is wrong with the size of a box (x, y, width, height as shares): too small to be learned."""
    width_px, height_px = box[2] * limits.width, box[3] * limits.height
    # A box of exactly the least size must not fail by the last bit of six decimals.
    if min(width_px, height_px) >= limits.min_box_px - 1e-3 and min(box[2:]) > 0:
        return None
    found = f"a box of {width_px:.2f} x {height_px:.2f} pixels, less than {limits.min_box_px:g} on a side"
    mend = "Take the row away, or lower spec.verification.minBoxPx."
    return Fault("TinyBox", found, mend, line)


def _short(token: str) -> str:
    return repr(token if len(token) <= 24 else f"{token[:24]}...")[1:-1]
