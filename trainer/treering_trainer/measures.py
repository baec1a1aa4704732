"""What is measured on data before it is trained on: numbers only, small, comparable over rounds without the images.

Written by `analysis/` and `stages/analyse`, part of the analyse record (`records`), read by the report. Brightness,
contrast and colour lie between 0 and 1; shares of an image likewise; looseness is the natural logarithm of a ratio of
areas.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LookName = Literal["brightness", "contrast", "sharpness", "colour"]
ShapeName = Literal["size", "aspect", "x", "y"]


class Measure(BaseModel):
    """Base of everything measured: frozen, closed, JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Distribution(Measure):
    """One number over many images or boxes: equal bins from low to high, and the moments of the values themselves.

    Values outside count in the outermost bins.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    total: float = Field(description="sum of the values")
    squares: float = Field(description="sum of their squares")

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Of the values; 0 where there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of the values, at least 0."""
        variance = self.squares / self.count - self.mean**2 if self.count else 0.0
        return float(max(variance, 0.0) ** 0.5)


class ClassShape(Measure):
    """How the boxes of one class are drawn in one delivery."""

    boxes: int
    images: int
    shapes: dict[ShapeName, Distribution]
    looseness: float | None = Field(
        default=None, description="median of ln(area of the label / area of the model's box of the same object)"
    )
    judged: int = Field(default=0, description="boxes that the model found too, on which looseness rests")


class Portrait(Measure):
    """One delivery in numbers: what its images look like and how its boxes are drawn."""

    name: str
    images: int
    backgrounds: int
    looks: dict[LookName, Distribution]
    classes: dict[str, ClassShape]


class Contrast(Measure):
    """One number before and now."""

    old: Distribution | None
    new: Distribution
    shift: float | None = Field(
        default=None, description="difference of the means in standard deviations of the old (Glass's delta)"
    )


class Drift(Measure):
    """How well a linear classifier tells new images from old ones by the published model's own features."""

    auc: float = Field(description="cross-validated, .5: not at all, 1: always")
    p_value: float = Field(description="share of random labellings that are told apart as well")
    old_images: int
    new_images: int
    permutations: int


class ClassDrift(Measure):
    """One class now against what was learned of it."""

    name: str
    boxes: int
    old_boxes: int
    distance: float | None = Field(
        default=None, description="squared Fréchet distance of the boxes' features, as a share of their variance"
    )
    by_chance: float | None = Field(default=None, description="the same between random halves: mean over shuffles")
    looseness: float | None = Field(default=None, description="ln of area against the published model's boxes")
    looseness_before: float | None = Field(default=None, description="the same in what the line learned before")
    judged: int = Field(default=0, description="boxes on which looseness rests")
    size_ratio: float | None = Field(default=None, description="mean size of the boxes, now over before")


class Confusion(Measure):
    """Boxes of one class that the published model calls by another name."""

    labelled: str
    called: str
    boxes: int = Field(description="how many it calls so")
    of: int = Field(description="how many boxes of the class it was shown")
    confidence: float = Field(description="mean, of those")


class Overlap(Measure):
    """Two classes whose boxes look alike to the model."""

    left: str
    right: str
    share: float = Field(
        description="share of the left one's boxes whose nearest neighbours are of the right one, 0..1"
    )


class MapPoint(Measure):
    """One image on the map (t-SNE); x and y from 0 to 1."""

    x: float
    y: float
    is_new: bool
    source: str = Field(description="increment that it came with")
    path: str = Field(default="", description="of the image on this machine; empty where only its numbers are kept")


class Analysis(Measure):
    """Everything measured before a round; `warnings` says in words what a person should look at, the gravest first."""

    images: int = Field(description="train images of the round's increments")
    backgrounds: int
    looked_at: int = Field(description="images that were opened: a seeded sample where there are very many")
    looks: dict[LookName, Contrast]
    shapes: dict[ShapeName, Contrast]
    portraits: tuple[Portrait, ...] = Field(description="one per increment of the round")
    drift: Drift | None = Field(default=None, description="none in a line's first round, or with too few images")
    classes: tuple[ClassDrift, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    unlabelled: dict[str, int] = Field(
        default={}, description="sure boxes of the published model that nobody labelled, by class"
    )
    map: tuple[MapPoint, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def drifted_class(self) -> str:
        """The class that moved farthest beyond chance; empty where none did."""
        moved = [
            (item.distance / max(item.by_chance, 1e-9), item.name)
            for item in self.classes
            if item.distance is not None and item.by_chance is not None and item.distance > 2 * item.by_chance
        ]
        return max(moved)[1] if moved else ""
