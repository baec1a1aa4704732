"""What an architecture from outside would cost, found without paying: on torch's meta device, which has no memory.

A few bytes of YAML can ask for a terabyte of weights or feature maps; so nothing is built before it is known to be no
larger than the file that it comes with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import parse_model

MOST_LAYERS = 500
MOST_REPEATS = 200
LIGHT = 1_000_000
"""Numbers that are no burden, whatever the file holds."""
MOST_TIMES = 2
"""How many times the file's numbers the network may have: class branches follow the class count."""
MOST_FEATURES = 1 << 26
"""Numbers in one feature map of the picture that ultralytics measures strides with."""
PROBE_PX = 256


def refuse_burden(architecture: Mapping[str, Any], classes: int, numbers: int) -> None:
    """Refuse an architecture that is far larger than the tensors it came with.

    Args:
        numbers: in all tensors of the file.

    Raises:
        ValueError: says what it asks for.
    """
    rows = [*architecture.get("backbone", ()), *architecture.get("head", ())]
    if len(rows) > MOST_LAYERS:
        raise ValueError(f"{len(rows):,} layers, {MOST_LAYERS} are allowed")
    if any(isinstance(row[1], int) and row[1] > MOST_REPEATS for row in rows):
        raise ValueError(f"a layer that is repeated more than {MOST_REPEATS} times")
    channels = int(architecture.get("channels", 3))
    with torch.device("meta"):
        layers, kept = parse_model({**copy.deepcopy(dict(architecture)), "nc": classes}, ch=channels, verbose=False)
        asked = sum(tensor.numel() for tensor in chain(layers.parameters(), layers.buffers()))
        if asked > max(MOST_TIMES * numbers, LIGHT):
            raise ValueError(f"a network of {asked:,} numbers, the file has {numbers:,}")
        _refuse_wide_maps(layers, set(kept), torch.zeros(1, channels, PROBE_PX, PROBE_PX))


def _refuse_wide_maps(layers: Iterable[nn.Module], kept: set[int], image: torch.Tensor) -> None:
    """Walk through all layers but the head, as ultralytics does; on the meta device only shapes are computed."""
    seen: list[Any] = []
    x: Any = image
    for layer in [*layers][:-1]:
        source: Any = layer.f
        if source != -1:
            x = seen[source] if isinstance(source, int) else [x if each == -1 else seen[each] for each in source]
        try:
            x = layer(x)
        except NotImplementedError:  # a layer that needs numbers; its weights have been counted
            return
        seen.append(x if layer.i in kept else None)
        widest = max((each.numel() for each in (x if isinstance(x, list | tuple) else [x])), default=0)
        if widest > MOST_FEATURES:
            raise ValueError(f"a feature map of {widest:,} numbers")
