"""Composes the demo's pictures: scenes of scikit-learn's handwritten digits, in three deliveries and a hold-out.

Called by `demo.py` and by hand (`python examples/digits/make_scenes.py --out DIR`). Promises: the same seed gives the
same files; a digit drawn in a train scene is never drawn in a val or hold-out scene; digits never overlap; each
delivery is labelled for its own classes only, and some train scenes of later deliveries also show earlier digits
without a label, as real deliveries do. The hold-out `golden` shows all ten digits and labels all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DELIVERIES = {"digits-0-4": (0, 1, 2, 3, 4), "digits-5-7": (5, 6, 7), "digits-8-9": (8, 9)}
HOLDOUT = "golden"
TRAIN_SCENES = (160, 100, 80)

SIDE_PX = 192
SCALES = (3.0, 6.0)  # of the 8 px originals: digits of 24 to 48 px
TURN_DEG = 12.0  # more would make a 6 and a 9 ambiguous
GAP_PX = 3
DIGITS_A_SCENE = (3, 6)
TRAP_SHARE = 0.4  # of a later delivery's train scenes that also show unlabelled earlier digits
SAMPLE_SHARES = {"train": 0.7, "val": 0.15, "holdout": 0.15}

Pixels = npt.NDArray[np.float64]
Pools = dict[int, Pixels]  # by digit: its samples, (n, 8, 8), ink between 0 and 1


@dataclass(frozen=True)
class Glyph:
    """A digit as it will stand in a scene: its ink (height, width; 0..1), cropped to what can be seen."""

    digit: int
    ink: Pixels


@dataclass(frozen=True)
class Placed:
    """A glyph at its place: left and top in pixels of the scene."""

    glyph: Glyph
    left: int
    top: int

    def overlaps(self, other: Placed) -> bool:
        """Whether the two come nearer to each other than the gap."""
        apart_x = self.left >= other.right + GAP_PX or other.left >= self.right + GAP_PX
        apart_y = self.top >= other.bottom + GAP_PX or other.top >= self.bottom + GAP_PX
        return not (apart_x or apart_y)

    @property
    def right(self) -> int:
        """First column to the right of the glyph."""
        return self.left + int(self.glyph.ink.shape[1])

    @property
    def bottom(self) -> int:
        """First row below the glyph."""
        return self.top + int(self.glyph.ink.shape[0])

    def label(self, index: int) -> str:
        """One line in YOLO's format: class index, then centre and size as shares of the scene."""
        centre_x, centre_y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        box = (centre_x, centre_y, self.right - self.left, self.bottom - self.top)
        return " ".join([str(index), *(f"{value / SIDE_PX:.6f}" for value in box)])


def make_scenes(out: Path, train: Sequence[int] = TRAIN_SCENES, seed: int = 0) -> None:
    """Write the three deliveries and the hold-out into folders of `out`, in YOLO layout with `names.json`.

    Args:
        out: folder to write into; made where it is missing, files of the same names are written over.
        train: train scenes of each delivery, in order; val scenes are a fifth of them, the hold-out three fifths of
            the first.
        seed: every choice follows from it.
    """
    pools = split_samples(seed)
    earlier: tuple[int, ...] = ()
    for number, ((name, digits), scenes) in enumerate(zip(DELIVERIES.items(), train, strict=True)):
        trap = (TRAP_SHARE if earlier else 0.0, earlier)
        _write_split(out / name, "train", pools["train"], digits, scenes, trap, (seed, number, 0))
        _write_split(out / name, "val", pools["val"], digits, max(1, scenes // 5), (0.0, ()), (seed, number, 1))
        earlier += digits
    scenes = max(2, train[0] * 3 // 5)
    _write_split(out / HOLDOUT, "val", pools["holdout"], tuple(range(10)), scenes, (0.0, ()), (seed, len(DELIVERIES)))


def split_samples(seed: int) -> dict[str, Pools]:
    """Deal scikit-learn's 1,797 digits out to `train`, `val` and `holdout`, class by class, none of them twice."""
    bunch = load_digits()
    rng = np.random.default_rng(seed)
    pools: dict[str, Pools] = {split: {} for split in SAMPLE_SHARES}
    for digit in range(10):
        samples = rng.permutation(bunch.images[bunch.target == digit] / 16.0)
        edges = np.cumsum([round(share * len(samples)) for share in SAMPLE_SHARES.values()])[:-1]
        for split, part in zip(SAMPLE_SHARES, np.split(samples, edges), strict=True):
            pools[split][digit] = part
    return pools


def compose(rng: np.random.Generator, pools: Pools, digits: Sequence[int]) -> tuple[Image.Image, list[Placed]]:
    """Draw the digits on a fresh background; one that finds no free place is left out.

    Returns:
        the scene (RGB, `SIDE_PX` square) and what stands where.
    """
    placed: list[Placed] = []
    for digit in digits:
        glyph = _glyph(rng, digit, pools[digit][rng.integers(len(pools[digit]))])
        place = _free_place(rng, glyph, placed)
        if place:
            placed.append(place)
    dark_ground = bool(rng.random() < 0.5)
    pixels = _ground(rng, dark_ground)
    for place in placed:
        colour = rng.uniform(0.8, 1.0, 3) if dark_ground else rng.uniform(0.0, 0.25, 3)
        window = pixels[place.top : place.bottom, place.left : place.right]
        ink = place.glyph.ink[..., None]
        window[:] = window * (1 - ink) + colour * ink
    pixels += rng.normal(0, rng.uniform(0.01, 0.04), pixels.shape)
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)), placed


def _write_split(
    folder: Path,
    split: str,
    pools: Pools,
    digits: Sequence[int],
    scenes: int,
    trap: tuple[float, Sequence[int]],
    seed: tuple[int, ...],
) -> None:
    """Write one split of one delivery; `trap` is the share of scenes with unlabelled digits, and which those are."""
    rng = np.random.default_rng(seed)
    share, unlabelled = trap
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    (folder / "names.json").write_text(json.dumps([NAMES[digit] for digit in digits]) + "\n")
    deck = _deal(rng, digits)
    strangers = _deal(rng, unlabelled)
    for number in range(scenes):
        wanted = [next(deck) for _ in range(rng.integers(DIGITS_A_SCENE[0], DIGITS_A_SCENE[1] + 1))]
        if rng.random() < share:
            wanted += [next(strangers) for _ in range(rng.integers(1, 4))]
        image, placed = compose(rng, pools, wanted)
        lines = [place.label(digits.index(place.glyph.digit)) for place in placed if place.glyph.digit in digits]
        image.save(images / f"{folder.name}-{split}-{number:04d}.jpg", quality=92)
        (labels / f"{folder.name}-{split}-{number:04d}.txt").write_text("".join(f"{line}\n" for line in lines))


def _deal(rng: np.random.Generator, digits: Sequence[int]) -> Iterator[int]:
    """Endless digits, all of them equally often."""
    while digits:
        yield from (int(digit) for digit in rng.permutation(digits))


def _glyph(rng: np.random.Generator, digit: int, sample: Pixels) -> Glyph:
    """Enlarge and turn one 8 px sample, firm up its ink, crop it to what can be seen."""
    side = round(8 * rng.uniform(*SCALES))
    image = Image.fromarray((np.pad(sample, 2) * 255).astype(np.uint8))
    image = image.resize((side * 12 // 8,) * 2, Image.Resampling.BICUBIC)
    image = image.rotate(rng.uniform(-TURN_DEG, TURN_DEG), Image.Resampling.BICUBIC)
    ink = ((np.asarray(image, dtype=np.float64) / 255 - 0.22) / 0.58).clip(0, 1)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.3), np.flatnonzero(ink.max(axis=0) > 0.3)
    return Glyph(digit, ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _free_place(rng: np.random.Generator, glyph: Glyph, placed: Sequence[Placed]) -> Placed | None:
    height, width = glyph.ink.shape
    for _ in range(50):
        left = int(rng.integers(GAP_PX, SIDE_PX - width - GAP_PX))
        top = int(rng.integers(GAP_PX, SIDE_PX - height - GAP_PX))
        place = Placed(glyph, left, top)
        if not any(place.overlaps(other) for other in placed):
            return place
    return None


def _ground(rng: np.random.Generator, dark: bool) -> Pixels:
    """A background of (side, side, 3), 0..1: a gradient between two colours, with soft blotches like paper or board."""
    low, high = (0.05, 0.4) if dark else (0.6, 0.95)
    first, second = rng.uniform(low, high, (2, 3))
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / (SIDE_PX - 1) - 0.5
    slope = (np.cos(angle) * columns + np.sin(angle) * rows + 0.75) / 1.5
    ground: Pixels = first + (second - first) * slope[..., None]
    for side in (6, 24, 96):
        blotches = Image.fromarray((rng.random((side, side)) * 255).astype(np.uint8)).resize((SIDE_PX, SIDE_PX))
        soft = np.asarray(blotches.filter(ImageFilter.GaussianBlur(1)), dtype=np.float64) / 255 - 0.5
        ground += soft[..., None] * rng.uniform(0.02, 0.12)
    return ground


def main() -> None:
    """Read the command line and write the scenes."""
    parser = argparse.ArgumentParser(description="Compose the demo's deliveries and hold-out from handwritten digits.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three deliveries and golden")
    parser.add_argument("--seed", type=int, default=0, help="every choice follows from it (default: 0)")
    parser.add_argument(
        "--train",
        type=int,
        nargs=len(DELIVERIES),
        metavar="N",
        default=TRAIN_SCENES,
        help=f"train scenes of each delivery (default: {' '.join(map(str, TRAIN_SCENES))})",
    )
    arguments = parser.parse_args()
    make_scenes(arguments.out, arguments.train, arguments.seed)


if __name__ == "__main__":
    main()
