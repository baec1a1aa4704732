"""One row per policy: what it takes to see it act. The tests over all rows are in `test_rows.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treering_api import (
    BatchNorm,
    ClassBalance,
    Distill,
    Ewc,
    Freeze,
    Inversion,
    LinearProbe,
    Policies,
    PseudoLabels,
    Replay,
    Unfreeze,
    WeightMerge,
)
from treering_trainer.policies.interface import Phase, TrainingData
from treering_trainer.yolo.training import Trained


@dataclass(frozen=True)
class Row:
    """One policy, in a block of the spec of its own.

    Args:
        block: the policy's settings, so that it acts in a small round.
        acts: whether the training data, the frozen layers, or the phases show that it did; None where they don't.
        leaves: whether what the training gave shows that it did; None where it doesn't.
    """

    block: (
        BatchNorm
        | ClassBalance
        | Distill
        | Ewc
        | Freeze
        | Inversion
        | LinearProbe
        | Replay
        | PseudoLabels
        | Unfreeze
        | WeightMerge
    )
    acts: Callable[[TrainingData, tuple[str, ...], tuple[Phase, ...]], bool] | None = None
    leaves: Callable[[Trained], bool] | None = None

    def policies(self, field: str) -> Policies:
        """A spec's policies with this one alone."""
        return Policies.model_validate({"preset": "none", field: self.block})


ROWS: dict[str, Row] = {
    "freeze": Row(Freeze(layers=3), lambda data, frozen, phases: frozen == ("0", "1", "2")),
    "unfreeze": Row(Unfreeze(), lambda data, frozen, phases: len(phases) == 2),
    "batch_norm": Row(BatchNorm(images=4), leaves=lambda trained: trained.forward_passes >= 4),
    "linear_probe": Row(LinearProbe(steps=20), leaves=lambda trained: trained.forward_passes >= 4),
    "replay": Row(
        Replay(ratio=0.5, batch_share=0.25), lambda data, frozen, phases: bool(data.memory) and data.batch_share == 0.25
    ),
    "pseudo_labels": Row(
        PseudoLabels(confidence=0.3, mirror=False), lambda data, frozen, phases: bool(data.pseudo_labels)
    ),
    "inversion": Row(
        Inversion(images=2, steps=2, classes="rare"),
        lambda data, frozen, phases: data.drawn_images == 2 and data.image_passes > 0,
    ),
    "distill": Row(
        Distill(background="teacher", feature_weight=0.1),
        lambda data, frozen, phases: all({0.0, 1.0} <= set(sample.ignored[:, 0]) for sample in data.new),
    ),
    "ewc": Row(
        Ewc(strength=100, images=2),
        leaves=lambda trained: trained.epochs[-1].losses["ewc"] > 0 and "model.0.conv.weight" in trained.kept["ewc"],
    ),
    "class_balance": Row(
        ClassBalance(threshold=1.0, loss_weights="inverse", loss="varifocal"),
        lambda data, frozen, phases: max(data.repeats) > 1,
    ),
    "weight_merge": Row(
        WeightMerge(by="part", points=2, images=2),
        leaves=lambda trained: {"weightMerge, backbone", "weightMerge, score"} <= trained.chosen.keys(),
    ),
}
"""By field of `spec.policies`."""
