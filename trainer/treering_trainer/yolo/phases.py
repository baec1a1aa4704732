"""Brings a training in ultralytics' loop into a phase: what learns, how fast and with how much decay; for `yolo.loop`.

The optimizer holds every parameter from the start. One that does not learn has no gradient, and torch passes it over:
what the optimizer knows of the others runs on, and of this one begins when it is thawed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from treering_api import BadSpecError
from treering_trainer.policies.freeze import hold_statistics, layers_of
from treering_trainer.policies.interface import Phase


@dataclass(frozen=True)
class WarmUp:
    """How a training begins.

    Args:
        epochs: until learning rate and momentum are at their targets; may be a fraction.
        bias_rate: where the learning rate of biases begins; all others begin at 0.
        start, end: momentum, where the optimizer has one.
    """

    epochs: float
    bias_rate: float
    start: float
    end: float


class PhaseKeeper:
    """Keeps a training in its phase.

    Args:
        model: with everything frozen that stays frozen in all phases, before any phase began.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._model = model
        self._optimizer = optimizer
        self._learning = learning_parameters(model)
        self._decays = [float(group["weight_decay"]) for group in optimizer.param_groups]

    def enter(self, phase: Phase) -> None:
        """Thaw and freeze parameters, and set the weight decay."""
        prefixes = _prefixes(phase)
        for name, parameter in self._learning.items():
            parameter.requires_grad = not name.startswith(prefixes)
        for group, decay in zip(self._optimizer.param_groups, self._decays, strict=True):
            group["weight_decay"] = decay * phase.weight_decay_factor

    def hold(self, phase: Phase) -> None:
        """Hold the BatchNorm statistics of what is frozen; after the model was set to train mode."""
        for name in phase.frozen:
            hold_statistics(layers_of(self._model).get_submodule(name).modules(), held=True)

    def set_pace(self, phase: Phase, place: float, scheduled: Callable[[int], float], warm_up: WarmUp) -> None:
        """Set learning rates for the step at hand.

        ultralytics counts its warm-up in batches, as if every epoch had as many; here it is a place in time.

        Args:
            place: epochs done, with the fraction of the present one.
            scheduled: share of the peak learning rate in an epoch, before `phase`'s factor.
        """
        share = min(place / warm_up.epochs, 1.0) if warm_up.epochs else 1.0
        for group in self._optimizer.param_groups:
            begin = warm_up.bias_rate if group.get("param_group") == "bias" else 0.0
            target = group["initial_lr"] * scheduled(int(place))
            group["lr"] = (begin + (target - begin) * share) * phase.learning_rate_factor
            if "momentum" in group:
                group["momentum"] = warm_up.start + (warm_up.end - warm_up.start) * share


def learning_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What may learn, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def refuse_idle(model: nn.Module, phases: Sequence[Phase], *, field: str) -> None:
    """Refuse a phase in which nothing is left to learn.

    Args:
        model: with everything frozen that stays frozen in all phases.

    Raises:
        BadSpecError: names the phase.
    """
    names = learning_parameters(model)
    for place, phase in enumerate(phases):
        if all(name.startswith(_prefixes(phase)) for name in names):
            raise BadSpecError(
                field,
                f"in stage {place + 1} nothing would learn: what it lets learn is frozen for the whole round",
                "Leave that stage out, or freeze less under spec.policies.freeze.",
            )


def _prefixes(phase: Phase) -> tuple[str, ...]:
    return tuple(f"model.{name}." for name in phase.frozen)
