"""A line's own models come back bit for bit, and ultralytics loads what we leave for its users."""

from __future__ import annotations

import json
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.plugins.tiny_training import (
    ARCHITECTURE,
    TWO_BRANCHES,
    WIDE,
    differing,
    make_samples,
    seeing_model,
    tensors_of,
    tiny_model,
)
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.parts import class_names, hidden_width
from treering_trainer.yolo.weights import load_model, save_model, save_ultralytics


@pytest.mark.parametrize(
    ("architecture", "old", "new"),
    [
        (ARCHITECTURE, ("a", "b"), ("a", "b")),
        (WIDE, tuple(map(str, range(3))), tuple(map(str, range(70)))),
        (WIDE, tuple(map(str, range(80))), ("79", "x")),
        (TWO_BRANCHES, ("a",), ("a", "ä/ö", "0")),
    ],
    ids=["plain", "width-below-the-classes", "width-above-the-classes", "two-branches"],
)
def test_save_model__comes_back_bit_for_bit(
    architecture: dict[str, Any], old: tuple[str, ...], new: tuple[str, ...], tmp_path: Path
) -> None:
    model = grow_head(tiny_model(old, architecture=architecture), new, seed=1)
    save_model(model, tmp_path, image_size=64, line="cards", round_number=3)
    loaded = load_model(tmp_path)
    assert differing(tensors_of(model), tensors_of(loaded)) == []
    assert (class_names(loaded), hidden_width(loaded)) == (new, hidden_width(model))
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(images)[0], loaded(images)[0])


def test_save_model__says_nothing_of_this_machine(tmp_path: Path) -> None:
    model: Any = tiny_model(("a",))
    model.yaml["yaml_file"] = "/home/someone/secret.yaml"
    save_model(model, tmp_path, image_size=64, line="cards", round_number=3)
    save_ultralytics(model, tmp_path / "model.pt", image_size=64)
    assert "secret" not in (tmp_path / "model.json").read_text()
    assert "secret" not in pickled_text(tmp_path / "model.pt")


def test_load_model__a_missing_tensor_is_not_made_up(tmp_path: Path) -> None:
    save_model(tiny_model(("a",)), tmp_path, image_size=64, line="cards", round_number=1)
    description = json.loads((tmp_path / "model.json").read_text())
    description["classes"] = ["a", "b"]
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_model(tmp_path)


PREDICT = """
import sys, numpy as np
from ultralytics import YOLO
model = YOLO(sys.argv[1])
result = model.predict(sys.argv[2], imgsz=64, conf=0.3, iou=0.5, device="cpu", verbose=False)[0]
np.savez(sys.argv[3], boxes=result.boxes.data.numpy(), names=np.array([model.names[i] for i in sorted(model.names)]))
"""


def test_save_ultralytics__loads_and_predicts_in_a_fresh_process(tmp_path: Path) -> None:
    """On a square picture of the network's size, so that both see the very same pixels but for our margin."""
    from ultralytics.models import YOLO

    names = ("new", "b", "a", *(f"class {index}" for index in range(67)))
    model = grow_head(seeing_model(("a", "b"), architecture=WIDE), names, seed=1)
    picture = make_samples(tmp_path, 1)[0].image
    save_ultralytics(model, tmp_path / "model.pt", image_size=64)
    command = [sys.executable, "-c", PREDICT, str(tmp_path / "model.pt"), str(picture), str(tmp_path / "found.npz")]
    environment = {"YOLO_CONFIG_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, timeout=120)
    found = np.load(tmp_path / "found.npz")

    shell: Any = YOLO(tmp_path / "model.pt")
    shell.model.load_state_dict(model.state_dict())
    here = shell.predict(picture, imgsz=64, conf=0.3, iou=0.5, device="cpu", verbose=False)[0].boxes.data.numpy()
    assert tuple(found["names"]) == names
    assert len(here) > 0
    np.testing.assert_allclose(found["boxes"], here, rtol=1e-4, atol=1e-3)
    assert YoloDetector(model, 64, "cpu").names == tuple(found["names"])


def pickled_text(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return " ".join(str(argument) for _, argument, _ in pickletools.genops(archive.read(name)))
