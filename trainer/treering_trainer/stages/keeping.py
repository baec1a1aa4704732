"""What policies keep from one round to the next: tensors by policy and name, one safetensors file beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from treering_trainer.store import write_atomic

KEPT = "policies.safetensors"
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
