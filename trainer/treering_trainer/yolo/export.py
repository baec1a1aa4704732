"""Further formats of a model, made by ultralytics and measured against the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from ultralytics.models import YOLO
from ultralytics.nn.autobackend import AutoBackend

from treering_api import BadSpecError

PROBE_SEED = 0


def export_formats(checkpoint: Path, formats: Sequence[str], *, image_size: int) -> dict[str, float]:
    """Write each format beside `checkpoint` and compare its raw output with the checkpoint's.

    Args:
        checkpoint: a `.pt` that ultralytics loads.
        formats: ultralytics' names of formats.

    Returns:
        By format, the largest absolute difference of any box coordinate (pixels) or score on a random image.

    Raises:
        BadSpecError: the format's libraries are not installed.
    """
    if not formats:
        return {}
    expected = _output(checkpoint, image_size)
    differences = {}
    for place, name in enumerate(formats):
        try:
            path = Path(YOLO(checkpoint).export(format=name, imgsz=image_size, device="cpu", verbose=False))
        except (ImportError, ModuleNotFoundError, AssertionError) as error:
            raise BadSpecError(
                f"spec.export.formats[{place}]",
                f"{name} can't be made here: {error}",
                f"Install what it needs (ultralytics names it above), or leave {name} out.",
            ) from error
        differences[name] = float((_output(path, image_size) - expected).abs().max())
    return differences


def _output(path: Path, image_size: int) -> torch.Tensor:
    backend = AutoBackend(str(path), device=torch.device("cpu"), fuse=False, verbose=False)
    image = torch.rand(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(PROBE_SEED))
    with torch.inference_mode():
        output = backend(image)
    first = output[0] if isinstance(output, list | tuple) else output
    assert isinstance(first, torch.Tensor)
    return first.float()
