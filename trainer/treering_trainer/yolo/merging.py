"""One network to start from, made of several: whose trunk, and whose rows of the head, by class name."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.parts import class_branches, class_names, last_convolution
from treering_trainer.yolo.types import DetectionModel

SAME_ORIGIN = 0.9
"""Mean cosine between two networks' convolutions from which on they were trained from the same weights; without a
common start it is near 0."""


def merged_start(
    trunk: DetectionModel, donors: Sequence[DetectionModel], names: Sequence[str], *, seed: int
) -> DetectionModel:
    """`trunk` with a head for `names`: its own rows, else those of the first donor that knows the class.

    Rows are copied where the layer before them is as wide; other classes start from small random weights.

    Args:
        seed: of random rows.
    """
    model = grow_head(trunk, names, seed=seed)
    own = set(class_names(trunk))
    for donor in donors:
        known = [name for name in class_names(donor) if name in names and name not in own]
        if copy_rows(model, donor, known):
            own.update(known)
    return model


def copy_rows(target: DetectionModel, source: DetectionModel, names: Sequence[str]) -> bool:
    """Copy the head's rows of `names`, which both know; False, and nothing done, where the layers have other widths."""
    pairs = [
        (last_convolution(to), last_convolution(of))
        for into, out_of in zip(class_branches(target), class_branches(source), strict=False)
        for to, of in zip(into, out_of, strict=False)
    ]
    branches, others = list(class_branches(target)), list(class_branches(source))
    alike = len(branches) == len(others) and all(len(to) == len(of) for to, of in zip(branches, others, strict=True))
    if not alike or any(to.in_channels != of.in_channels for to, of in pairs):
        return False
    there, here = class_names(target), class_names(source)
    with torch.no_grad():
        for to, of in pairs:
            for name in names:
                to.weight[there.index(name)] = of.weight[here.index(name)]
                if to.bias is not None and of.bias is not None:
                    to.bias[there.index(name)] = of.bias[here.index(name)]
    return True


def share_origin(one: DetectionModel, other: DetectionModel) -> bool:
    """Whether two networks have one architecture and were trained from the same weights."""
    first, second = _trunk(one), _trunk(other)
    if {name: value.shape for name, value in first.items()} != {name: value.shape for name, value in second.items()}:
        return False
    cosines = [
        nn.functional.cosine_similarity(value.flatten(), second[name].flatten(), dim=0)
        for name, value in first.items()
        if value.dim() == 4
    ]
    return bool(cosines) and float(torch.stack(cosines).detach().mean()) >= SAME_ORIGIN


def interpolated(models: Sequence[DetectionModel]) -> DetectionModel:
    """The mean of networks of one origin, with the head's rows of the first.

    BatchNorm's statistics are averaged, too: measured anew on pictures they would fit these alone, and donors whose
    classes are rare in them would lose (two donors on cards: mAP50 .752 with the mean, .680 measured). Averaged weights
    of fine-tunings of one checkpoint lie in one valley (model soups, Wortsman et al. 2022).
    """
    result = copy.deepcopy(models[0])
    trunks = [_trunk(model) for model in models]
    with torch.no_grad():
        for name, value in result.state_dict().items():
            if name in trunks[0] and value.is_floating_point():
                value.copy_(torch.stack([trunk[name] for trunk in trunks]).mean(dim=0))
    return result


def _trunk(model: DetectionModel) -> dict[str, Tensor]:
    """Every tensor but the rows of classes."""
    rows = {
        id(parameter)
        for branch in class_branches(model)
        for level in branch
        for parameter in last_convolution(level).parameters()
    }
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if id(value) not in rows}
