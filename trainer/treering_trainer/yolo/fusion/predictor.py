"""A fused detector for Python, as people use ultralytics': pictures in, `Results` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.engine.results import Results
from ultralytics.models.yolo.detect import DetectionPredictor

from treering_trainer.yolo.fusion.artefact import load_network
from treering_trainer.yolo.fusion.network import FusedNetwork
from treering_trainer.yolo.threads import keep_threads


class FusedDetector:
    """Finds what any of its members finds.

    Args:
        network: the fused network.
        device: as torch names it.
    """

    def __init__(self, network: FusedNetwork, device: str = "cpu") -> None:
        self.network = network
        self.device = device

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> FusedDetector:
        """Open a folder that `treering fuse` wrote.

        Raises:
            BadSpecError: it is none, or damaged.
        """
        return cls(load_network(Path(folder)), device)

    @property
    def names(self) -> dict[int, str]:
        """Class names by index, as in ultralytics."""
        return self.network.names

    def predict(self, source: Any, *, confidence: float = 0.25, **arguments: Any) -> list[Results]:
        """Detect.

        Args:
            source: whatever ultralytics takes: a path, a folder, a picture as an array, or a list of them.
            confidence: least confidence, 0..1; the artefact's own thresholds by class count, too.
            arguments: further ones of ultralytics' `predict`, such as `classes` or `save`.
        """
        settings = {
            "imgsz": self.network.description.image_size,
            "rect": False,  # the square that its ONNX sees, too
            "save": False,
            "verbose": False,
            "mode": "predict",
            "task": "detect",
            "conf": confidence,
            "device": self.device.removeprefix("cuda:"),
            **arguments,
        }
        predictor = DetectionPredictor(overrides=settings)
        keep_threads()
        predictor.setup_model(self.network, verbose=False)
        found: list[Results] = predictor(source=source, stream=False)
        return found
