"""How fast this machine is right now: the seconds that a fixed small network takes for 1000 images, forward and back.

Taken before and after each training, in this process; seconds of trainings at different times, beside different
neighbours, are compared in units of it.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BATCH, PIXELS, STEPS = 16, 320, 6
FRESH_S = 90.0
"""So long a probe stands for the machine; longer ago, it is taken again."""


@dataclass
class Speed:
    """The mean of the probes before and after something."""

    value_s: float | None = None


@dataclass
class Probe:
    """The last probe, so that two trainings in a row share the one between them."""

    pixels: int = PIXELS
    taken_s: float = float("-inf")
    value_s: float = 0.0

    @contextmanager
    def beside(self) -> Iterator[Speed]:
        """The machine's speed before and after what is done inside; known after it."""
        speed, before = Speed(), self.before()
        yield speed
        speed.value_s = (before + self.after()) / 2

    def before(self) -> float:
        """Seconds for 1000 images; not older than `FRESH_S`."""
        return self.value_s if time.monotonic() - self.taken_s < FRESH_S else self.after()

    def after(self) -> float:
        """Seconds for 1000 images, as of now."""
        self.value_s = measure(self.pixels)
        self.taken_s = time.monotonic()
        return self.value_s


def measure(pixels: int = PIXELS) -> float:
    """Seconds for 1000 images, the median of a few steps; on the GPU where there is one."""
    import torch
    from torch import nn

    from treering_trainer.engine.machine import available_processors

    torch.set_num_threads(available_processors())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers = [
        nn.Sequential(nn.Conv2d(left, right, 3, 2, 1, bias=False), nn.BatchNorm2d(right), nn.SiLU())
        for left, right in itertools.pairwise((3, 16, 32, 64, 128, 256))
    ]
    network = nn.Sequential(*layers).to(device)
    images = torch.rand(BATCH, 3, pixels, pixels, device=device)
    times = []
    for _ in range(STEPS):
        start_s = time.perf_counter()
        network(images).square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start_s)
    return statistics.median(times[1:]) / BATCH * 1000  # the first one makes buffers
