"""Which image is shown when, and how it is augmented: derived from (seed, epoch) alone.

No state is carried from one epoch to the next, so a resumed training draws the batches that an uninterrupted one would
have drawn. Every place in an epoch has a seed of its own, so it does not matter which process loads it. Indices count
the new images first, then the memory.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, TypeVar

import numpy as np

Item = TypeVar("Item")


def derive_seed(seed: int, *path: int | str) -> int:
    """A 32-bit seed for one purpose, independent of all others with the same `seed`."""
    words = [part if isinstance(part, int) else int.from_bytes(part.encode()) for part in path]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])


class Place(NamedTuple):
    """One showing of one image."""

    image: int
    """Its index."""
    seed: int
    """Of its augmentation, 32 bits."""


@dataclass(frozen=True)
class Mix:
    """How new and remembered images share the batches of an epoch.

    Args:
        new: number of new images; each is shown once an epoch, or as often as `repeats` says.
        memory: number of remembered images.
        batch: images in a batch.
        share: memory's share of every batch; None shows each remembered image once an epoch, where it falls.
        ranks: processes that share every batch; each gets at least one image of it.
        repeats: how often each image is shown in an epoch, new ones first, at least 0, above 0 somewhere in each part;
            empty: once. A whole number is kept in every epoch, a fraction on average over the epochs. Where a share is
            given, only the proportion of remembered images to each other counts.
    """

    new: int
    memory: int
    batch: int
    share: float | None = None
    ranks: int = 1
    repeats: tuple[float, ...] = ()

    @property
    def memory_per_batch(self) -> int:
        """Remembered images in every batch, where a share is given: at least one, and at least one new image stays."""
        if self.share is None or not self.memory or not self.new:
            return 0
        return min(max(1, round(self.share * self.batch)), self.batch - 1)

    @property
    def passes(self) -> int:
        """Images shown in one epoch, counting repeats."""
        return sum(self._sizes)

    @property
    def length(self) -> int:
        """Batches in one epoch."""
        return len(self._sizes)

    @property
    def showings(self) -> tuple[float, ...]:
        """How often each image is shown in an epoch, on average."""
        shown = list(self.repeats or (1.0,) * (self.new + self.memory))
        if self.memory_per_batch:
            remembered = sum(shown[self.new :])
            times = self.memory_per_batch * self.length / remembered
            shown[self.new :] = [times * value for value in shown[self.new :]]
        return tuple(shown)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(len(batch) for batch in self.batches(0, 0))  # alike in every epoch

    def batches(self, seed: int, epoch: int) -> list[list[int]]:
        """The batches of one epoch, as indices."""
        batches = self._batches(random.Random(derive_seed(seed, epoch, "order")))
        if len(batches) > 1 and len(batches[-1]) < self.ranks:
            batches[-2].extend(batches.pop())
        for only in batches[:1]:  # fewer images than ranks: some are shown twice
            only.extend(only[place % len(only)] for place in range(self.ranks - len(only)))
        return batches

    def _batches(self, source: random.Random) -> list[list[int]]:
        if not self.memory_per_batch:
            return _chunks(_shuffled([*self._new(source), *self._memory(source)], source), self.batch)
        size = self.batch - self.memory_per_batch
        fresh = _shuffled(self._new(source), source)
        old = self._memory_stream(source)
        return [
            _shuffled([*fresh[start : start + size], *(next(old) for _ in range(self.memory_per_batch))], source)
            for start in range(0, len(fresh), size)
        ]

    def _new(self, source: random.Random) -> Sequence[int]:
        return repeat(range(self.new), self.repeats, source)

    def _memory(self, source: random.Random) -> Sequence[int]:
        return repeat(range(self.new, self.new + self.memory), self.repeats, source)

    def _memory_stream(self, source: random.Random) -> Iterator[int]:
        while True:
            yield from _shuffled(self._memory(source), source)


def repeat(indices: range, repeats: Sequence[float], source: random.Random) -> Sequence[int]:
    """Each index as often as `repeats`, which all indices point into, says; empty: once.

    Fractions are rounded by chance, but so that the number of indices is always the same, their sum rounded: systematic
    sampling, evenly spaced points over the fractions laid end to end in a random order.
    """
    if not repeats:
        return indices
    whole = [index for index in indices for _ in range(int(repeats[index]))]
    parts = _shuffled([index for index in indices if repeats[index] % 1], source)
    ends = list(accumulate(repeats[index] % 1 for index in parts))
    if not ends:
        return whole
    count, start = max(round(ends[-1]), 0 if whole else 1), source.random()
    points = ((place + 1 - start) * ends[-1] / count for place in range(count))
    return whole + [parts[min(bisect_left(ends, point), len(parts) - 1)] for point in points]


class EpochBatches:
    """A batch sampler for torch's `DataLoader`: every iteration gives one rank's share of the epoch and mix set last.

    A rank's share of a batch is every `ranks`-th image. What an image is shown with is settled before it is shared out,
    so that all ranks together show what one process alone would have shown.
    """

    def __init__(self, mix: Mix, seed: int, rank: int = 0) -> None:
        self.mix = mix
        self.seed = seed
        self.rank = rank
        self.epoch = 0

    def __len__(self) -> int:
        return self.mix.length

    def __iter__(self) -> Iterator[list[Place]]:
        shown = 0
        for batch in self.mix.batches(self.seed, self.epoch):
            seeds = (derive_seed(self.seed, self.epoch, "place", shown + offset) for offset in range(len(batch)))
            places = [Place(image, seed) for image, seed in zip(batch, seeds, strict=True)]
            yield self.share(places)
            shown += len(batch)

    def share(self, batch: list[Item]) -> list[Item]:
        """This rank's part of a batch."""
        return batch[self.rank :: self.mix.ranks]


def _shuffled(indices: Sequence[int], source: random.Random) -> list[int]:
    result = list(indices)
    source.shuffle(result)
    return result


def _chunks(indices: Sequence[int], size: int) -> list[list[int]]:
    chunks = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
    if len(chunks) > 1 and len(chunks[-1]) == 1:  # BatchNorm learns nothing good from a batch of one
        chunks[-2].extend(chunks.pop())
    return chunks
