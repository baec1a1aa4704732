"""The whole plug-in architecture of the policies.

A policy is a named optional block of `spec.policies`. The engine orders the active ones by what each declares and calls
them at the points drawn here; a policy overrides the methods it needs and never meets another policy or ultralytics.

    prepare    compose(data) ──────────────► data: memory mixed in, labels added
    train      build(model) → frozen(model) → phases(model) → start(model, shown)   before the optimizer exists
               warm_start(model, shown)                       the same, once; not where a training goes on
               for every epoch: epoch_start(model, epoch)
                   for every batch: train_mode(model) · class_weights(batch, ...) · losses(batch, predictions)
                                epoch_end(model, epoch)
               finish(model, shown)                     on the weights that will be evaluated
               keep(model, shown) ─────► tensors that the next round's `situation.kept` has
               account() ──────────────► what all that took, and what was measured and chosen
    export     remember(candidates) ───────► memory of the next round
               relabel(items) ─────────────► the same items with more labels
    resume     state_dict() / load_state_dict(), once per epoch, beside the model's own state
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from treering_trainer.dataset import Sample
from treering_trainer.memory import MemoryItem
from treering_trainer.policies.situation import Account, Keepsakes, Phase, Shown, Situation, TrainingData, draw
from treering_trainer.policies.toolbox import Boxes, Dense, Detector, Glance, Toolbox

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Account", "Boxes", "Dense", "Detector", "Glance", "Keepsakes", "Phase", "Policy", "Shown", "Situation", "Toolbox",
    "TrainingData", "draw",
]  # fmt: skip


class Policy:
    """One way to learn or to remember. All hooks do nothing unless overridden."""

    name: ClassVar[str]
    """Key of the policy's block in `spec.policies`."""
    after: ClassVar[tuple[str, ...]] = ()
    """Policies that act before this one, where they are active."""
    conflicts: ClassVar[Mapping[str, str]] = {}
    """Policies that can't be active together with this one, and why, in words."""
    adds_loss: ClassVar[bool] = False
    """Whether `losses` is to be called for every batch."""
    weighs_classes: ClassVar[bool] = False
    """Whether `class_weights` is to be called for every batch."""
    works_after: ClassVar[bool] = False
    """Whether `finish` and `keep` may take minutes, and are told of."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    @property
    def trains(self) -> bool:
        """Whether weights are to be trained in this round; where one policy says no, only `finish` and `keep` come."""
        return True

    def fingerprint(self) -> str:
        """What decides what it does beside its settings; a training with another one is not resumed."""
        return ""

    def compose(self, data: TrainingData) -> TrainingData:
        """The data to train on, from the data so far."""
        return data

    def frozen(self, model: nn.Module) -> tuple[str, ...]:
        """Layers that do not learn: indices (`"4"`) or dotted names below one (`"22.cv2"`) of the model's layers."""
        del model
        return ()

    def build(self, model: nn.Module) -> None:
        """Change the model before the optimizer is made."""

    def warm_start(self, model: nn.Module, shown: Shown) -> None:
        """Change the weights that training starts from; the model is in evaluation mode."""
        del model, shown

    def phases(self, model: nn.Module) -> tuple[Phase, ...]:
        """Stretches of the training with settings of their own; empty where this policy has no say in it."""
        del model
        return ()

    def start(self, model: nn.Module, shown: Shown) -> None:
        """Learn what will be shown, before the optimizer is made; a resumed training says it again."""
        del model, shown

    def train_mode(self, model: nn.Module) -> None:
        """Called whenever the model was set to train mode."""

    def epoch_start(self, model: nn.Module, epoch: int) -> None:
        """Before the first batch of an epoch, counted from 0."""

    def epoch_end(self, model: nn.Module, epoch: int) -> None:
        """After the last batch of an epoch, counted from 0."""

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        """Further loss terms by name, each a scalar per batch, added to the detector's own loss.

        Args:
            batch: what ultralytics' loss is given; `steady` in it says whether these images look the same whenever they
                are shown, because nothing is augmented.
        """
        del batch, predictions
        return {}

    def class_weights(
        self, batch: Mapping[str, Any], logits: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor | None:
        """Weights of the class loss's elements, multiplied with those of other policies; None: all 1.

        Args:
            logits: (images, anchors, classes); a weight made of them is learned through, unless they are detached.
            targets: the same shape, 0..1: 0 for background.
        """
        del batch, logits, targets
        return None

    def finish(self, model: nn.Module, shown: Shown) -> None:
        """Change the trained weights before they are evaluated; the model is in evaluation mode."""
        del model, shown

    def keep(self, model: nn.Module, shown: Shown) -> Mapping[str, torch.Tensor]:
        """Tensors by name that the next round is to have, published beside the model; after `finish`."""
        del model, shown
        return {}

    def account(self) -> Account:
        """What the work since `build` took and brought; after `keep`."""
        return Account()

    def remember(self, keepsakes: Keepsakes, student: Detector) -> tuple[MemoryItem, ...] | None:
        """The memory of the next round, or None where this policy has no say in it."""
        del keepsakes, student
        return None

    def relabel(
        self, items: tuple[MemoryItem, ...], samples: Sequence[Sample], student: Detector
    ) -> tuple[MemoryItem, ...]:
        """The chosen memory with better labels; `samples` are the items' images on this machine, in the same order."""
        del samples, student
        return items

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values that a resumed round needs."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        del state
