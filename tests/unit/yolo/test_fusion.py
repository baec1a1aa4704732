"""Several detectors as one: in Python, as a graph, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ultralytics.engine.results import Boxes, Results
from ultralytics.models import YOLO

from tests.plugins.lines import draw_delivery
from tests.plugins.tiny_training import TWO_BRANCHES, seeing_model, tiny_model
from treering_api import BadSpecError
from treering_trainer import api
from treering_trainer.cli.app import run_app
from treering_trainer.dataset import Sample
from treering_trainer.yolo.fusion.artefact import build_network, load_network, save_fused
from treering_trainer.yolo.fusion.calibration import judge, straighten
from treering_trainer.yolo.fusion.description import FusedDescription, Member, Method, Straightened
from treering_trainer.yolo.fusion.measuring import prove_graph
from treering_trainer.yolo.parts import class_branches, last_convolution
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import save_model, save_ultralytics

SIZE = 64


def describe(method: Method = "wbf", **more: Any) -> FusedDescription:
    """Two members that share class a."""
    members = (
        Member(folder="member-1", source="one.pt", sha256="1", classes={"a": "a", "b": "b"}),
        Member(folder="member-2", source="two.pt", sha256="2", classes={"a": "a", "c": "other"}),
    )
    return FusedDescription(image_size=SIZE, classes=("a", "b", "other"), members=members, method=method, **more)


def other_model(names: tuple[str, ...]) -> DetectionModel:
    """One that is sure of other things: equal ones would be rivals in everything, and a last bit would decide."""
    model = seeing_model(names)
    with torch.no_grad():
        for branch in class_branches(model):
            for level in branch:
                last_convolution(level).weight.mul_(-0.7)
    return model


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint and the folder of a round."""
    save_ultralytics(seeing_model(("a", "b")), tmp_path / "one.pt", image_size=SIZE)
    save_model(other_model(("a", "c", "d")), tmp_path / "two", image_size=SIZE, line="x", round_number=3)
    return tmp_path / "one.pt", tmp_path / "two"


@pytest.mark.parametrize("method", ["wbf", "softNms", "nms"])
def test_graph__answers_as_the_network(method: Method, tmp_path: Path) -> None:
    told = describe(method, thresholds={"b": 0.3})
    straight = told.members[1].model_copy(update={"straightened": {"c": Straightened(slope=0.7, offset=-0.4)}})
    told = told.model_copy(update={"members": (told.members[0], straight)})
    network = save_fused([seeing_model(("a", "b")), other_model(("a", "c"))], told, tmp_path / "out")
    with torch.inference_mode():
        rows = network(torch.rand(1, 3, SIZE, SIZE))[0]
    assert len(rows[rows[:, 4] > 0]) >= 5 and set(rows[rows[:, 4] > 0][:, 5].tolist()) >= {0.0, 2.0}
    assert bool((rows[rows[:, 5] == 1][:, 4].apply_(lambda value: value if value else 1.0) >= 0.3).all())
    difference, pictures = prove_graph(network, tmp_path / "out" / "model.onnx", [])
    assert difference < 1e-3 and pictures == 3
    again = load_network(tmp_path / "out")
    with torch.inference_mode():
        assert torch.equal(network(torch.ones(2, 3, SIZE, SIZE)), again(torch.ones(2, 3, SIZE, SIZE)))


def test_network__what_one_member_knows_is_as_it_was() -> None:
    one, two = seeing_model(("a", "b")), tiny_model(("c", "d"))
    members = (
        Member(folder="member-1", source="1", sha256="1", classes={"a": "a", "b": "b"}),
        Member(folder="member-2", source="2", sha256="2", classes={"c": "c"}),
    )
    told = FusedDescription(image_size=SIZE, classes=("a", "b", "c"), members=members)
    picture = torch.rand(1, 3, SIZE, SIZE)
    with torch.inference_mode():
        rows = build_network([one, two], told)(picture)[0]
        alone = build_network(
            [one, one], told.model_copy(update={"members": (members[0], members[0]), "classes": ("a", "b")})
        )
        expected = alone(picture)[0]
    sure = rows[(rows[:, 4] > 0.3) & (rows[:, 5] < 2)]
    assert len(sure) and torch.allclose(sure, expected[expected[:, 4] > 0.3], atol=1e-4)


def test_network__a_head_with_two_branches() -> None:
    told = describe()
    network = build_network([seeing_model(("a", "b"), architecture=TWO_BRANCHES), seeing_model(("a", "c"))], told)
    with torch.inference_mode():
        rows = network(torch.rand(1, 3, SIZE, SIZE))
    assert rows.shape == (1, 300, 6) and float(rows[0, :, 4].max()) > 0.1


def test_straighten__confidences_become_shares() -> None:
    """A detector says .9 and is right every second time; another class has too few boxes to tell."""
    box = [0.5, 0.5, 0.2, 0.2]
    samples = [Sample(str(at), Path(str(at)), np.array([[0, *box]]), 10, 10, str(at), 0) for at in range(60)]
    found = [
        np.array([[0, *(box if at % 2 else [0.1, 0.1, 0.1, 0.1]), 0.89 + 0.02 * (at % 4 == 1)]]) for at in range(60)
    ]
    found[0] = np.concatenate([found[0], [[1, *box, 0.5]]])
    judged = judge(("a", "b"), samples, found)
    assert judged["a"].objects == 60 and int(judged["a"].right.sum()) == 30
    fitted = straighten(judged)
    assert set(fitted) == {"a"}
    logit = np.log(0.9 / 0.1)
    assert 1 / (1 + np.exp(-(fitted["a"].slope * logit + fitted["a"].offset))) == pytest.approx(0.5, abs=0.1)
    assert judged["b"].threshold() is None


def test_cli__writes_measures_and_predicts(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = draw_delivery(tmp_path / "data", ("a", "b", "other"), 6, seed=1, split="val")
    before = files[0].read_bytes()
    words = ["fuse", *map(str, files), "--out", str(tmp_path / "fused"), "--take", "2:a,c", "--rename", "2:c=other"]
    assert (
        run_app(
            [
                *words,
                "--data",
                str(data),
                "--calibration",
                str(data),
                "--threshold",
                "b=0.2",
                "--weight",
                "2=2",
                "--json",
            ]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["description"]["classes"] == ["a", "b", "other"]
    assert told["description"]["members"][1]["weight"] == 2.0
    assert [row["kind"] for row in told["rows"]] == ["member", "member", "fused", "graph"]
    assert all(row["latencyP95Ms"] >= row["latencyMs"] > 0 for row in told["rows"])
    assert told["rows"][2]["map50"] is not None and told["difference"] < 1e-2 and told["provenOn"] == 15
    assert any("too few" in remark for remark in told["remarks"])
    assert files[0].read_bytes() == before and not list(tmp_path.glob(".*"))

    picture = next((data / "images" / "val").iterdir())
    mine = api.load_fused(tmp_path / "fused").predict(picture, confidence=0.05)[0]
    (theirs,) = YOLO(tmp_path / "fused" / "model.onnx", task="detect").predict(picture, conf=0.05, verbose=False)
    assert isinstance(mine, Results) and isinstance(theirs, Results)
    assert mine.names == theirs.names == {0: "a", 1: "b", 2: "other"}
    assert isinstance(mine.boxes, Boxes) and isinstance(theirs.boxes, Boxes) and len(mine.boxes)
    assert torch.allclose(torch.as_tensor(mine.boxes.data), torch.as_tensor(theirs.boxes.data), atol=1e-2)


@pytest.mark.parametrize(
    ("more", "where", "found"),
    [
        (["--take", "1:a,z"], "FILE 1", "no class 'z'"),
        (["--take", "3:a"], "--take", "3:a"),
        (["--rename", "1:a"], "--rename", "1:a"),
        (["--rename", "1:a=b"], "FILE 1", "would be called 'b'"),
        (["--weight", "1=0"], "--weight", "0"),
        (["--method", "mean"], "--method", "mean"),
        (["--rivals", "2"], "--rivals", "2"),
        (["--threshold", "best"], "--threshold", "no pictures"),
        (["--threshold", "z=0.2"], "--threshold", "'z'"),
        (["--threshold", "a=x"], "--threshold", "x"),
        (["--image-size", "100"], "--image-size", "100"),
    ],
)
def test_cli__refuses(
    more: list[str],
    where: str,
    found: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["fuse", *map(str, files), "--out", str(tmp_path / "fused"), *more]) == BadSpecError.exit_code
    told = " ".join(capsys.readouterr().err.split())
    assert f"{where} " in told and found in told and "Traceback" not in told
    assert not (tmp_path / "fused").exists() and not list(tmp_path.glob(".*"))


def test_fuse__refuses_places_and_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    from treering_trainer.yolo.fusion.fuse import Source

    one, two = (Source(path) for path in files)
    (tmp_path / "there").mkdir()
    cases = (
        ([one, two], tmp_path / "there", "is there already"),
        ([one, two], tmp_path / "no" / "where", "does not exist"),
        ([one], tmp_path / "out", "1 given"),
        ([one, Source(tmp_path / "none.pt")], tmp_path / "out", "does not exist"),
        ([one, Source(tmp_path / "there")], tmp_path / "out", "no folder of a published round"),
    )
    for sources, out, found in cases:
        with pytest.raises(BadSpecError) as raised:
            api.fuse_models(sources, out)
        assert found in raised.value.found
    with pytest.raises(BadSpecError, match="does not exist"):
        api.load_fused(tmp_path / "there")
