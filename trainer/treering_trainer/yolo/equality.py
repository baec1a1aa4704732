"""Whether two models answer alike, and how fast each does: on random pictures and on given ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from treering_api import BadDataError
from treering_trainer.dataset import Sample, list_pictures, no_boxes
from treering_trainer.dataset.images import read_picture
from treering_trainer.dataset.labels import Fault
from treering_trainer.yolo.detector import YoloDetector

RANDOM_IMAGES = 3
MOST_IMAGES = 200
MOST_PX = 1e-3
RUNS = 9


@dataclass(frozen=True)
class Proof:
    """How far two models' raw outputs differ at most, over all anchors of all pictures.

    Args:
        score_difference: of any class score, 0..1; equal models have exactly 0.
        box_difference_px: of any centre, width or height.
    """

    random_images: int
    given_images: int
    score_difference: float
    box_difference_px: float

    @property
    def equal(self) -> bool:
        """Class scores bit for bit, boxes within a thousandth of a pixel."""
        return self.score_difference == 0 and self.box_difference_px <= MOST_PX


def prove(before: nn.Module, after: nn.Module, image_size: int, given: Iterable[torch.Tensor] = ()) -> Proof:
    """Show both models the same pictures.

    Args:
        before: in evaluation mode, as is `after`; the first output of each is (batch, 4 + classes, anchors).
        image_size: side of the random pictures, pixels.
        given: batches (n, 3, height, width), 0..1.
    """
    scores = boxes = 0.0
    counts = [0, 0]
    marked = chain(((0, image) for image in random_images(image_size)), ((1, images) for images in given))
    with torch.inference_mode():
        for kind, images in marked:
            one, other = raw_output(before, images), raw_output(after, images)
            if one.shape != other.shape:
                return Proof(counts[0], counts[1], 1.0, float("inf"))
            scores = max(scores, float((one[:, 4:] - other[:, 4:]).abs().max()))
            boxes = max(boxes, float((one[:, :4] - other[:, :4]).abs().max()))
            counts[kind] += len(images)
    return Proof(counts[0], counts[1], scores, boxes)


def random_images(image_size: int) -> Iterator[torch.Tensor]:
    """Pictures of noise, always the same ones."""
    for seed in range(RANDOM_IMAGES):
        yield torch.rand(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(seed))


def raw_output(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Boxes and scores before non-maximum suppression."""
    output = model(images)
    first = output[0] if isinstance(output, tuple | list) else output
    assert isinstance(first, torch.Tensor)
    return first


def latencies_ms(models: tuple[nn.Module, ...], image_size: int) -> tuple[float, ...]:
    """Median milliseconds of one picture for each model, in turns."""
    image = next(random_images(image_size))
    times = times_in_turns_ms([partial(model, image) for model in models], RUNS)
    return tuple(statistics.median(seen) for seen in times)


def times_in_turns_ms(runners: Sequence[Callable[[], object]], runs: int, *, warming: int = 1) -> list[list[float]]:
    """By runner, the milliseconds of `runs` calls, made in turns so that the machine's load is shared.

    Args:
        warming: calls of each before these, which do not count.
    """
    times: list[list[float]] = [[] for _ in runners]
    with torch.inference_mode():
        for _ in range(runs + warming):
            for run, seen in zip(runners, times, strict=True):
                start_s = time.perf_counter()
                run()
                seen.append(1000 * (time.perf_counter() - start_s))
    return [seen[warming:] for seen in times]


def given_images(folder: Path, detector: YoloDetector) -> Iterator[torch.Tensor]:
    """The pictures of a folder in batches, scaled as the detector scales them.

    Raises:
        BadDataError: there are none, or one can't be read.
    """
    samples = _samples(folder)
    for batch in detector.loader(samples):
        yield batch["img"].float() / 255


def _samples(folder: Path) -> list[Sample]:
    samples = []
    for path in list_pictures(folder, MOST_IMAGES):
        picture = read_picture(path)
        if isinstance(picture, Fault):
            raise BadDataError(str(path), picture.found, picture.mend)
        size = (picture.width, picture.height)
        samples.append(Sample(str(path), path, no_boxes(), *size, picture.sha256, picture.phash))
    return samples
