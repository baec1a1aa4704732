"""What came in: the delivery beside what was learned before, as small plots, a table and a map of images.

Called by `pages`; reads the analyse record. Old and new have one colour each, everywhere. Thumbnails of the map are
read from the paths in the record; an image that is gone, or of which only numbers are kept, stays a dot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from treering_trainer.measures import Analysis, ClassDrift, Contrast, Distribution, LookName, MapPoint, ShapeName
from treering_trainer.report.pictures import thumbnail_uri

THUMBNAILS = 120
"""Images of the map that are shown when pointed at; the rest are dots."""
THUMBNAIL_PX = 72
WIDTH, HEIGHT = 160.0, 48.0
_LOOKS: dict[LookName, tuple[str, str, str]] = {
    "brightness": ("Brightness", "dark", "bright"),
    "contrast": ("Contrast", "flat", "rich"),
    "sharpness": ("Sharpness", "blurred", "sharp"),
    "colour": ("Colour", "grey", "colourful"),
}
_SHAPES: dict[ShapeName, tuple[str, str, str]] = {
    "size": ("Size of boxes", "tiny", "whole image"),
    "aspect": ("Aspect of boxes", "tall", "wide"),
    "x": ("Boxes, across", "left", "right"),
    "y": ("Boxes, down", "top", "bottom"),
}


@dataclass(frozen=True)
class Plot:
    """One number before and now: paths in a field of `WIDTH` by `HEIGHT`; `old` is empty where there was nothing."""

    title: str
    low: str
    high: str
    old: str
    new: str
    shift: float | None


@dataclass(frozen=True)
class ClassLine:
    """One class of the delivery; `times` is how many times farther it moved than by chance."""

    drift: ClassDrift
    is_new: bool
    times: float | None
    looser: float | None


@dataclass(frozen=True)
class Dot:
    """One image on the map, in percent of its sides."""

    left: float
    top: float
    point: MapPoint
    picture: str | None


@dataclass(frozen=True)
class Incoming:
    """All of the section."""

    analysis: Analysis
    plots: tuple[Plot, ...]
    classes: tuple[ClassLine, ...]
    dots: tuple[Dot, ...]


def incoming(analysis: Analysis, old_classes: Sequence[str], *, with_pictures: bool = True) -> Incoming:
    """The section of an analysis."""
    looks = [_plot(*_LOOKS[name], item) for name, item in analysis.looks.items() if item.new.count]
    shapes = [_plot(*_SHAPES[name], item) for name, item in analysis.shapes.items() if item.new.count]
    return Incoming(
        analysis=analysis,
        plots=(*looks, *shapes),
        classes=tuple(_class_line(item, old_classes) for item in analysis.classes),
        dots=tuple(_dots(analysis.map, with_pictures=with_pictures)),
    )


def _plot(title: str, low: str, high: str, item: Contrast) -> Plot:
    parts = [part for part in (item.old, item.new) if part is not None and part.count]
    top = max(max(part.counts) / part.count for part in parts)
    old = _path(item.old, top) if item.old is not None and item.old.count else ""
    return Plot(title, low, high, old, _path(item.new, top), item.shift)


def _path(found: Distribution, top: float) -> str:
    """The outline of a histogram, closed along the bottom; heights are shares of the values."""
    step = WIDTH / len(found.counts)
    parts = [f"M0 {HEIGHT:g}"]
    for place, count in enumerate(found.counts):
        height = HEIGHT * (1 - 0.94 * count / found.count / top)
        parts.append(f"V{height:.1f}H{(place + 1) * step:.1f}")
    return "".join([*parts, f"V{HEIGHT:g}Z"])


def _class_line(item: ClassDrift, old_classes: Sequence[str]) -> ClassLine:
    times = None if item.distance is None or not item.by_chance else item.distance / item.by_chance
    looser = None
    if item.looseness is not None and item.judged:
        looser = math.expm1(item.looseness - (item.looseness_before or 0.0))
    return ClassLine(item, item.name not in old_classes, times, looser)


def _dots(points: Sequence[MapPoint], *, with_pictures: bool) -> Iterator[Dot]:
    """New images first in line for a thumbnail's place, so that a full page still shows what came."""
    pictured = [place for place, point in enumerate(points) if point.path and with_pictures]
    half = THUMBNAILS // 2
    new = [place for place in pictured if points[place].is_new]
    old = [place for place in pictured if not points[place].is_new]
    shown = {*new[: max(half, THUMBNAILS - len(old))], *old[: max(half, THUMBNAILS - len(new))]}
    for place, point in enumerate(points):
        picture = thumbnail_uri(Path(point.path), THUMBNAIL_PX) if place in shown else None
        yield Dot(round(3 + 94 * point.x, 1), round(3 + 94 * (1 - point.y), 1), point, picture)
