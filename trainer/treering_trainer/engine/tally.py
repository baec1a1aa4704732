"""What a training has done so far: its epochs, its best weights and what it cost; part of every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from treering_trainer.records import EpochRecord


@dataclass
class Tally:
    """Grows by one record an epoch.

    Args:
        records: one per full epoch.
        best_weights: the averaged weights of the epoch with the best fitness; None without validation.
        best_fitness: 0..1; None without validation.
        passes: images shown in full epochs, counting repeats.
        attempts: process starts that worked on this training, as far as a checkpoint tells.
        seconds: time that the full epochs took, with their validation, times the ranks that took part.
        peak_memory_bytes: of the first rank's GPU; 0 on processors.
        finished: whether the last epoch has been trained, or training stopped early.
    """

    records: list[EpochRecord] = field(default_factory=list)
    best_weights: dict[str, torch.Tensor] | None = None
    best_epoch: int = 0
    best_fitness: float | None = None
    passes: int = 0
    attempts: int = 1
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    finished: bool = False

    def consider(self, fitness: float, weights: Mapping[str, torch.Tensor], epoch: int) -> None:
        """Keep `weights` if no earlier ones were better; of equal ones the later have learned more."""
        if self.best_fitness is None or fitness >= self.best_fitness:
            self.best_fitness, self.best_epoch = fitness, epoch
            self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return {**vars(self), "records": [record.model_dump() for record in self.records]}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Tally:
        """The tally of a resumed training, from what `state_dict` gave."""
        records = [EpochRecord.model_validate(record) for record in state["records"]]
        return cls(**{**state, "records": records, "attempts": state["attempts"] + 1})
