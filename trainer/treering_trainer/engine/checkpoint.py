"""Exact checkpoints of a training: written once per epoch, so that a resumed run ends where an unbroken one would.

ultralytics' own checkpoints hold an fp16 average and fp16 optimizer state and no random state (ultralytics#2235): its
resumed run is another run. Ours hold every tensor in its own precision. Random numbers need no saving, because each
epoch starts from a seed derived from (seed, epoch), see `engine.order`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from treering_trainer.engine.recipe import Recipe
from treering_trainer.store import write_atomic

FORMAT = 2


def save_checkpoint(path: Path, state: dict[str, Any], *, fingerprint: str) -> None:
    """Write `state` (tensors and plain values) atomically.

    Args:
        fingerprint: names the training; a checkpoint of another one is never resumed.

    Raises:
        ResumableError: the disk is full; the previous checkpoint is still there.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "fingerprint": fingerprint, **state}, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """The state in `path`, or None where there is none of this training, or none that can be read.

    Loaded with `weights_only`: a checkpoint can hold data, never code.
    """
    state = _read(path)
    return state if state is not None and state.get("fingerprint") == fingerprint else None


@dataclass(frozen=True)
class Glimpse:
    """How far a checkpoint is.

    Args:
        epochs: full epochs.
        seconds: time that they took.
    """

    epochs: int
    seconds: float


def glimpse(path: Path) -> Glimpse | None:
    """How far the checkpoint in `path` is, of whatever training; None where there is none that can be read."""
    tally = (_read(path, mmap=True) or {}).get("tally")
    return None if tally is None else Glimpse(len(tally["records"]), float(tally["seconds"]))


def _read(path: Path, *, mmap: bool = False) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        state: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, OSError):
        return None  # written whole, so another version's or a damaged disk's: training anew costs time, not truth
    return state if isinstance(state, dict) and state.get("format") == FORMAT else None


def fingerprint_of(recipe: Recipe, weights: Iterable[torch.Tensor]) -> str:
    """What a checkpoint must match to be resumed: settings, classes, images with labels, policies, weights, moments.

    The number of loading processes is left out: another machine may have other processors, and the images do not care.
    """
    settings = replace(recipe.settings, workers=0)
    shown = (len(recipe.new), len(recipe.memory), recipe.batch_share, recipe.repeats)
    digest = hashlib.sha256(repr((recipe.names, settings, recipe.image_size, shown)).encode())
    for sample in (*recipe.new, *recipe.memory):
        digest.update(sample.sha256.encode())
        digest.update(sample.boxes.tobytes())
        digest.update(sample.ignored.tobytes())
    for policy in recipe.policies:
        digest.update(f"{policy.name}{getattr(policy, 'settings', '')!r}{policy.fingerprint()}".encode())
    moments = recipe.optimizer.moments if recipe.optimizer is not None else {}
    kept = (tensor for name in sorted(moments) for _, tensor in sorted(moments[name].items()))
    for tensor in (*weights, *kept):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
