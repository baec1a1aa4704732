"""unfreeze: the network learns from the top down, in stages.

A head that has just got rows for new classes sends large and meaningless gradients into layers that were good. So it
learns first, on features that stand still, and the layers below join when it has found its place (gradual unfreezing:
Howard and Ruder 2018, "Universal Language Model Fine-tuning"). What is frozen needs no gradients and no memory for
them, so a frozen stage may take larger batches, at a learning rate that is larger by as much (Goyal et al. 2017), and
bear more weight decay: there are fewer weights that could hold it all by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

from torch import nn

from treering_api import BadSpecError, Unfreeze, UnfreezeStage
from treering_trainer.policies.interface import Phase, Policy, Situation


def waiting(learns: Literal["head", "neck"], share: float) -> UnfreezeStage:
    """A stage of the ready-made schedules in which a part is frozen; afterwards the round's own settings hold."""
    return UnfreezeStage(learns=learns, share=share, learning_rate_factor=2.0, batch_factor=2, weight_decay_factor=2.0)


SCHEDULES: Mapping[str, tuple[UnfreezeStage, ...]] = {
    "topDown": (waiting("head", 0.25), waiting("neck", 0.25), UnfreezeStage(learns="all", share=0.5)),
    "twoStage": (waiting("neck", 0.5), UnfreezeStage(learns="all", share=0.5)),
}


def phases_of(stages: Sequence[UnfreezeStage], parts: Mapping[str, tuple[str, ...]]) -> tuple[Phase, ...]:
    """The phases of a training that goes through `stages`.

    Args:
        parts: layers of `backbone`, `neck` and `head`.

    Raises:
        BadSpecError: a stage wants more layers of the backbone than there are.
    """
    whole = sum(stage.share for stage in stages)
    ends = [min(end / whole, 1.0) for end in accumulate(stage.share for stage in stages)]
    return tuple(
        Phase(
            until=1.0 if place == len(stages) - 1 else end,
            frozen=_frozen(stage, parts, place),
            learning_rate_factor=stage.learning_rate_factor,
            batch_factor=stage.batch_factor,
            weight_decay_factor=stage.weight_decay_factor,
        )
        for place, (stage, end) in enumerate(zip(stages, ends, strict=True))
    )


class UnfreezePolicy(Policy):
    """Lets parts of the network wait; what `freeze` holds stays frozen in every stage."""

    name = "unfreeze"

    def __init__(self, settings: Unfreeze, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings

    def phases(self, model: nn.Module) -> tuple[Phase, ...]:
        """The stages of `spec.policies.unfreeze`, in incremental rounds unless `rounds` says all."""
        if not (self.situation.incremental or self.settings.rounds == "all"):
            return ()
        assert self.situation.toolbox is not None
        stages = SCHEDULES.get(self.settings.schedule, self.settings.stages)
        return phases_of(stages, self.situation.toolbox.parts(model))


def _frozen(stage: UnfreezeStage, parts: Mapping[str, tuple[str, ...]], place: int) -> tuple[str, ...]:
    backbone, neck = parts["backbone"], parts["neck"]
    if stage.learns == "head":
        return (*backbone, *neck)
    if stage.learns == "neck":
        return backbone
    if stage.learns == "all":
        return ()
    if stage.backbone_layers > len(backbone):
        raise BadSpecError(
            f"spec.policies.unfreeze.stages[{place}].backboneLayers",
            f"{stage.backbone_layers} layers are to learn and the model's backbone has {len(backbone)}",
            f"Give at most {len(backbone)}, or learns: all.",
        )
    return backbone[: len(backbone) - stage.backbone_layers]
