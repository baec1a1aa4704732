"""The detector's own loss with the policies' terms added, in the form ultralytics' loop expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from treering_trainer.engine.ranks import ALONE, Rank
from treering_trainer.policies.interface import Policy


class PolicyLoss:
    """Stands where ultralytics' criterion stood.

    Args:
        rank: whose images these are; the items of all ranks add up to those of the whole batch.
    """

    def __init__(self, criterion: Any, policies: Sequence[Policy], rank: Rank = ALONE) -> None:
        self.criterion = criterion
        self.policies = tuple(policies)
        self.rank = rank

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss summed over the batch's images, and its items by name, per image."""
        loss, items = self.criterion(predictions, batch)
        images = batch["img"].shape[0]
        total, shown = loss.sum(), dict(items)
        share = images / self.rank.sums([images])[0]
        for policy in self.policies:
            for name, term in policy.losses(batch, predictions).items():
                total = total + term * images
                shown[name] = term.detach() * share
        return total, shown

    def update(self) -> None:
        """Once per epoch, for criteria that change with time."""
        if hasattr(self.criterion, "update"):
            self.criterion.update()
