"""classBalance: rare classes are shown more often, or weigh more in the loss.

Two ways that can be used apart. Sampling changes what is seen: repeat factors (Gupta et al. 2019, LVIS) show images of
rare classes more often, weighted sampling shows every image as often as its classes are rare. The loss changes what an
image teaches: weights per class, and focal or varifocal loss, in which what is easy counts less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from treering_api import ClassBalance
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Policy, Shown, Situation, TrainingData

Numbers = NDArray[np.float64]


def repeat_factors(presence: Numbers, rates: Numbers, *, threshold: float, most: float) -> Numbers:
    """How often each image is shown, from 1 to `most`: LVIS' r(c) = max(1, sqrt(t / f(c))), an image's rarest class.

    Args:
        presence: (images, classes) whether a class is seen in an image, 0 or 1.
        rates: (images,) how often each would be shown anyway.
        threshold: t, the share of images below which a class is rare, 0..1.
    """
    frequency = _frequency(presence, rates)
    factors = np.sqrt(threshold / np.where(frequency > 0, frequency, 1.0))
    return np.asarray(np.clip((presence * factors).max(axis=1, initial=1.0), 1.0, most))


def rarity_weights(presence: Numbers, rates: Numbers, *, most: float) -> Numbers:
    """How often each image is shown, at most `most`, in proportion to 1 / f(c) of its rarest class.

    Images of the commonest class and images without a box count least. The mean over all showings stays 1: an epoch is
    as long as it was.

    Args:
        presence: (images, classes) whether a class is seen in an image, 0 or 1.
        rates: (images,) how often each would be shown anyway.
    """
    frequency = _frequency(presence, rates)
    factors = 1.0 / np.where(frequency > 0, frequency, 1.0)
    least = 1.0 / frequency.max(initial=1e-12)
    weights = np.maximum((presence * factors).max(axis=1, initial=0.0), least)
    capped = np.zeros(len(weights), dtype=bool)
    while True:  # what the cap takes away is shared out among the others
        free = rates.sum() - most * rates[capped].sum()
        shown = np.where(capped, most, weights * free / max((weights * rates)[~capped].sum(), 1e-12))
        if not ((shown > most) & ~capped).any():
            return shown
        capped |= shown > most


def inverse_root_weights(boxes: Numbers) -> Numbers:
    """1 / sqrt(n) of each class' boxes, scaled to mean 1; classes without boxes weigh 1."""
    return _mean_one(1.0 / np.sqrt(np.where(boxes > 0, boxes, 1.0)), boxes > 0)


def effective_number_weights(boxes: Numbers, beta: float) -> Numbers:
    """(1 - beta) / (1 - beta^n) of each class' boxes (Cui et al. 2019), scaled to mean 1; without boxes 1."""
    return _mean_one((1 - beta) / (1 - np.power(beta, np.where(boxes > 0, boxes, 1.0))), boxes > 0)


def focal_weights(logits: torch.Tensor, targets: torch.Tensor, *, gamma: float, alpha: float) -> torch.Tensor:
    """a (1 - p_t)^gamma (Lin et al. 2017), with targets between 0 and 1 in between.

    Args:
        alpha: weight of positives, `1 - alpha` of negatives.
    """
    chance = logits.sigmoid()
    right = targets * chance + (1 - targets) * (1 - chance)
    return (targets * alpha + (1 - targets) * (1 - alpha)) * (1 - right).clamp(min=0) ** gamma


def varifocal_weights(logits: torch.Tensor, targets: torch.Tensor, *, gamma: float, alpha: float) -> torch.Tensor:
    """The target itself where it is positive, alpha p^gamma elsewhere (Zhang et al. 2021, VarifocalNet)."""
    return torch.where(targets > 0, targets, alpha * logits.sigmoid() ** gamma)


class ClassBalancePolicy(Policy):
    """Balances classes by sampling, by class weights, by the kind of loss."""

    name = "classBalance"
    after = ("replay", "pseudoLabels")  # what is rare shows when memory and found boxes are there
    weighs_classes = True

    def __init__(self, settings: ClassBalance, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.weights: torch.Tensor | None = None
        """(classes,) of the class loss; None: all 1."""

    def compose(self, data: TrainingData) -> TrainingData:
        """Set how often each image is shown."""
        if self.settings.sampling == "none":
            return data
        presence = _presence((*data.new, *data.memory), len(data.names))
        rates = _rates(data)
        if self.settings.sampling == "repeatFactor":
            threshold, most = self.settings.threshold, self.settings.max_repeat
            repeats = repeat_factors(presence, rates, threshold=threshold, most=most)
        else:
            repeats = np.ones(len(presence))
            for part in _parts(data):
                repeats[part] = rarity_weights(presence[part], rates[part], most=self.settings.max_repeat)
        before = np.asarray(data.repeats) if data.repeats else np.ones(len(repeats))
        return replace(data, repeats=tuple(float(value) for value in before * repeats))

    def start(self, model: nn.Module, shown: Shown) -> None:
        """Weigh classes by the boxes that an epoch shows, repeats counted."""
        del model
        boxes = _boxes((*shown.new, *shown.memory), shown.showings, len(self.situation.names))
        if self.settings.loss_weights == "inverse":
            self.weights = torch.from_numpy(inverse_root_weights(boxes)).float()
        elif self.settings.loss_weights == "effective":
            self.weights = torch.from_numpy(effective_number_weights(boxes, self.settings.beta)).float()

    def class_weights(
        self, batch: Mapping[str, Any], logits: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor | None:
        """Class weights times those of the kind of loss."""
        del batch
        weights = self._loss_weights(logits, targets)
        if self.weights is None:
            return weights
        classes = self.weights.to(logits.device)
        return classes.expand_as(logits) if weights is None else weights * classes

    def _loss_weights(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
        gamma, alpha = self.settings.gamma, self.settings.alpha
        if self.settings.loss == "focal":
            return focal_weights(logits, targets, gamma=gamma, alpha=alpha)
        if self.settings.loss == "varifocal":
            return varifocal_weights(logits, targets, gamma=gamma, alpha=alpha)
        return None


def _presence(samples: Sequence[Sample], classes: int) -> Numbers:
    presence = np.zeros((len(samples), classes))
    for row, sample in enumerate(samples):
        presence[row, sample.boxes[:, 0].astype(int)] = 1.0
    return presence


def _boxes(samples: Sequence[Sample], showings: Sequence[float], classes: int) -> Numbers:
    counts = np.zeros(classes)
    for sample, times in zip(samples, showings, strict=True):
        np.add.at(counts, sample.boxes[:, 0].astype(int), times)
    return counts


def _rates(data: TrainingData) -> Numbers:
    """How often each image is shown for one showing of a new one: memory by its share of the batches, if it has one."""
    rates = np.ones(len(data.new) + len(data.memory))
    if data.batch_share is not None and data.new and data.memory:
        rates[len(data.new) :] = data.batch_share / (1 - data.batch_share) * len(data.new) / len(data.memory)
    return rates


def _parts(data: TrainingData) -> tuple[slice, ...]:
    """Images that are drawn together: all of them, or memory apart from the new ones where it has its own share."""
    if data.batch_share is None or not data.new or not data.memory:
        return (slice(None),)
    return (slice(0, len(data.new)), slice(len(data.new), None))


def _frequency(presence: Numbers, rates: Numbers) -> Numbers:
    """Share of showings with each class."""
    share: Numbers = (presence * rates[:, None]).sum(axis=0) / max(float(rates.sum()), 1e-12)
    return share


def _mean_one(weights: Numbers, present: NDArray[np.bool_]) -> Numbers:
    if not present.any():
        return np.ones_like(weights)
    return np.where(present, weights / weights[present].mean(), 1.0)
