"""What makes several ranks learn as one process would: shared normalisation, loss and gradients; used by `yolo.loop`.

ultralytics divides a loss by the targets of its own process and averages the gradients, so that a rank whose images
show little counts as much as one whose images show a lot, and normalises by the images of its own process. Here both
are those of the whole batch: N ranks with N-ths of it take the step that one process would take, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from ultralytics.utils.torch_utils import TORCH_2_13

from treering_trainer.engine.ranks import Rank


def share_statistics(model: nn.Module, *, gpu: bool) -> None:
    """Make every BatchNorm layer of `model` normalise by the images of all ranks; its weights stay the same objects."""
    if gpu:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return
    for layer in list(model.modules()):
        for name, child in layer.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(layer, name, _shared(child))


def share_targets(criterion: Any) -> None:
    """Make a criterion of ultralytics count each target once, whichever rank sees it."""
    for part in _parts(criterion):
        part.loss = _SharedPart(part)


def share_gradients(model: nn.Module) -> DistributedDataParallel:
    """The model, with gradients averaged over all ranks as soon as they are there."""
    device = next(model.parameters()).device
    # Looked for, though there are none: else torch sorts its buckets anew after the first batch, and a resumed training
    # would add up in another order than an unbroken one.
    options: dict[str, Any] = {"find_unused_parameters": True}
    options["forward_sync_buffers" if TORCH_2_13 else "broadcast_buffers"] = False  # they are equal anyway
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None, **options)


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the images of all ranks, on processors, where torch's own `SyncBatchNorm` does not work."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise; in evaluation, as any BatchNorm does."""
        if not self.training:
            return super().forward(input)
        count = _sum_over_ranks(input.new_tensor([input.numel() / input.shape[1]]))
        mean = _sum_over_ranks(input.sum((0, 2, 3))) / count
        centred = input - mean.view(1, -1, 1, 1)
        variance = _sum_over_ranks(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def _shared(layer: nn.BatchNorm2d) -> SharedBatchNorm:
    shared = SharedBatchNorm(layer.num_features, layer.eps, layer.momentum)
    shared.weight, shared.bias = layer.weight, layer.bias
    shared.running_mean, shared.running_var = layer.running_mean, layer.running_var
    shared.num_batches_tracked = layer.num_batches_tracked
    shared.__dict__.update({key: value for key, value in vars(layer).items() if not key.startswith("_")})
    return shared


class _SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over all ranks; its gradient is that of every rank's loss."""

    @staticmethod
    def forward(_context: Any, values: torch.Tensor) -> torch.Tensor:
        """Sum."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Sum."""
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = _SumOverRanks.apply(values)
    return result


def _parts(criterion: Any) -> Iterator[Any]:
    """The criterion itself, or both of a head with two branches."""
    branches = [vars(criterion)[name] for name in ("one2many", "one2one") if name in vars(criterion)]
    yield from branches or [criterion]


class _SharedPart:
    """Stands where a criterion's method `loss` stood; hears from its assigner how many targets there were."""

    def __init__(self, part: Any) -> None:
        self.loss = part.loss
        self.targets = torch.zeros(())
        part.assigner.register_forward_hook(self._hear)

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """This rank's part of the loss of the whole batch, times that batch's images, and of its items."""
        loss, items = self.loss(predictions, batch)
        own = torch.stack([self.targets, self.targets.new_tensor(float(predictions["boxes"].shape[0]))])
        every = own.clone()
        distributed.all_reduce(every)
        share = own[0].clamp(min=1) / every[0].clamp(min=1)  # the clamp is ultralytics'
        return loss * share * (every[1] / own[1]), {name: item * share for name, item in items.items()}

    def _hear(self, _assigner: object, _inputs: object, outputs: tuple[torch.Tensor, ...]) -> None:
        self.targets = outputs[2].detach().sum().float()


class SummedLoss:
    """The outermost criterion: sums are wanted, and gradients will be averaged."""

    def __init__(self, criterion: Any, rank: Rank) -> None:
        self.criterion = criterion
        self.rank = rank

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss times the number of ranks."""
        loss, items = self.criterion(predictions, batch)
        return loss * self.rank.count, items

    def update(self) -> None:
        """Once per epoch, for criteria that change with time."""
        if hasattr(self.criterion, "update"):
            self.criterion.update()
