"""What an optimizer has gathered, by the names of the parameters instead of their places.

Taken at the end of a training, and given to the next one's optimizer, whose model may have grown. Used by `yolo`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class OptimizerState:
    """The moments of an optimizer.

    Args:
        kind: of the optimizer: AdamW, Adam or SGD.
        moments: by parameter and name, such as `exp_avg`: of the parameter's own shape, or a scalar (`step`); nothing
            of parameters that never learned.
    """

    kind: str
    moments: Mapping[str, Mapping[str, torch.Tensor]]


def parameter_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Names of an optimizer's parameters, in the order in which its `state_dict` numbers them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return tuple(names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"])


def moments_of(state: Mapping[str, Any], names: Sequence[str], kind: str) -> OptimizerState:
    """What an optimizer's `state_dict` says, by name, on the processor and in its own precision.

    Args:
        names: as `parameter_names` gave them.
    """
    moments = {
        names[place]: {key: value.detach().cpu() for key, value in held.items() if torch.is_tensor(value)}
        for place, held in state["state"].items()
    }
    return OptimizerState(kind, moments)


def give_moments(state: OptimizerState, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Let an optimizer that has not stepped yet go on from `state`.

    A parameter of another shape than before begins afresh, as a whole: the class rows of a head that has grown. Adam
    counts steps per parameter, not per row; new rows beside an old count would take steps several times too long.

    Returns:
        Names of the parameters that go on.
    """
    names, parameters = parameter_names(model, optimizer), dict(model.named_parameters())
    plain = optimizer.state_dict()
    fitting = {
        place: {key: _laid_out(value, parameters[name]) for key, value in state.moments[name].items()}
        for place, name in enumerate(names)
        if name in state.moments
        and all(not value.dim() or value.shape == parameters[name].shape for value in state.moments[name].values())
    }
    optimizer.load_state_dict({**plain, "state": fitting})
    return tuple(names[place] for place in fitting)


def _laid_out(value: torch.Tensor, parameter: nn.Parameter) -> torch.Tensor:
    """A copy that lies in memory as the parameter does (channels last, on a GPU): torch's fused steps insist on it."""
    if not value.dim():
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)
