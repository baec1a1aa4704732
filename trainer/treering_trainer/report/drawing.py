"""Boxes on a thumbnail: the truth solid, predictions dashed; what was got wrong is thick and named.

Called by `pictures`. Styles differ in line as well as in colour, and every line has a dark edge, so that they can be
told apart on any picture and without colour vision. The page's legend shows the same colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from treering_trainer.report.matching import Mark, Reading

TRUTH_COLOUR = "#35e0a1"
PREDICTION_COLOUR = "#ffb224"
_EDGE = "#101512"
_DASH_PX = 6
_THIN_PX = 1
_THICK_PX = 3
_MAX_LABEL = 18
# matplotlib's own font: it is always there, and it has more scripts than Pillow's built-in one.
_FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

_Box = tuple[float, float, float, float]


def draw_boxes(image: Image.Image, reading: Reading, factor: float) -> None:
    """Draw a reading onto an image in place; `factor` is its size relative to the image the boxes were given for."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(_FONT, 11)
    marks = [*reading.truth, *reading.predictions]
    for mark in marks:
        _frame(draw, _scaled(mark, factor, image.size), mark)
    for mark in marks:
        if not mark.right:
            _label(draw, image.size, _scaled(mark, factor, image.size), mark, font)


def _scaled(mark: Mark, factor: float, size: tuple[int, int]) -> _Box:
    x1, y1, x2, y2 = (value * factor for value in mark.box)
    right, bottom = size[0] - 1, size[1] - 1
    return (
        _within(min(x1, x2), right),
        _within(min(y1, y2), bottom),
        _within(max(x1, x2), right),
        _within(max(y1, y2), bottom),
    )


def _within(value: float, limit: int) -> float:
    return min(max(value, 0.0), float(limit))


def _frame(draw: ImageDraw.ImageDraw, box: _Box, mark: Mark) -> None:
    width = _THIN_PX if mark.right else _THICK_PX
    x1, y1, x2, y2 = box
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=_EDGE)
    if mark.confidence is None:
        draw.rectangle(box, outline=TRUTH_COLOUR, width=width)
        return
    inset = width // 2  # lines are drawn on both sides of their middle, rectangles inwards
    for y in (y1 + inset, y2 - inset):
        for start, end in _dashes(x1, x2):
            draw.line((start, y, end, y), fill=PREDICTION_COLOUR, width=width)
    for x in (x1 + inset, x2 - inset):
        for start, end in _dashes(y1, y2):
            draw.line((x, start, x, end), fill=PREDICTION_COLOUR, width=width)


def _dashes(start: float, end: float) -> Iterator[tuple[float, float]]:
    for at in range(int(start), int(end), 2 * _DASH_PX):
        yield at, min(at + _DASH_PX, end)


def _label(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], box: _Box, mark: Mark, font: ImageFont.FreeTypeFont
) -> None:
    name = mark.name if len(mark.name) <= _MAX_LABEL else f"{mark.name[: _MAX_LABEL - 1]}…"
    text = name if mark.confidence is None else f"{name} {mark.confidence:.2f}"
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 4
    x = min(max(box[0], 0), max(size[0] - width, 0))
    # The truth is named above its box and a prediction below: both stay readable where they coincide.
    y = box[1] - height if mark.confidence is None else box[3]
    y = min(max(y, 0), max(size[1] - height, 0))
    colour = TRUTH_COLOUR if mark.confidence is None else PREDICTION_COLOUR
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + 3 - left, y + 2 - top), text, fill=_EDGE, font=font)
