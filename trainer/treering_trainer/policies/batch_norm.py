"""batchNorm: what becomes of the means and variances that BatchNorm layers normalise with.

They describe the images a model was trained on. Held, they keep normalising old images as they were learned; measured
anew on new and remembered images, they fit both (AdaBN, Li et al. 2016; Precise BatchNorm, Wu & Johnson 2021). Alone,
without any training and any label, that is often all a changed camera or season takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from treering_api import BadSpecError, BatchNorm
from treering_trainer.policies.interface import Account, Policy, Shown, Situation, TrainingData


def normalising_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every BatchNorm layer by its name."""
    return {
        name: module for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }


class BatchNormPolicy(Policy):
    """Holds, leaves or renews the statistics in incremental rounds."""

    name = "batchNorm"
    works_after = True
    after = ("freeze", "unfreeze", "weightMerge")  # what these hold stays held, and what is merged is measured

    def __init__(self, settings: BatchNorm, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.passes = 0
        self._held: frozenset[str] | None = None

    @property
    def trains(self) -> bool:
        """Not where the statistics are to adapt alone."""
        return not (self.settings.alone and self.situation.incremental)

    def compose(self, data: TrainingData) -> TrainingData:
        """Refuse new classes where nothing is trained.

        Raises:
            BadSpecError: names the classes that nobody would learn.
        """
        new = data.names[len(self.situation.old_names) :]
        if new and not self.trains:
            raise BadSpecError(
                "spec.policies.batchNorm.alone",
                f"the delivery shows new classes ({', '.join(new[:8])}), and nothing is trained",
                "Set alone: false for this round, or deliver pictures of known classes only.",
            )
        return data

    def train_mode(self, model: nn.Module) -> None:
        """Hold every layer's statistics, or note whose others hold."""
        if not self.situation.incremental:
            return
        layers = normalising_layers(model)
        if self.settings.statistics == "frozen":
            for layer in layers.values():
                layer.eval()
        held = frozenset(name for name, layer in layers.items() if not layer.training)
        self._held = held if self._held is None else self._held & held

    def finish(self, model: nn.Module, shown: Shown) -> None:
        """Measure the statistics anew, but for layers that were held through all of the training."""
        if not self.situation.incremental or self.settings.statistics != "recalibrated":
            return
        assert self.situation.toolbox is not None
        samples = shown.some(self.settings.images, self.situation.seed)
        self.situation.toolbox.measure_statistics(model, samples, held=self._held or ())
        self.passes = len(samples)

    def account(self) -> Account:
        """Images that statistics were measured on."""
        remark = f"batchNorm: nothing was trained; the statistics were measured on {self.passes} images."
        return Account(forward_passes=self.passes, remarks=() if self.trains else (remark,))

    def state_dict(self) -> dict[str, Any]:
        """Whose statistics were held so far."""
        return {"held": None if self._held is None else sorted(self._held)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back; a layer that is held from now on only was not held through all of it."""
        held = state.get("held")
        self._held = None if held is None else frozenset(held)
