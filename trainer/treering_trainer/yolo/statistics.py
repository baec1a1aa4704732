"""BatchNorm's means and variances measured anew on given images; called through the toolbox.

After "Precise BatchNorm" (Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021): instead of a moving average over
weights that still changed, the plain mean of the batches' statistics under the final weights. Each layer sees what the
layers before it give in training, normalised by the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import nn


@torch.no_grad()
def measure_statistics(model: nn.Module, batches: Iterable[torch.Tensor], held: Collection[str] = ()) -> None:
    """Replace the running mean and variance of every BatchNorm layer; modes and weights end as they were.

    Args:
        batches: (n, 3, height, width) on the model's device; each counts by its images. Without any, nothing changes.
        held: names of layers that keep theirs, and normalise by them meanwhile.
    """
    layers = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and name not in held
    ]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    seen = 0
    try:
        for layer in layers:
            layer.train()
        for images in batches:
            seen += len(images)
            for layer in layers:
                layer.momentum = len(images) / seen  # 1 in the first batch: what was there before is forgotten
            model(images)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes:
            module.training = training
