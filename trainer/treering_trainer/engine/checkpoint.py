"""Exact checkpoints of a training: written once per epoch, so that a resumed run ends where an unbroken one would.

ultralytics' own checkpoints hold an fp16 average and fp16 optimizer state and no random state (ultralytics#2235): its
resumed run is another run. Ours hold every tensor in its own precision. Random numbers need no saving, because each
epoch starts from a seed derived from (seed, epoch), see `engine.order`.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from treering_trainer.store import write_atomic

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any], *, fingerprint: str) -> None:
    """Write `state` (tensors and plain values) atomically.

    Args:
        fingerprint: names the training; a checkpoint of another one is never resumed.

    Raises:
        EnvironmentFailure: the disk is full; the previous checkpoint is still there.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "fingerprint": fingerprint, **state}, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """The state in `path`, or None where there is none of this training, or none that can be read.

    Loaded with `weights_only`: a checkpoint can hold data, never code.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return None  # written whole, so another version's or a damaged disk's: training anew costs time, not truth
    return state if state.get("format") == FORMAT and state.get("fingerprint") == fingerprint else None


def remove_checkpoint(path: Path) -> None:
    """Forget a training that has ended."""
    path.unlink(missing_ok=True)
