"""Fitting a pod's last word into what Kubernetes keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

MAX_SIZE_BYTES = 4096
"""What Kubernetes keeps of a termination message."""
M = TypeVar("M", bound=BaseModel)


def fit(model: M, shorter: Callable[[M], M]) -> str:
    """The model as JSON of at most `MAX_SIZE_BYTES`, made shorter until it fits."""
    for _ in range(128):
        text = model.model_dump_json(by_alias=True, exclude_defaults=True)
        if len(text.encode()) <= MAX_SIZE_BYTES:
            return text
        model = shorter(model)
    raise AssertionError("a result without texts and lists is larger than a termination message")
