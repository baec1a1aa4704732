"""linearProbe: new classes start from the best linear rows that the present features allow, not from noise.

A new row of the head starts from small random weights; with Adam every weight moves by about the learning rate per
step, whatever its gradient, so a row needs hundreds of steps before it says anything, and meanwhile its large errors
bend the features that old classes rest on. Linear probing first, then fine-tuning (LP-FT, Kumar et al., ICLR 2022)
mends both: each image is looked at once (a forward pass, a third of a training pass), the detector's own assigner says
which anchors should show which class, and logistic regression gives the rows. Nothing but the new rows changes.
Remembered images say what a new class is not: their objects are of others, however alike they look (cards, strict
split: rows that never saw a king called most kings jacks). Of what else they show, their labels say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from treering_api import LinearProbe
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Account, Policy, Shown, Situation, draw

BATCH = 16
"""Images looked at together."""
BACKGROUND = 64
"""Anchors without any object that are kept of every new image and level; they count for all that are left out."""
RATE = 0.05
DECAY = 1e-2
"""Of the standardised weights' mean square: keeps rows small where features do not tell classes apart."""


@dataclass(frozen=True)
class Seen:
    """What one level's last layer got, at the anchors that were kept.

    Args:
        features: (anchors, channels).
        targets: (anchors, new classes), 0..1.
        weights: (anchors,), how many anchors each stands for.
    """

    features: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def fit_rows(seen: Seen, bias: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (new classes, channels) and biases (new classes,) of the logistic regression, by Adam on all anchors.

    The loss is the detector's: binary cross entropy summed over anchors and classes, over the sum of targets.

    Args:
        bias: (new classes,), to start from; weights start at 0.
    """
    mean, spread = seen.features.mean(0), seen.features.std(0, correction=0) + 1e-6
    inputs = (seen.features - mean) / spread
    weight = torch.zeros(len(bias), inputs.shape[1], device=inputs.device, requires_grad=True)
    offset = bias.detach().clone().requires_grad_()
    total = seen.targets.sum().clamp(min=1.0)
    optimizer = torch.optim.Adam([weight, offset], lr=RATE)
    for _ in range(steps):
        logits = inputs @ weight.T + offset
        losses = nn.functional.binary_cross_entropy_with_logits(logits, seen.targets, reduction="none").sum(1)
        loss = (losses * seen.weights).sum() / total + DECAY * weight.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    rows = (weight / spread).detach()
    return rows, (offset - rows @ mean).detach()


class LinearProbePolicy(Policy):
    """Fits the rows of new classes before the first step."""

    name = "linearProbe"

    def __init__(self, settings: LinearProbe, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.passes = 0

    def fresh(self, fitted: Sequence[str]) -> tuple[int, ...]:
        """Places of the classes that are fitted, in head order: those whose rows do not fit the start weights."""
        acts = self.situation.incremental or self.settings.rounds == "all"
        return tuple(index for index, name in enumerate(self.situation.names) if acts and name not in fitted)

    def warm_start(self, model: nn.Module, shown: Shown) -> None:
        """Look at new and as many remembered images, and fit; a class that no new image shows keeps its row."""
        samples = draw(shown.new, self.settings.images, self.situation.seed)
        fresh = [
            index
            for index in self.fresh(shown.fitted)
            if any((sample.boxes[:, 0] == index).any() for sample in samples)
        ]
        if not fresh:
            return
        memory = draw(shown.memory, len(samples), self.situation.seed)
        self.passes += len(samples) + len(memory)
        generator, levels = torch.Generator().manual_seed(self.situation.seed), dict[nn.Conv2d, list[Seen]]()
        with torch.no_grad():
            for images, background in ((samples, BACKGROUND), (memory, 0)):
                for layer, features, targets in self._look(model, images):
                    seen = keep_anchors(features, targets, fresh, generator, background)
                    levels.setdefault(layer, []).append(seen)
        for layer, parts in levels.items():
            self._fit(layer, _joined(parts), fresh)

    def account(self) -> Account:
        """Each image was looked at once."""
        return Account(forward_passes=self.passes)

    def state_dict(self) -> dict[str, Any]:
        """What it cost, for a training that goes on."""
        return {"passes": self.passes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.passes = int(state.get("passes", 0))

    def _fit(self, layer: nn.Conv2d, seen: Seen, fresh: list[int]) -> None:
        shows = seen.targets.sum(0) > 0
        if not bool(shows.any()) or layer.bias is None:
            return  # objects of this size came with none of them
        places = torch.tensor(fresh, device=seen.targets.device)[shows]
        wanted = Seen(seen.features, seen.targets[:, shows], seen.weights)
        weight, bias = fit_rows(wanted, layer.bias.detach()[places], self.settings.steps)
        with torch.no_grad():
            layer.weight[places] = weight[:, :, None, None].to(layer.weight.dtype)
            layer.bias[places] = bias.to(layer.bias.dtype)

    def _look(
        self, model: nn.Module, samples: Sequence[Sample]
    ) -> Iterator[tuple[nn.Conv2d, torch.Tensor, torch.Tensor]]:
        toolbox = self.situation.toolbox
        assert toolbox is not None, "a round that trains has its toolbox"
        for images, batch in toolbox.batches(samples, self.situation.names, batch=BATCH):
            yield from toolbox.class_inputs(model, images, batch)


def keep_anchors(
    features: torch.Tensor,
    targets: torch.Tensor,
    fresh: Sequence[int],
    generator: torch.Generator,
    background: int = BACKGROUND,
) -> Seen:
    """All anchors that show an object, and some of the others, drawn at random.

    Args:
        features: (images, anchors, channels).
        targets: (images, anchors, classes), all of them.
        fresh: classes whose targets are kept.
        background: most anchors without any object that are kept of an image.
    """
    flat, wanted = features.flatten(0, 1), targets.flatten(0, 1)
    shows = wanted.amax(1) > 0
    empty = (~shows).nonzero().view(-1)
    count = min(len(empty), background * len(features))
    drawn = empty[torch.randperm(len(empty), generator=generator)[:count].to(empty.device)]
    chosen = torch.cat([shows.nonzero().view(-1), drawn])
    weights = torch.ones(len(chosen), device=flat.device)
    weights[len(chosen) - count :] = len(empty) / max(count, 1)
    return Seen(flat[chosen].float(), wanted[chosen][:, list(fresh)].float(), weights)


def _joined(parts: Sequence[Seen]) -> Seen:
    return Seen(
        torch.cat([part.features for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.weights for part in parts]),
    )
