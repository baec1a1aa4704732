"""What is kept for the next round beside the model, as safetensors: tensors of policies, an optimizer's moments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from treering_trainer.engine.moments import OptimizerState
from treering_trainer.store import write_atomic

KEPT = "policies.safetensors"
OPTIMIZER = "optimizer.safetensors"
Kept = Mapping[str, Mapping[str, torch.Tensor]]


def save_kept(folder: Path, kept: Kept) -> None:
    """Write what policies keep; where there is nothing, no file."""
    flat = {f"{policy}/{name}": tensor.contiguous() for policy, held in kept.items() for name, tensor in held.items()}
    if flat:
        write_atomic(folder / KEPT, save(flat))
    else:
        (folder / KEPT).unlink(missing_ok=True)


def read_kept(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """What policies kept; empty where they kept nothing."""
    if not (folder / KEPT).exists():
        return {}
    kept: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(folder / KEPT).items():
        policy, _, name = key.partition("/")
        kept.setdefault(policy, {})[name] = tensor
    return kept


def save_optimizer(folder: Path, state: OptimizerState | None) -> None:
    """Write what an optimizer has gathered; None: no file."""
    if state is None:
        (folder / OPTIMIZER).unlink(missing_ok=True)
        return
    flat = {f"{name}/{key}": value.contiguous() for name, held in state.moments.items() for key, value in held.items()}
    write_atomic(folder / OPTIMIZER, save(flat, {"optimizer": state.kind}))


def read_optimizer(folder: Path) -> OptimizerState | None:
    """What an optimizer had gathered; None where it was not kept."""
    if not (folder / OPTIMIZER).exists():
        return None
    with safe_open(folder / OPTIMIZER, "pt") as file:
        kind = (file.metadata() or {}).get("optimizer", "")
        flat = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dictionary
    moments: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in flat.items():
        name, _, part = key.rpartition("/")
        moments.setdefault(name, {})[part] = tensor
    return OptimizerState(kind, moments)
