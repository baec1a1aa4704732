"""Original YOLOv9 models become ultralytics' own, and answer as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.plugins.hostile_files import HOSTILE
from tests.plugins.lines import draw_delivery
from tests.plugins.tiny_training import differing, tensors_of, tiny_model
from tests.plugins.upstream import PRIVATE, layout, lively_original, save_upstream, save_yolov5
from treering_api import BadSpecError
from treering_trainer.cli.app import run_app
from treering_trainer.foreign.yolov9 import LAYOUTS, layout_of
from treering_trainer.yolo.conversion import Wanted, convert
from treering_trainer.yolo.equality import prove, raw_output
from treering_trainer.yolo.foreign import load_foreign
from treering_trainer.yolo.parts import class_branches, class_names, hidden_width
from treering_trainer.yolo.weights import load_model, save_model, save_ultralytics
from treering_trainer.yolo.yolov9 import build_original
from treering_trainer.yolo.yolov9.mapping import densify

NAMES = ("ace", "king", "queen", "jack", "ten")
DUAL_AND_DEPLOY = {  # parameters, five classes
    "t": (2_660_846, 2_006_383),
    "s": (9_746_462, 7_289_343),
    "m": (32_769_982, 20_161_935),
    "c": (51_008_830, 25_533_087),
    "e": (69_414_014, 58_148_767),
}


def quiet(_: str) -> None:
    """Hears of the progress."""


def run_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_app([*words, "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


@pytest.mark.parametrize("size", DUAL_AND_DEPLOY)
def test_convert__dual_to_deploy(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "dual.pt", tmp_path / "deploy.pt"
    original = lively_original(layout(size), NAMES)
    save_upstream(original, path, half=False, ema=size == "t")
    before = path.read_bytes()
    done = run_json(["convert", str(path), "--out", str(out), "--image-size", "64"], capsys)
    assert (done["family"], done["size"], done["classes"]) == ("yolov9-dual", size, list(NAMES))
    assert (done["before"]["parameters"], done["after"]["parameters"]) == DUAL_AND_DEPLOY[size]
    assert done["proof"]["scoreDifference"] == 0 and done["proof"]["boxDifferencePx"] <= 1e-3
    assert path.read_bytes() == before and sorted(each.name for each in tmp_path.iterdir()) == ["deploy.pt", "dual.pt"]
    assert PRIVATE.encode() not in out.read_bytes()
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(9))
    written = load_foreign(out, shown_as="x")
    with torch.inference_mode():
        main, auxiliary = original(image)
        now = raw_output(written, image)
    assert torch.equal(main[:, 4:], now[:, 4:]) and float((main[:, :4] - now[:, :4]).abs().max()) <= 1e-3
    assert not torch.allclose(main, auxiliary)  # the branch that was kept is the main one


@pytest.mark.parametrize("classes", [1, 40, 80, 130])
def test_convert__any_class_count(classes: int, tmp_path: Path) -> None:
    names = tuple(f"class {index}" for index in range(classes))
    save_upstream(lively_original(layout("t"), names), tmp_path / "x.pt")
    done = convert(tmp_path / "x.pt", tmp_path / "y.pt", Wanted(64), quiet)
    assert done.proof.equal and done.source.classes == names
    assert done.after.size_bytes < done.before.size_bytes  # half precision stays half
    model = load_foreign(tmp_path / "y.pt", shown_as="x")
    assert (class_names(model), hidden_width(model)) == (names, max(64, min(2 * classes, 128)))
    save_model(model, tmp_path / "line", image_size=64, line="x", round_number=1)
    assert differing(tensors_of(model), tensors_of(load_model(tmp_path / "line"))) == []


def test_convert__plain_training_has_no_auxiliary_branch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_upstream(lively_original(layout("t", dual=False), NAMES), tmp_path / "x.pt")
    assert run_app(["convert", str(tmp_path / "x.pt"), "--out", str(tmp_path / "y.pt"), "--image-size", "64"]) == 0
    said = capsys.readouterr().out
    assert "plain training never makes an auxiliary branch" in said and "bit for bit" in said
    assert class_names(load_foreign(tmp_path / "y.pt", shown_as="x")) == NAMES


def test_convert__an_ultralytics_model_is_stripped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model(("a", "b"))
    extra = {"optimizer": {"state": torch.zeros(1000)}, "train_args": {"project": PRIVATE}, "ema": model, "model": None}
    torch.save(extra, tmp_path / "x.pt")
    done = run_json(["convert", str(tmp_path / "x.pt"), "--out", str(tmp_path / "y.pt"), "--image-size", "64"], capsys)
    assert "nothing to convert" in done["outcome"]
    assert {part["name"]: part["sizeBytes"] for part in done["dropped"]}["optimizer"] == 4000
    assert PRIVATE.encode() not in (tmp_path / "y.pt").read_bytes()
    assert differing(tensors_of(model), tensors_of(load_foreign(tmp_path / "y.pt", shown_as="x"))) == []


def test_convert__on_given_images_and_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_delivery(tmp_path / "data", NAMES, 5, seed=1)
    (tmp_path / "pictures").mkdir()
    for width in (90, 40):
        Image.fromarray(np.full((40, width, 3), width, dtype=np.uint8)).save(tmp_path / "pictures" / f"{width}.png")
    canary = tmp_path / "canary"
    for name in ("labels/train.cache", "labels.cache"):  # ultralytics would unpickle them
        HOSTILE["bare-pickle"].make(tmp_path / "data" / name, canary)
    save_upstream(lively_original(layout("t"), NAMES), tmp_path / "x.pt")
    words = ["convert", str(tmp_path / "x.pt"), "--out", str(tmp_path / "y.pt"), "--image-size", "64"]
    where = ["--images", str(tmp_path / "pictures"), "--data", str(tmp_path / "data")]
    done = run_json([*words, *where], capsys)
    assert (done["proof"]["givenImages"], done["proof"]["scoreDifference"]) == (2, 0)
    assert done["before"]["map50"] == pytest.approx(done["after"]["map50"], abs=1e-6)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("x.pt", "is the original"),
        ("y.onnx", "does not end with .pt"),
        ("no/y.pt", "does not exist"),
        ("z.pt", "already"),
    ],
    ids=["original", "suffix", "folder", "taken"],
)
def test_convert__refuses_a_place(out: str, message: str, tmp_path: Path) -> None:
    torch.save({"model": tiny_model(("a",))}, tmp_path / "x.pt")
    (tmp_path / "z.pt").write_text("mine")
    with pytest.raises(BadSpecError, match=message):
        convert(tmp_path / "x.pt", tmp_path / out, Wanted(64), quiet)
    assert (tmp_path / "z.pt").read_text() == "mine"


def test_convert__a_changed_dual_is_refused(tmp_path: Path) -> None:
    model: Any = lively_original(layout("t"), NAMES)
    model.model[4].cv4.conv = torch.nn.Conv2d(8, 8, 1)
    save_upstream(model, tmp_path / "x.pt")
    with pytest.raises(BadSpecError, match=r"do not fit YOLOv9-t .*model\.4\.cv4"):
        convert(tmp_path / "x.pt", tmp_path / "y.pt", Wanted(64), quiet)
    assert not (tmp_path / "y.pt").exists()


def test_convert__an_original_yolov5_is_refused(tmp_path: Path) -> None:
    save_yolov5(tmp_path / "x.pt", ("a",))
    with pytest.raises(BadSpecError, match="original YOLOv5"):
        convert(tmp_path / "x.pt", tmp_path / "y.pt", Wanted(64), quiet)


def test_convert__a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the proof can fail: with two groups swapped, boxes differ and nothing is written."""
    monkeypatch.setattr(
        "treering_trainer.yolo.yolov9.mapping.densify", lambda weight, groups: densify(weight.roll(1, 0), groups)
    )
    save_upstream(lively_original(layout("t"), NAMES), tmp_path / "x.pt")
    with pytest.raises(BadSpecError, match="answers differently"):
        convert(tmp_path / "x.pt", tmp_path / "y.pt", Wanted(64), quiet)
    assert [each.name for each in tmp_path.iterdir()] == ["x.pt"]


def test_prove__finds_a_score_that_differs_in_its_last_bit() -> None:
    model, other = tiny_model(("a", "b")), tiny_model(("a", "b"))
    assert prove(model, other, 64).equal
    with torch.no_grad():
        for branch in class_branches(other):
            for parameter in branch.parameters():
                parameter.mul_(1 + 1e-6)
    assert not prove(model, other, 64).equal


def test_densify__is_the_grouped_convolution() -> None:
    grouped = torch.nn.Conv2d(8, 12, 3, groups=4, bias=False)
    image = torch.rand(1, 8, 9, 9)
    with torch.no_grad():
        dense = torch.nn.functional.conv2d(image, densify(grouped.weight, 4))
        assert torch.allclose(dense, grouped(image), atol=1e-6)


@pytest.mark.parametrize("shape", LAYOUTS, ids=lambda each: each.size + ("-dual" if each.dual else ""))
def test_layout__is_told_by_shapes_alone(shape: Any) -> None:
    with torch.device("meta"):
        model = build_original(shape, NAMES)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert layout_of(shapes) == shape


def test_layout__of_an_ultralytics_yolov9_is_none(tmp_path: Path) -> None:
    from treering_trainer.yolo.foreign import from_scratch

    model = from_scratch("yolov9t.yaml", NAMES, shown_as="x", seed=0)
    assert layout_of({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}) is None
    save_ultralytics(model, tmp_path / "x.pt", image_size=64)
    assert class_names(load_foreign(tmp_path / "x.pt", shown_as="x")) == NAMES


def test_base__a_dual_checkpoint_converts_by_itself(tmp_path: Path) -> None:
    original = lively_original(layout("t"), NAMES)
    save_upstream(original, tmp_path / "x.pt", half=False)
    model = load_foreign(tmp_path / "x.pt", shown_as="s3://models/dual.pt")
    assert prove(original, model, 64).equal and class_names(model) == NAMES
