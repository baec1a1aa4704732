"""Whether original YOLOv5 weights say the same by Treering's decode as by YOLOv5's own code, picture by picture.

    pip install --target DIR --no-deps yolov5==7.0.14 tqdm seaborn 'setuptools<80'
    python -m bench.yolov5 --weights yolov5n.pt --upstream DIR --images FOLDER --out FILE.json

Boxes in pixels of the letterboxed input and class scores, of every anchor, before any suppression. The checkpoint is
unpickled by the upstream code: give one that you trust.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from treering_trainer.dataset import list_pictures
from treering_trainer.yolo.donor import open_donor
from treering_trainer.yolo.fusion.measuring import square_picture


def main() -> None:
    """Ask both, compare, write."""
    options = parse()
    own = open_donor(options.weights, shown_as=options.weights.name, field="--weights").network
    result = {"command": " ".join(["python -m bench.yolov5", *sys.argv[1:]])}
    result |= compare(upstream(options.weights, options.upstream), own, list_pictures(options.images), options.sizes)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--weights", type=Path, required=True, help="an original YOLOv5 checkpoint, v6.0 to v7.0")
    parser.add_argument("--upstream", type=Path, required=True, help="where the package yolov5 was installed to")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--sizes", type=int, nargs="+", default=[320, 640], help="sides of the input, pixels")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the numbers")
    return parser.parse_args()


def upstream(weights: Path, folder: Path) -> nn.Module:
    """The checkpoint's averaged weights in YOLOv5's own classes, fused as its own detection does."""
    sys.path.append(str(folder))
    sys.path.insert(0, str(folder / "yolov5"))  # pickles name `models.yolo`
    checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    saved: Any = checkpoint.get("ema") or checkpoint["model"]
    model: nn.Module = saved.float().fuse().eval()
    module: Any
    for module in model.modules():
        kind = type(module).__name__
        if kind == "Detect" and not isinstance(module.anchor_grid, list):  # before v6.1, as its attempt_load does
            del module.anchor_grid
            module.anchor_grid = [torch.zeros(1)] * module.nl
        if kind == "Upsample" and not hasattr(module, "recompute_scale_factor"):
            module.recompute_scale_factor = None  # of older torch
    return model


def compare(theirs: nn.Module, own: nn.Module, pictures: list[Path], sizes: list[int]) -> dict[str, Any]:
    """The largest differences over all pictures, sizes and anchors, and the highest score that was compared."""
    boxes = scores = highest = 0.0
    for size in sizes:
        for picture in pictures:
            pixels = square_picture(picture, size)
            with torch.inference_mode():
                rows, found = theirs(pixels)[0], own(pixels)
            wanted = rows[..., 5:] * rows[..., 4:5]
            boxes = max(boxes, float((rows[..., :4] - found[:, :4].transpose(1, 2)).abs().max()))
            scores = max(scores, float((wanted - found[:, 4:].transpose(1, 2)).abs().max()))
            highest = max(highest, float(wanted.max()))
    compared = {"pictures": len(pictures), "sizes": sizes, "highestScore": round(highest, 3)}
    return {**compared, "boxesApartPx": boxes, "scoresApart": scores}


if __name__ == "__main__":
    main()
