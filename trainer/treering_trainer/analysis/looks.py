"""What pictures look like: brightness, contrast, sharpness and colour, measured on a small version of each.

JPEGs are decoded at a fraction of their size (Pillow's draft mode), so that thousands cost seconds. Sharpness is the
variance of the Laplacian (Pech-Pacheco et al. 2000) after all pictures were brought to one size; colour is the
colourfulness of Hasler and Süsstrunk (2003).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from treering_trainer.analysis.distributions import distribution
from treering_trainer.dataset import Sample
from treering_trainer.measures import Distribution, LookName

SIDE_PX = 128
"""Longer side of what is measured; a draft keeps at least this much."""
RANGES: dict[LookName, tuple[float, float]] = {
    "brightness": (0.0, 1.0),
    "contrast": (0.0, 0.5),
    "sharpness": (-10.0, 0.0),
    "colour": (0.0, 0.8),
}
"""Low and high of each measure's histogram."""
_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's own grey
_FAINTEST = 2.0**-10

Pixels = NDArray[np.float64]
Told = Callable[[int, int], None]


def look_at(
    samples: Sequence[Sample], *, workers: int = 1, on_image: Told | None = None
) -> dict[LookName, Distribution]:
    """The distribution of every look over samples; a picture that can't be opened any more is left out.

    Args:
        workers: threads; decoding releases the lock.
        on_image: called in this thread after each picture with (done, total).
    """
    rows: list[tuple[float, ...]] = []
    with ThreadPoolExecutor(max(workers, 1), thread_name_prefix="look") as pool:
        for done, pixels in enumerate(pool.map(_open, (sample.image for sample in samples)), start=1):
            if pixels is not None:
                rows.append(tuple(look(pixels).values()))
            if on_image is not None:
                on_image(done, len(samples))
    columns = np.asarray(rows, dtype=np.float64).reshape(-1, len(RANGES)).T
    return {name: distribution(column, *RANGES[name]) for name, column in zip(RANGES, columns, strict=True)}


def look(pixels: Pixels) -> dict[LookName, float]:
    """The looks of one picture.

    Args:
        pixels: (height, width, 3), red, green, blue, 0..1; below 3 pixels a side nothing is sharp.

    Returns:
        brightness (mean grey, 0 to 1), contrast (its standard deviation, 0 to .5), sharpness (log2 of the Laplacian's
        standard deviation, -10 for none), colour (colourfulness, 0 for grey).
    """
    grey = pixels @ _WEIGHTS
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "sharpness": float(np.log2(max(laplacian.std() if laplacian.size else 0.0, _FAINTEST))),
        "colour": _colourfulness(pixels),
    }


def _colourfulness(pixels: Pixels) -> float:
    red, green, blue = (pixels[..., place] for place in range(3))
    one, two = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean()))


def _open(path: Path) -> Pixels | None:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIDE_PX, SIDE_PX))  # only JPEG can; the others decode in full
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                small = Image.fromarray(grey).convert("RGB")
            else:
                small = image.convert("RGB")
            small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
            return np.asarray(small, dtype=np.float64) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
