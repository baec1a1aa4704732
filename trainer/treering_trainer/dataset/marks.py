"""What people drew on one picture, as boxes in the units of the tool; and the geometry that makes boxes of shapes.

Filled by the readers in `formats`; `read` turns it into boxes once the picture's own size is known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from treering_trainer.dataset.labels import COLUMNS, Fault, Labels, Limits, size_fault
from treering_trainer.dataset.samples import no_boxes

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom."""
_SAME_SHAPE = 0.02
_CLIP = 1e-6
_NOWHERE = (math.nan, math.nan, math.nan, math.nan)  # a finding comes of it, with the object's name


@dataclass(frozen=True)
class Mark:
    """One object: its class, its corners, and what a finding calls it."""

    index: int
    corners: Corners
    reference: str


@dataclass
class Marks:
    """All that was drawn on one picture.

    Attributes:
        file: the annotation file, for findings.
        width: what the corners are measured against, in pixels where `pixels` says so; 0 for the picture's own.
        changes: how often something was changed or dropped, by code.
        fault: why the picture can't be learned from.
    """

    file: str
    width: float = 0.0
    height: float = 0.0
    pixels: bool = True
    rows: list[Mark] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    fault: Fault | None = None

    def spoil(self, code: str, found: str, mend: str) -> None:
        """Note why this picture has to be set aside; the first reason stays."""
        self.fault = self.fault or Fault(code, f"in {self.file}: {found}", mend)


def marked_boxes(marks: Marks, limits: Limits) -> Labels:
    """The boxes of a picture of known size, clipped to it, exact duplicates dropped; or the first fault."""
    if fault := marks.fault or _size_differs(marks, limits):
        return Labels(no_boxes(), fault=fault, changes=marks.changes)
    width, height = marks.width or limits.width, marks.height or limits.height
    changes = Counter(marks.changes)
    changes["OtherSize"] += marks.pixels and (round(width), round(height)) != (limits.width, limits.height)
    rows: dict[tuple[float, ...], None] = {}
    for mark in marks.rows:
        left, top, right, bottom = (
            number / side for number, side in zip(mark.corners, (width, height) * 2, strict=True)
        )
        fault = _corner_fault((left, top, right, bottom))
        clipped = (max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))
        box = _centred(clipped)
        if fault := fault or size_fault(box, 0, limits):
            found = f"in {marks.file}, {mark.reference}: {fault.found}"
            return Labels(no_boxes(), fault=Fault(fault.code, found, fault.mend), changes=changes)
        changes["BoxClipped"] += max(-left, -top, right - 1, bottom - 1) > _CLIP
        rows[(float(mark.index), *box)] = None
    boxes = np.array([*rows], dtype=np.float64).reshape(-1, COLUMNS)
    return Labels(boxes, duplicates=len(marks.rows) - len(rows), changes=changes)


def around(points: Iterable[tuple[float, float]]) -> Corners:
    """The upright box around points.

    Raises:
        ValueError: there are none.
    """
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def pairs(numbers: Sequence[float]) -> list[tuple[float, float]]:
    """`x1, y1, x2, y2, ...` as points.

    Raises:
        ValueError: fewer than three points, or half a point too many.
    """
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} coordinates make no outline")
    return [*zip(numbers[::2], numbers[1::2], strict=True)]


def turned(corners: Corners, degrees: float, pivot: tuple[float, float] | None = None) -> Corners:
    """The upright box around a box that is turned clockwise, about its centre if no pivot is given."""
    if not math.isfinite(degrees):
        return _NOWHERE
    left, top, right, bottom = corners
    x, y = pivot or ((left + right) / 2, (top + bottom) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    spots = ((left, top), (right, top), (right, bottom), (left, bottom))
    return around((x + (px - x) * cos - (py - y) * sin, y + (px - x) * sin + (py - y) * cos) for px, py in spots)


def ellipse(x: float, y: float, x_radius: float, y_radius: float, degrees: float) -> Corners:
    """The upright box around an ellipse that is turned about its centre."""
    if not math.isfinite(degrees):
        return _NOWHERE
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width, half_height = math.hypot(x_radius * cos, y_radius * sin), math.hypot(x_radius * sin, y_radius * cos)
    return x - half_width, y - half_height, x + half_width, y + half_height


def _size_differs(marks: Marks, limits: Limits) -> Fault | None:
    if not (marks.pixels and marks.width and marks.height):
        return None
    stated, actual = marks.width / marks.height, limits.width / limits.height
    if abs(math.log(stated / actual)) <= max(_SAME_SHAPE, 1.5 / min(limits.width, limits.height)):
        return None
    found = (
        f"in {marks.file}: annotated at {marks.width:g} x {marks.height:g} pixels, "
        f"but the picture is shown at {limits.width} x {limits.height}"
    )
    return Fault("SizeDiffers", found, "Annotate the picture as it is; a sideways photo was annotated unturned.")


def _corner_fault(corners: Corners) -> Fault | None:
    left, top, right, bottom = corners
    if not all(map(math.isfinite, corners)):
        return Fault("NotFinite", "a corner is no finite number", "Correct the box, or take it away.")
    if right <= left or bottom <= top:
        code, what = ("ZeroArea", "zero area") if right == left or bottom == top else ("NegativeBox", "a negative size")
        return Fault(code, f"{what}: {right - left:.4g} x {bottom - top:.4g} of the picture", "Draw the box again.")
    if right <= 0 or bottom <= 0 or left >= 1 or top >= 1:
        return Fault("OutOfPicture", "the box lies wholly outside the picture", "Draw it again, or take it away.")
    return None


def _centred(corners: Corners) -> Corners:
    left, top, right, bottom = corners
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
