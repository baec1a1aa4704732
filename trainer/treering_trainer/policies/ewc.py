"""ewc: weights that mattered for what was learned are held near where they were.

Elastic weight consolidation (Kirkpatrick et al. 2017) in the online form (Schwarz et al. 2018: F = decay · F_before +
F_round), with the two changes that detection needs (IncDet, Liu et al. 2020): the loss whose gradients count sees
pseudo-boxes, so that an old object in a new image is no background, and a weight far from home is pulled by a constant
force (Huber), where a quadratic one explodes.

Fisher information, of every weight w, the model in evaluation mode:

    F(w) = mean over images of (d loss(image) / dw)²        the whole detection loss of one image

Penalty, added to the loss per image:

    strength · g · Σ_w I(w) · u(w) · huber(drift(w) / u(w))
    I(w) = F(w) / mean F, at most 100    g = sqrt(mean F): what the loss pulls at a typical weight with
    u(w) = root mean square of the published tensor that w is in

so that a weight of mean importance that has drifted by a share s of its tensor's typical size is pulled home with
s · strength times the force of one image's loss at a typical weight, whatever the model's size and the loss's scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from treering_api import Ewc
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Account, Policy, Shown, Situation, Toolbox, draw

MOST_IMPORTANT = 100.0
"""A weight counts at most this many times the mean: the Fisher information of a few biases is thousands of times that,
and their penalty would drown the gradients of all others where the gradient's norm is clipped."""
LEAST_UNIT = 1e-3
"""Of tensors that are (nearly) zero, such as fresh biases."""

Tensors = Mapping[str, torch.Tensor]


def fisher(
    model: nn.Module, samples: Sequence[Sample], names: Sequence[str], toolbox: Toolbox
) -> dict[str, torch.Tensor]:
    """The Fisher information by parameter name, on the processor; without samples, of nothing.

    Args:
        model: in evaluation mode; left as it is.
        samples: class indices into `names`; one backward pass each.
    """
    squares: dict[str, torch.Tensor] = {}
    with _differentiable(model) as parameters:
        for images, batch in toolbox.batches(samples, names, batch=1):
            loss = toolbox.loss(model, images, batch)
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    squares[name] = squares.get(name, torch.zeros_like(gradient)) + gradient.square() / len(samples)
    return {name: square.float().cpu() for name, square in squares.items()}


def accumulate(before: Tensors, fresh: Tensors, decay: float) -> dict[str, torch.Tensor]:
    """`decay` times the importance so far, plus the last round's; rows of new classes had none before."""
    result = {name: tensor.clone() for name, tensor in fresh.items()}
    for name, old in before.items():
        if name in result:
            result[name][: len(old)] += decay * old
    return result


@dataclass(frozen=True)
class Anchor:
    """The published weights, flat, and how firmly the present ones are tied to them; rows of new classes left out.

    Args:
        weights: the model's own parameters, with the rows that count of each.
        home: (n,) published weights.
        unit: (n,) u(w), above 0.
        pull: (n,) strength · g · I(w), at least 0.
        huber: drift in units from which the penalty grows linearly.
    """

    weights: tuple[tuple[nn.Parameter, int], ...]
    home: torch.Tensor
    unit: torch.Tensor
    pull: torch.Tensor
    huber: float

    def penalty(self) -> torch.Tensor:
        """A scalar with gradients pull(w) · clamp(drift / unit, -huber, huber)."""
        present = torch.cat([weight[:rows].reshape(-1) for weight, rows in self.weights])
        drift = (present.float() - self.home) / self.unit
        loss = nn.functional.huber_loss(drift, torch.zeros_like(drift), reduction="none", delta=self.huber)
        return (self.pull * self.unit * loss).sum()


def anchor(model: nn.Module, published: nn.Module, importance: Tensors, settings: Ewc) -> Anchor | None:
    """Tie `model` to `published`; None where nothing was of any importance."""
    homes = dict(published.named_parameters())
    tied = [
        (weight, homes[name].detach(), importance[name])
        for name, weight in model.named_parameters()
        if name in homes and name in importance and weight.dim() and ".dfl." not in name
    ]
    if not tied:
        return None
    rows = [min(len(home), len(weight), len(mattered)) for weight, home, mattered in tied]
    device = tied[0][0].device
    home, unit, mattered = (
        torch.cat([part[:count].reshape(-1) for part, count in zip(parts, rows, strict=True)]).float().to(device)
        for parts in (
            [home for _, home, _ in tied],
            [torch.full_like(home, _unit(home)) for _, home, _ in tied],
            [mattered for _, _, mattered in tied],
        )
    )
    mean = mattered.mean()
    if not mean > 0:
        return None
    pull = settings.strength * mean.sqrt() * (mattered / mean).clamp(max=MOST_IMPORTANT)
    weights = tuple((weight, count) for (weight, _, _), count in zip(tied, rows, strict=True))
    return Anchor(weights, home, unit, pull, settings.huber)


class EwcPolicy(Policy):
    """Measures importance at the end of each round and holds by it in the next."""

    name = "ewc"
    works_after = True
    adds_loss = True

    def __init__(self, settings: Ewc, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.passes = 0
        self._importance: Tensors = situation.kept.get(self.name, {}) if situation.incremental else {}
        self._measured: Tensors = {}
        self._anchor: Anchor | None = None

    def epoch_start(self, model: nn.Module, epoch: int) -> None:
        """Tie the model to the published one, once."""
        del epoch
        teacher = self.situation.teacher
        if not self.situation.incremental or teacher is None or self._anchor is not None:
            return
        if not self._importance:
            self._importance = self._measured = self._late_importance(teacher.network)
        self._anchor = anchor(model, teacher.network, self._importance, self.settings)

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        """The penalty, once per batch."""
        del batch, predictions
        return {} if self._anchor is None else {"ewc": self._anchor.penalty()}

    def keep(self, model: nn.Module, shown: Shown) -> Mapping[str, torch.Tensor]:
        """The importance so far; where nothing was trained, that of before."""
        if not shown.trained:
            return self._importance
        assert self.situation.toolbox is not None
        samples = shown.some(self.settings.images, self.situation.seed)
        fresh = fisher(model, samples, self.situation.names, self.situation.toolbox)
        self.passes += len(samples)
        return accumulate(self._importance, fresh, self.settings.decay)

    def account(self) -> Account:
        """Images that gradients were squared of."""
        return Account(image_passes=self.passes)

    def state_dict(self) -> dict[str, Any]:
        """What was measured in this round, so that a resumed one is tied by the same."""
        return {"measured": dict(self._measured), "passes": self.passes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self.passes = state.get("passes", 0)
        self._measured = state.get("measured", {})
        self._importance = self._measured or self._importance

    def _late_importance(self, published: nn.Module) -> Tensors:
        """The policy is new in the line: no round kept anything, so the published model is measured on the memory."""
        assert self.situation.toolbox is not None
        samples = draw(self.situation.memory_samples, self.settings.images, self.situation.seed)
        self.passes += len(samples)
        return fisher(published, samples, self.situation.names, self.situation.toolbox)


def _unit(home: torch.Tensor) -> float:
    return max(float(home.float().square().mean().sqrt()), LEAST_UNIT)


@contextmanager
def _differentiable(model: nn.Module) -> Iterator[dict[str, nn.Parameter]]:
    """All parameters by name, with gradients for as long; averages and published models come without."""
    wanted = {name: parameter for name, parameter in model.named_parameters() if ".dfl." not in name}
    before = [parameter.requires_grad for parameter in wanted.values()]
    try:
        for parameter in wanted.values():
            parameter.requires_grad = True
        with torch.enable_grad():
            yield wanted
    finally:
        for parameter, required in zip(wanted.values(), before, strict=True):
            parameter.requires_grad = required
