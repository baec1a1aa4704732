"""What a detection model of ultralytics is made of, with types: to torch, every attribute may be a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from torch import nn
from ultralytics.nn.modules.head import Detect, v10Detect
from ultralytics.nn.tasks import DetectionModel

from treering_trainer.policies.freeze import layers_of

CLASS_BRANCHES = ("cv3", "one2one_cv3")


def head_of(model: nn.Module) -> Detect:
    """The model's detection head."""
    head = layers_of(model)[-1]
    assert isinstance(head, Detect)
    return head


def is_detection_head(layer: nn.Module) -> bool:
    """Whether a layer detects boxes and nothing else."""
    return type(layer) in (Detect, v10Detect)


def class_branches(model: nn.Module) -> Iterator[nn.ModuleList]:
    """The head's class branches, one or two, each a list of layers per detection level."""
    for name in CLASS_BRANCHES:
        branch = getattr(head_of(model), name, None)
        if branch is not None:
            assert isinstance(branch, nn.ModuleList)
            yield branch


def hidden_width(model: nn.Module) -> int:
    """Channels of the class branches' hidden layers."""
    return last_convolution(next(class_branches(model))[0]).in_channels


def last_convolution(level: nn.Module) -> nn.Conv2d:
    """The convolution of one detection level that has one output per class."""
    assert isinstance(level, nn.Sequential)
    convolution = level[-1]
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def class_names(model: nn.Module) -> tuple[str, ...]:
    """Class names in head order."""
    names = cast("Mapping[int, str] | Sequence[str]", model.names)
    listed = [names[index] for index in sorted(names)] if isinstance(names, Mapping) else names
    return tuple(str(name) for name in listed)


def set_classes(model: DetectionModel, names: Sequence[str]) -> None:
    """Write the class names wherever ultralytics looks for them or for their number."""
    plain: Any = model
    plain.names = dict(enumerate(names))
    plain.nc = len(names)
    plain.yaml = {**architecture_of(model), "nc": len(names)}


def architecture_of(model: nn.Module) -> dict[str, Any]:
    """ultralytics' description of the model (its YAML), without the place of a file it may have been read from."""
    return {key: value for key, value in cast("dict[str, Any]", model.yaml).items() if key != "yaml_file"}


def grid_size(model: DetectionModel) -> int:
    """Pixels that a side of an input must be a multiple of."""
    return max(int(model.stride.max()), 32)
