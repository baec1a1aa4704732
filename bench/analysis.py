"""What the analysis before a round costs, against one epoch of training on the same images, in the same process.

    python -m bench.analysis --images 5000 --size 640 --weights yolov8n-coco.pt --out bench/results/analysis.json

Pictures of noise and rectangles are drawn with a seed. The analysis is the one of a second round: portraits, the
published model's look, drift, Fréchet distances, map. The epoch is the real training of one epoch of an incremental
round, without validation and without anything before the first batch; it is timed on the first `--timed` of the images
and counted for all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from treering_api import Training, resolve_training
from treering_trainer.analysis.analysis import Seen, analyse_data
from treering_trainer.analysis.history import Statistics
from treering_trainer.analysis.labels import FAINTEST
from treering_trainer.analysis.portrait import portray, some
from treering_trainer.dataset import Sample
from treering_trainer.engine.machine import available_processors
from treering_trainer.engine.recipe import Listener, Recipe
from treering_trainer.engine.stop import StopRequest
from treering_trainer.stages.measuring import GLANCES, LOOKS, OVERLAP
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.training import train
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import load_foreign

NAMES = ("red", "green", "blue")


def main() -> None:
    """Draw, measure both, write."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(options, Path(folder))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Analysis of a delivery against one epoch of training on it.")
    parser.add_argument("--images", type=int, default=5000, help="of the delivery")
    parser.add_argument("--timed", type=int, default=500, help="images that the epoch is timed on")
    parser.add_argument("--size", type=int, default=640, help="pixels a side, of images and of the network's input")
    parser.add_argument("--weights", type=Path, required=True, help="an ultralytics .pt")
    parser.add_argument("--device", default="cpu", help="as torch names it")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures and of what is sampled")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the numbers")
    return parser.parse_args()


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    samples = draw(folder / "new", options.images, options.size, options.seed)
    old = draw(folder / "old", min(200, options.images), options.size, options.seed + 1)
    model = grow_head(load_foreign(options.weights, shown_as=options.weights.name), NAMES, seed=options.seed)
    before = known(options, model, old)
    analysis_s = analyse(options, model, samples, before)
    timed = samples[: options.timed]
    epoch_s = train_epoch(options, model, timed, folder / "train") * len(samples) / len(timed)
    return {
        "command": " ".join(["python -m bench.analysis", *sys.argv[1:]]),
        "images": options.images,
        "timedOn": len(timed),
        "size": options.size,
        "device": options.device,
        "torchThreads": torch.get_num_threads(),
        "sampledLooks": min(LOOKS, options.images),
        "sampledGlances": min(GLANCES, options.images),
        "analysisSeconds": round(analysis_s, 2),
        "epochSeconds": round(epoch_s, 2),
        "ratio": round(analysis_s / epoch_s, 4),
    }


def draw(folder: Path, count: int, side: int, seed: int) -> tuple[Sample, ...]:
    """JPEGs of coarse noise with three coloured boxes each."""
    folder.mkdir(parents=True)
    source = np.random.default_rng(seed)
    return tuple(_draw(folder / f"{number:05d}.jpg", source, side) for number in range(count))


def _draw(path: Path, source: np.random.Generator, side: int) -> Sample:
    coarse = source.integers(0, 120, (side // 8, side // 8, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((side, side))).copy()
    rows = []
    for kind in range(len(NAMES)):
        width, height = (int(value) for value in source.integers(side // 10, side // 3, 2))
        left, top = int(source.integers(0, side - width)), int(source.integers(0, side - height))
        pixels[top : top + height, left : left + width, kind] = 230
        box = (left + width / 2, top + height / 2, width, height)
        rows.append((float(kind), *(value / side for value in box)))
    Image.fromarray(pixels).save(path, quality=90)
    return Sample(path.stem, path, np.asarray(rows), side, side, f"{path.parent.name}{path.stem}", 0)


def analyse(options: argparse.Namespace, model: DetectionModel, samples: Sequence[Sample], before: Statistics) -> float:
    """Seconds of what the analyse stage does with a delivery."""
    start_s = time.monotonic()
    workers = available_processors()
    portrait = portray("new", samples, NAMES, seed=options.seed, most=LOOKS, workers=workers)
    seen = glance(options, model, samples, "new")
    paths = {sample.sha256: str(sample.image) for sample in samples}
    analyse_data([portrait], before, seen, looked_at=len(samples), labelled=NAMES, pictures=paths, seed=options.seed)
    return time.monotonic() - start_s


def known(options: argparse.Namespace, model: DetectionModel, samples: Sequence[Sample]) -> Statistics:
    """What an earlier round kept."""
    images, boxes = glance(options, model, samples, "old").features()
    portrait = portray("old", samples, NAMES, seed=options.seed, most=LOOKS)
    return Statistics(portraits=(portrait,), images=images, boxes=boxes)


def glance(options: argparse.Namespace, model: DetectionModel, samples: Sequence[Sample], source: str) -> Seen:
    """The model's look at a sample of the samples."""
    chosen = some(samples, GLANCES, options.seed)
    detector = YoloDetector(model.to(options.device).eval(), options.size, options.device)
    found = detector.glance(chosen, confidence=FAINTEST, overlap=OVERLAP)
    return Seen(chosen, (source,) * len(chosen), NAMES, detector.names, found)


def train_epoch(options: argparse.Namespace, model: DetectionModel, samples: tuple[Sample, ...], folder: Path) -> float:
    """Seconds of one epoch, from its images a second: what happens around it counts for nothing."""
    settings = resolve_training(
        Training(epochs=1), strategy="incremental", new_classes=1, from_scratch=False, images=len(samples),
        gpu=options.device != "cpu", cpus=available_processors(),
    )  # fmt: skip
    recipe = Recipe(
        names=NAMES, new=samples, memory=(), batch_share=None, settings=replace(settings, patience=0),
        image_size=options.size, device=options.device, folder=folder, policies=(),
        listener=Listener(batch=_unheard, epoch=_unheard), stop=StopRequest(),
    )  # fmt: skip
    done = train(recipe, model, None)
    return len(samples) / done.epochs[0].images_per_s


def _unheard(*_: object) -> None:
    """Nobody listens."""


if __name__ == "__main__":
    main()
