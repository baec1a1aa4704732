"""Another camera: pictures changed in light and in geometry, their boxes with them, drawn from a seed.

Light: gamma 1.6 to 2.2 (darker), a colour cast of up to 20 percent on each channel, blur of 0.6 to 1.2 px and noise of
standard deviation 6 to 12 of 255, both at 640 px of the longer side. Geometry: turned by up to 12 degrees, 0.75 to 0.95
of the size, moved by up to 5 percent, the corners pulled in by up to 6 percent (perspective). What a box covers is
turned as four corners; the new box is the upright one around them, inside the picture; one of which less than a quarter
is left is dropped.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from treering_trainer.dataset import Boxes, Sample

LEAST_LEFT = 0.25
GREY = 114
"""What lies outside the picture; ultralytics' own padding."""


def shifted(sample: Sample, folder: Path, seed: int) -> Sample:
    """The sample as another camera would show it; its picture is written to `folder`, once."""
    numbers = int.from_bytes(hashlib.sha256(f"{seed}/{sample.sha256}".encode()).digest()[:8], "big")
    source = np.random.default_rng(numbers)
    with Image.open(sample.image) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    matrix = camera(pixels.shape[1], pixels.shape[0], source)
    buffer = BytesIO()
    Image.fromarray(change_light(turn(pixels, matrix), source)).save(buffer, "JPEG", quality=92)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sample.name}.jpg"
    path.write_bytes(buffer.getvalue())
    return replace(
        sample,
        image=path,
        boxes=turn_boxes(sample.boxes, matrix, pixels.shape[1], pixels.shape[0]),
        width=pixels.shape[1],
        height=pixels.shape[0],
        sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
    )


def camera(width: int, height: int, source: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3): from old to new pixels of a picture of this size."""
    angle, size = math.radians(source.uniform(-12, 12)), source.uniform(0.75, 0.95)
    move = source.uniform(-0.05, 0.05, 2) * (width, height)
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    spin = size * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    back = np.eye(3)
    back[:2, :2], back[:2, 2] = spin, np.array([width, height]) / 2 + move
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    inward = source.uniform(0, 0.06, (4, 2)) * (width, height) * ([1, 1], [-1, 1], [-1, -1], [1, -1])
    pulled = cv2.getPerspectiveTransform(corners, (corners + inward).astype(np.float32))
    return np.asarray(pulled @ back @ middle, dtype=np.float64)


def turn(pixels: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The picture, (height, width, 3), seen through `matrix`."""
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, borderValue=(GREY, GREY, GREY)), dtype=np.uint8)


def turn_boxes(boxes: Boxes, matrix: NDArray[np.float64], width: int, height: int) -> Boxes:
    """Boxes of shape (n, 5), shares of the picture, after `matrix`; those that left it are dropped."""
    kept = list[list[float]]()
    for row in boxes:
        x, y = np.array([-1, 1, 1, -1]) / 2, np.array([-1, -1, 1, 1]) / 2
        corners = np.stack([(row[1] + x * row[3]) * width, (row[2] + y * row[4]) * height, np.ones(4)])
        seen = matrix @ corners
        low, high = (seen[:2] / seen[2]).min(axis=1), (seen[:2] / seen[2]).max(axis=1)
        inner_low, inner_high = np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
        if np.prod(inner_high - inner_low) < LEAST_LEFT * np.prod(high - low):
            continue
        centre, size = (inner_low + inner_high) / 2 / (width, height), (inner_high - inner_low) / (width, height)
        kept.append([row[0], *centre, *size])
    return np.asarray(kept, dtype=np.float64).reshape(-1, 5)


def change_light(pixels: NDArray[np.uint8], source: np.random.Generator) -> NDArray[np.uint8]:
    """The picture, (height, width, 3), in other light."""
    scale = max(pixels.shape[:2]) / 640
    light = (pixels / 255.0) ** source.uniform(1.6, 2.2) * source.uniform(0.8, 1.0, 3)
    blurred = cv2.GaussianBlur(light, (0, 0), max(source.uniform(0.6, 1.2) * scale, 0.1))
    noise = source.normal(0, source.uniform(6, 12) / 255, blurred.shape)
    return np.asarray(np.clip((blurred + noise) * 255, 0, 255), dtype=np.uint8)
