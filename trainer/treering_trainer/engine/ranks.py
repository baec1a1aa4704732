"""One process among those that train together, and what they tell each other besides gradients.

Used by `yolo.loop` and the rank processes. Alone, every question is answered without a word. What is said here goes
over gloo, on the processors, so that no GPU waits for it; tensors on GPUs travel by NCCL, in the default group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed

T = TypeVar("T")
WAIT_TIMEOUT = timedelta(minutes=60)
"""Longest wait for another rank, such as while the first one validates. Ranks that died are noticed at once, nodes that
died within a minute (`engine.meeting`); this is for those that hang."""


@dataclass(frozen=True)
class Rank:
    """A process's place among `count`.

    Args:
        group: torch's process group for small talk; None where there is only one process.
    """

    number: int = 0
    count: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the one that validates, saves and reports."""
        return self.number == 0

    def hand_round(self, value: T) -> T:
        """The first rank's `value`, on every rank."""
        box = [value]
        if self.count > 1:
            distributed.broadcast_object_list(box, src=0, group=self.group, device=torch.device("cpu"))
        return box[0]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return self.sums([float(flag)])[0] > 0 if self.count > 1 else flag

    def all(self, flag: bool) -> bool:
        """Whether the flag is set on every rank."""
        return not self.any(not flag)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all ranks."""
        if self.count == 1:
            return list(values)
        totals = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(totals, group=self.group)
        return cast("list[float]", totals.tolist())

    def first_of(self, text: str) -> str:
        """The text of the lowest rank that has any."""
        texts: list[Any] = [text]
        if self.count > 1:
            texts = [None] * self.count
            distributed.all_gather_object(texts, text, group=self.group)
        return next((found for found in texts if found), "")


ALONE = Rank()


@contextmanager
def join_ranks(*, gpu: bool) -> Iterator[Rank]:
    """This process's rank, as torch's elastic agent set it in the environment, until it leaves well."""
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=WAIT_TIMEOUT)
    group = distributed.new_group(backend="gloo", timeout=WAIT_TIMEOUT)
    yield Rank(distributed.get_rank(), distributed.get_world_size(), group)
    distributed.destroy_process_group()  # not after an error: the others may be waiting, and it would wait for them


def says_peer_lost(error: Exception) -> bool:
    """Whether an error only means that another rank is gone, or its network; why, others must say."""
    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
