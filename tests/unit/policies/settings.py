"""One row per policy: what it takes to see it act. The tests over all rows are in `test_rows.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treering_api import ClassBalance, Freeze, Policies, PseudoLabels, Replay, Unfreeze
from treering_trainer.policies.interface import Phase, TrainingData


@dataclass(frozen=True)
class Row:
    """One policy, in a block of the spec of its own.

    Args:
        block: the policy's settings, so that it acts in a small round.
        acts: whether the training data, the frozen layers, or the phases show that it did.
    """

    block: Freeze | Unfreeze | Replay | PseudoLabels | ClassBalance
    acts: Callable[[TrainingData, tuple[str, ...], tuple[Phase, ...]], bool]

    def policies(self, field: str) -> Policies:
        """A spec's policies with this one alone."""
        return Policies.model_validate({"preset": "none", field: self.block})


ROWS: dict[str, Row] = {
    "freeze": Row(Freeze(layers=3), lambda data, frozen, phases: frozen == ("0", "1", "2")),
    "unfreeze": Row(Unfreeze(), lambda data, frozen, phases: len(phases) == 2),
    "replay": Row(
        Replay(ratio=0.5, batch_share=0.25), lambda data, frozen, phases: bool(data.memory) and data.batch_share == 0.25
    ),
    "pseudo_labels": Row(
        PseudoLabels(confidence=0.3, mirror=False), lambda data, frozen, phases: bool(data.pseudo_labels)
    ),
    "class_balance": Row(
        ClassBalance(threshold=1.0, loss_weights="inverse", loss="varifocal"),
        lambda data, frozen, phases: max(data.repeats) > 1,
    ),
}
"""By field of `spec.policies`."""
