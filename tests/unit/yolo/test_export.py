"""Further formats say what the model says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.tiny_training import ARCHITECTURE, IMAGE_SIZE
from treering_trainer.yolo.export import export_formats
from treering_trainer.yolo.head import build
from treering_trainer.yolo.weights import save_ultralytics


@pytest.mark.parametrize(("name", "file"), [("onnx", "model.onnx"), ("torchscript", "model.torchscript")])
def test_export__agrees_with_the_model(tmp_path: Path, name: str, file: str) -> None:
    save_ultralytics(build(ARCHITECTURE, ("ace", "king", "queen")).eval(), tmp_path / "model.pt", image_size=IMAGE_SIZE)

    differences = export_formats(tmp_path / "model.pt", (name,), image_size=IMAGE_SIZE)

    assert (tmp_path / file).stat().st_size > 0
    assert differences[name] < 1e-3


def test_export__without_formats_makes_nothing(tmp_path: Path) -> None:
    save_ultralytics(build(ARCHITECTURE, ("ace",)).eval(), tmp_path / "model.pt", image_size=IMAGE_SIZE)

    assert export_formats(tmp_path / "model.pt", (), image_size=IMAGE_SIZE) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
