"""The detector's own loss with the policies' terms and weights, in the form ultralytics' loop expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from treering_trainer.engine.ranks import ALONE, Rank
from treering_trainer.policies.boxes import corners, labelled_objects, on_objects
from treering_trainer.policies.interface import Dense, Policy, Toolbox

AT_ONCE = 1024
"""Ignored boxes whose anchors are looked up together: with many unknown classes a batch has thousands."""


class PolicyLoss:
    """Stands where ultralytics' criterion stood.

    Args:
        criterion: ultralytics' own; its class loss is replaced by one that can be weighed.
        model: whose predictions these are.
        rank: whose images these are; the items of all ranks add up to those of the whole batch.
    """

    def __init__(
        self, criterion: Any, policies: Sequence[Policy], model: nn.Module, toolbox: Toolbox, rank: Rank = ALONE
    ) -> None:
        self.criterion = criterion
        self.adding = tuple(policy for policy in policies if policy.adds_loss)
        self.weighing = tuple(policy for policy in policies if policy.weighs_classes)
        self.model = model
        self.toolbox = toolbox
        self.rank = rank
        self._class_losses = [_WeighedClassLoss(self.weighing) for _ in criterion_parts(criterion)]
        for part, class_loss in zip(criterion_parts(criterion), self._class_losses, strict=True):
            part.bce = class_loss

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss summed over the batch's images, and its items by name, per image."""
        batch, ignored = split_ignored(batch, self._classes)
        branches = self.toolbox.dense(self.model, predictions) if len(ignored) else ()
        for place, class_loss in enumerate(self._class_losses):
            class_loss.batch = batch
            class_loss.heeded = heeded(branches[place], ignored) | told(branches[place], batch) if branches else None
        loss, items = self.criterion(predictions, batch)
        images = batch["img"].shape[0]
        total, shown = loss.sum(), dict(items)
        share = images / self.rank.sums([images])[0]
        for policy in self.adding:
            for name, term in policy.losses(batch, predictions).items():
                total = total + term * images
                shown[name] = term.detach() * share
        return total, shown

    def update(self) -> None:
        """Once per epoch, for criteria that change with time."""
        if hasattr(self.criterion, "update"):
            self.criterion.update()

    @property
    def _classes(self) -> int:
        return int(criterion_parts(self.criterion)[0].nc)


class _WeighedClassLoss(nn.Module):
    """Binary cross entropy with logits, element by element, weighed by policies and blind where nothing is known."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        super().__init__()
        self.policies = tuple(policies)
        self.batch: dict[str, Any] = {}
        self.heeded: torch.Tensor | None = None

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(images, anchors, classes), all of them."""
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        for policy in self.policies:
            weights = policy.class_weights(self.batch, logits, targets)
            if weights is not None:
                loss = loss * weights
        if self.heeded is not None:
            labelled = (targets > 0).any(dim=2, keepdim=True)  # also where its box is not the object's yet
            loss = loss * (self.heeded | labelled)
        return loss


def split_ignored(batch: dict[str, Any], classes: int) -> tuple[dict[str, Any], torch.Tensor]:
    """A batch without the boxes that mean "ignore here", and those boxes.

    They travel through augmentation as objects of the classes from `classes` on: `classes + c` is class c, unknown.

    Returns:
        The batch with objects only, and (n, 6): image index, class, centre x, centre y, width, height (shares).
    """
    kinds = batch["cls"].view(-1)
    unknown = kinds >= classes
    if not bool(unknown.any()):
        return batch, kinds.new_zeros((0, 6))
    rows = torch.cat([batch["batch_idx"].view(-1, 1), (kinds - classes).view(-1, 1), batch["bboxes"]], dim=1)[unknown]
    kept = {name: batch[name][~unknown] for name in ("batch_idx", "cls", "bboxes")}
    return {**batch, **kept}, rows


def heeded(dense: Dense, ignored: torch.Tensor) -> torch.Tensor:
    """(images, anchors, classes): whether a class counts at an anchor; not where its centre lies in an ignored box."""
    images, classes, anchors = dense.scores.shape
    covers = torch.zeros((images * classes, anchors), dtype=torch.int32, device=dense.scores.device)
    for rows in torch.split(ignored, AT_ONCE):
        places = rows[:, 0].long() * classes + rows[:, 1].long()
        inside = [
            (dense.anchors[None, :, axis] - rows[:, None, 2 + axis]).abs() <= rows[:, None, 4 + axis] / 2
            for axis in (0, 1)
        ]
        covers.index_add_(0, places, (inside[0] & inside[1]).to(covers.dtype))
    return (covers == 0).view(images, classes, anchors).permute(0, 2, 1)


def told(dense: Dense, batch: Mapping[str, Any]) -> torch.Tensor:
    """(images, anchors, 1): whether an anchor's box is that of a labelled object, which is of its class and no other.

    The assigner gives an object but a few of the anchors that see it. Were unknown classes ignored at the others,
    nothing would keep a new class from taking over an old one that looks like it (`bench/retention/LOG.md`: kings of
    the memory were king at .91 and jack at .89).
    """
    height, width = batch["img"].shape[2:]
    return on_objects(corners(dense, width, height).detach(), *labelled_objects(batch))[:, :, None]


def criterion_parts(criterion: Any) -> list[Any]:
    """The criteria of a head's branches."""
    return [criterion.one2many, criterion.one2one] if hasattr(criterion, "one2many") else [criterion]
