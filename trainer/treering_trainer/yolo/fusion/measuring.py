"""What a fused detector costs and finds beside its members, in one table; and whether its graph is the network."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from ultralytics.data.augment import LetterBox

from treering_api import BadSpecError
from treering_trainer.dataset import DataSet, Sample, remap
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.equality import random_images, times_in_turns_ms
from treering_trainer.yolo.evaluation import evaluate
from treering_trainer.yolo.fusion.network import OWN_OVERLAP, FusedNetwork

RUNS = 21
MOST_PROVEN = 20
"""Given pictures that graph and network are compared on."""
MOST_DIFFERENCE = 1e-2
"""Between the graph's output and the network's: pixels, confidences. Floating-point sums in another order give 1e-4."""
SHOWN_CONFIDENCE = 0.25
"""From which on a detector's suppression counts into its latency: ultralytics' default."""
COUNTED = 0.01
"""Boxes fainter than this are not compared: their order hangs on the last bit."""


@dataclass(frozen=True)
class Work:
    """Something to measure.

    Args:
        detector: None: only its latency is measured, of `graph`.
        classes: its own name → fused name, of what counts.
    """

    name: str
    kind: Literal["member", "fused", "graph", "beside"]
    detector: YoloDetector | None
    classes: Mapping[str, str]
    size_bytes: int
    graph: Path | None = None


@dataclass(frozen=True)
class Row:
    """What was measured.

    Args:
        latency_ms: median of one picture with its suppression, on this machine's processor, warm.
        map50: mean over its classes that the data name; None without data.
    """

    name: str
    kind: str
    classes: int
    size_bytes: int
    latency_ms: float
    latency_p95_ms: float
    map50: float | None = None
    map50_95: float | None = None


def measure(
    works: Sequence[Work], datasets: Sequence[DataSet], image_size: int, tell: Callable[[str], None]
) -> tuple[Row, ...]:
    """One row for each; they take turns at being timed, so that the machine's load is shared."""
    tell("measuring latency")
    times = times_in_turns_ms([_runner(work, image_size) for work in works], RUNS)
    rows = []
    for work, seen in zip(works, times, strict=True):
        score: tuple[float | None, float | None] = (None, None)
        if datasets and work.detector is not None:
            tell(f"measuring mAP of {work.name}")
            score = _score(work.detector, work.classes, datasets)
        p95 = float(np.percentile(seen, 95))
        numbers = (len(work.classes), work.size_bytes, statistics.median(seen), p95)
        rows.append(Row(work.name, work.kind, *numbers, *score))
    return tuple(rows)


def prove_graph(network: FusedNetwork, graph: Path, samples: Sequence[Sample]) -> tuple[float, int]:
    """The largest difference between the outputs of both, and how many pictures it was looked for on.

    Raises:
        BadSpecError: they differ.
    """
    size = network.description.image_size
    session = _session(graph)
    pictures = [*random_images(size)]
    pictures += [square_picture(sample.image, size) for sample in samples[:MOST_PROVEN]]
    largest = 0.0
    with torch.inference_mode():
        for picture in pictures:
            expected = network(picture)[0].numpy()
            found = session.run(None, {"images": picture.numpy()})[0][0]
            largest = max(largest, _difference(expected, found))
    if largest > MOST_DIFFERENCE:
        raise BadSpecError(
            graph.name,
            f"the ONNX graph answers otherwise than the network: by {largest:.3g} (pixels or confidences)",
            "Nothing was written. Tell Treering's developers which models were fused.",
        )
    return largest, len(pictures)


def remapped(dataset: DataSet, names: tuple[str, ...], classes: Mapping[str, str]) -> list[Sample]:
    """A data set's pictures with class indices into a detector's own names.

    Args:
        classes: own name → the data's name; others' boxes are left out.
    """
    told = {fused: own for own, fused in classes.items()}
    spoken = tuple(told.get(name, "") for name in dataset.names)
    return [replace(sample, boxes=remap(sample.boxes, spoken, names, drop_unknown=True)) for sample in dataset.val]


def _runner(work: Work, image_size: int) -> Callable[[], object]:
    picture = next(random_images(image_size))
    if work.graph is not None:
        session, seen = _session(work.graph), picture.numpy()
        return lambda: session.run(None, {"images": seen})
    assert work.detector is not None
    detector = work.detector
    return lambda: detector.suppressed(picture, SHOWN_CONFIDENCE, OWN_OVERLAP)


def _score(
    detector: YoloDetector, classes: Mapping[str, str], datasets: Sequence[DataSet]
) -> tuple[float | None, float | None]:
    """mAP50 and mAP50-95: means over the classes that both know, of a class first over its data sets."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="treering-") as folder:
        for place, dataset in enumerate(datasets):
            samples = remapped(dataset, detector.names, classes)
            if not any(len(sample.boxes) for sample in samples):
                continue
            scores, _ = evaluate(detector, samples, name=dataset.name, kind="holdout", folder=Path(folder) / str(place))
            for name, score in scores.classes.items():
                found.setdefault(name, []).append((score.map50, score.map50_95))
    if not found:
        return None, None
    means = [np.mean(values, axis=0) for values in found.values()]
    total = np.mean(means, axis=0)
    return float(total[0]), float(total[1])


def square_picture(path: Path, size: int) -> torch.Tensor:
    """(1, 3, size, size), 0..1, as ultralytics' predictor shows a picture to a network of a fixed size."""
    with Image.open(path) as picture:
        pixels = LetterBox((size, size), auto=False)(image=np.asarray(picture.convert("RGB")))
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """How far the farthest row of either is from its nearest in the other, in pixels or confidence."""
    sides = [rows[rows[:, 4] >= COUNTED] for rows in (expected, found)]
    if not len(sides[0]) or not len(sides[1]):
        return 0.0 if len(sides[0]) == len(sides[1]) else float("inf")
    apart = np.abs(sides[0][:, None, :5] - sides[1][None, :, :5]).max(axis=2)
    apart[sides[0][:, None, 5] != sides[1][None, :, 5]] = np.inf
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))
