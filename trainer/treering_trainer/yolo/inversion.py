"""Model inversion: pictures in which a network sees given objects, found by gradient descent on their pixels.

After DeepInversion (Yin et al., CVPR 2020) and its form for detectors, DIODE (Chawla et al., WACV 2021): the pixels,
not the weights, follow the detection loss, while the statistics that every BatchNorm layer gets are pulled to those it
has learned, which is what makes pictures of noise into pictures. Drawn small first, then large: it costs a quarter
there, and large shapes come first. A picture moves by a few pixels and is mirrored at every step, or it would fit one
grid alone. Called through the toolbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from treering_trainer.policies.interface import Boxes

AT_ONCE = 16
"""Pictures drawn together; the statistics are those of all of them."""
SMALL_SHARE = 0.75
"""Of the steps, at half the size."""
RATES = (0.05, 0.02)
"""Adam's, of the small and the large pictures, whose pixels are in 0..1; each falls along a cosine to 0."""
DETECTION, STATISTICS, ROUGHNESS = 0.5, 4.0, 1.0
"""Weights of the three terms."""
SHIFT = 4
"""Most pixels that a picture moves by."""
GRID = 32
"""Sides are a multiple of this many pixels."""
STEP_PASSES = SMALL_SHARE / 4 + 1 - SMALL_SHARE
"""Image passes that a step takes on average: half the size is a quarter of the work."""
Loss = Callable[[torch.Tensor, Mapping[str, Any]], torch.Tensor]
"""Of images and what they show; a scalar, mean per image."""


def draw_pictures(
    model: nn.Module, loss: Loss, wanted: Sequence[Boxes], *, side: int, steps: int, seed: int, device: str
) -> Iterator[NDArray[np.uint8]]:
    """Per entry of `wanted` a picture, (side, side, 3) RGB.

    Args:
        model: in evaluation mode; its weights stay as they are.
        loss: the detector's own, of this model.
        wanted: per picture (n, 5): class index of the model, centre x, centre y, width, height in shares.
        side: pixels, a multiple of `GRID`.
        steps: at least 2.
    """
    source = torch.Generator().manual_seed(seed)
    with _still(model):
        for start in range(0, len(wanted), AT_ONCE):
            images = _draw(model, loss, wanted[start : start + AT_ONCE], side, steps, source, device)
            pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
            yield from pixels.cpu().numpy()


def _draw(
    model: nn.Module, loss: Loss, wanted: Sequence[Boxes], side: int, steps: int, source: torch.Generator, device: str
) -> torch.Tensor:
    small = max(round(side / 2 / GRID), 1) * GRID
    first = max(round(SMALL_SHARE * steps), 1)
    images = _noise(len(wanted), small, source).to(device)
    for size, count, rate in ((small, first, RATES[0]), (side, max(steps - first, 1), RATES[1])):
        images = functional.interpolate(images, size=(size, size), mode="bilinear").clamp(0, 1).requires_grad_()
        optimizer = torch.optim.Adam([images], lr=rate, betas=(0.5, 0.9))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count)
        for _ in range(count):
            seen, batch = _moved(images, wanted, source)
            with _statistics(model) as distances:
                detection = loss(seen, batch)
            total = DETECTION * detection + ROUGHNESS * _roughness(images)
            if distances:
                total = total + STATISTICS * torch.stack(distances).mean()
            (images.grad,) = torch.autograd.grad(total, [images])
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                images.clamp_(0, 1)
        images = images.detach()
    return images


def _noise(count: int, side: int, source: torch.Generator) -> torch.Tensor:
    """Soft blots with a little grain, (count, 3, side, side)."""
    blots = functional.interpolate(torch.rand(count, 3, 10, 10, generator=source), size=(side, side), mode="bicubic")
    return (0.2 + 0.6 * blots + 0.05 * torch.randn(count, 3, side, side, generator=source)).clamp(0, 1)


def _moved(
    images: torch.Tensor, wanted: Sequence[Boxes], source: torch.Generator
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The pictures as they are shown in this step, and what the loss wants to know of them."""
    side = images.shape[-1]
    down, right = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=source).tolist()
    seen = torch.roll(images, (down, right), (2, 3))
    rows = torch.as_tensor(np.concatenate(wanted), dtype=torch.float32)
    boxes = rows[:, 1:] + torch.tensor([right / side, down / side, 0.0, 0.0])
    if torch.rand(1, generator=source) < 0.5:
        seen = seen.flip(3)
        boxes[:, 0] = 1 - boxes[:, 0]
    places = torch.repeat_interleave(torch.arange(len(wanted)), torch.tensor([len(rows) for rows in wanted]))
    batch = {"batch_idx": places.float(), "cls": rows[:, :1], "bboxes": boxes}
    return seen, {"img": seen, **{key: value.to(images.device) for key, value in batch.items()}}


def _roughness(images: torch.Tensor) -> torch.Tensor:
    """Total variation, mean per pixel."""
    down, right = images[:, :, 1:] - images[:, :, :-1], images[..., 1:] - images[..., :-1]
    return down.abs().mean() + right.abs().mean()


@contextmanager
def _statistics(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects, layer by layer, how far the BatchNorm statistics of what passes are from those learned."""
    distances: list[torch.Tensor] = []

    def compare(layer: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None
        given = arguments[0].float()
        learned = layer.running_var + layer.eps
        mean, spread = given.mean((0, 2, 3)), given.var((0, 2, 3), unbiased=False) + layer.eps
        off = (mean - layer.running_mean).square() / learned
        distances.append(off.mean() + (spread.log() - learned.log()).square().mean())

    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    handles = [layer.register_forward_pre_hook(compare) for layer in layers]
    try:
        yield distances
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """No weight asks for a gradient meanwhile."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad = True
