"""What is read of good files: tensors bit for bit, names, what serves training only; by a child that can do little."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.plugins.tiny_training import differing, tensors_of, tiny_model
from tests.plugins.upstream import PRIVATE, layout, lively_original, save_upstream, save_yolov5
from treering_api import BadSpecError
from treering_trainer.cli.app import run_app
from treering_trainer.foreign.reading import opened, read_model_file
from treering_trainer.foreign.recognition import breakdown, recognise, surplus


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    with opened(path, shown_as="x") as (_, tensors):
        return load_file(tensors)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors__are_those_of_the_state(zipped: bool, tmp_path: Path) -> None:
    model = tiny_model(("a", "b")).to(memory_format=torch.channels_last)  # views with strides of their own
    torch.save({"model": model}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read_tensors(tmp_path / "x.pt")
    assert list(found) == list(model.state_dict())
    assert differing(tensors_of(model), found) == []


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_tensors__keep_their_precision(kind: torch.dtype, tmp_path: Path) -> None:
    wanted = {"w": torch.arange(12).reshape(3, 4).to(kind).t(), "n": torch.tensor(7)}
    torch.save({"state_dict": wanted}, tmp_path / "x.pt")
    found = read_tensors(tmp_path / "x.pt")
    assert found["w"].dtype == kind and torch.equal(found["w"], wanted["w"]) and int(found["n"]) == 7


def test_safetensors__are_read(tmp_path: Path) -> None:
    save_file({"w": torch.rand(3, 4)}, tmp_path / "x.safetensors")
    file = read_model_file(tmp_path / "x.safetensors", shown_as="x")
    assert (file.container, file.tensors[0].shape, recognise(file).family) == ("safetensors", (3, 4), "tensors")


def test_average__is_preferred(tmp_path: Path) -> None:
    model = lively_original(layout("t"), ("a", "b"))
    save_upstream(model, tmp_path / "x.pt", ema=True, half=False)
    assert differing(tensors_of(model), read_tensors(tmp_path / "x.pt")) == []


def test_dual__is_recognised_with_all_that_serves_training(tmp_path: Path) -> None:
    save_upstream(lively_original(layout("t"), tuple("abcde")), tmp_path / "x.pt", ema=True)
    file = read_model_file(tmp_path / "x.pt", shown_as="x")
    kind = recognise(file)
    assert (kind.family, kind.size, kind.classes) == ("yolov9-dual", "t", tuple("abcde"))
    assert (kind.parameters, kind.parameters - kind.auxiliary_parameters) == (2_660_846, 1_914_223)
    assert {PRIVATE, "git@example.org:me/yolov9.git"} <= set(file.private)
    parts = {part.name: part for part in breakdown(file, kind)}
    assert {part.name for part in surplus(file, kind)} >= {"auxiliary branch", "model", "optimizer", "opt", "git"}
    assert parts["ema"].size_bytes + parts["auxiliary branch"].size_bytes == sum(
        tensor.numel() * tensor.element_size() for tensor in read_tensors(tmp_path / "x.pt").values()
    )
    assert parts["optimizer"].size_bytes == 40
    assert sum(part.size_bytes for part in parts.values()) == pytest.approx(file.size_bytes, rel=0.1)


def test_yolov5__is_recognised_and_not_grown(tmp_path: Path) -> None:
    from treering_trainer.yolo.foreign import load_foreign

    save_yolov5(tmp_path / "x.pt", ("person", "car"))
    file = read_model_file(tmp_path / "x.pt", shown_as="x")
    assert (recognise(file).label, file.classes) == ("YOLOv5n (original, anchors)", ("person", "car"))
    with pytest.raises(BadSpecError, match="original YOLOv5"):
        load_foreign(tmp_path / "x.pt", shown_as="x")


def test_inspect__as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"ema": tiny_model(("a", "b")), "train_args": {"project": PRIVATE}}, tmp_path / "x.pt")
    assert run_app(["inspect", str(tmp_path / "x.pt"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["family"], data["classes"], data["private"]) == ("ultralytics", ["a", "b"], [PRIVATE])
    assert [part["name"] for part in data["parts"] if part["trainingOnly"]] == ["train_args"]


def test_inspect__as_a_table_without_torch(tmp_path: Path) -> None:
    torch.save({"model": tiny_model(("a", "b")), "opt": argparse.Namespace(data=PRIVATE)}, tmp_path / "x.pt")
    code = (
        "import sys; from treering_trainer.cli.app import run_app\n"
        f"code = run_app(['inspect', {str(tmp_path / 'x.pt')!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert PRIVATE in done.stdout and "training only" in done.stdout and "2: a, b" in done.stdout


def test_names__can_not_steer_the_terminal(tmp_path: Path) -> None:
    torch.save({"model": tiny_model(("a\x1b[2J", "b"))}, tmp_path / "x.pt")
    assert read_model_file(tmp_path / "x.pt", shown_as="x").classes == ("a\N{REPLACEMENT CHARACTER}[2J", "b")


def test_missing_file__is_told() -> None:
    with pytest.raises(BadSpecError, match="there is no such file"):
        read_model_file(Path("/nowhere/x.pt"), shown_as="x")


CONFINED = """
import os, socket, sys, ctypes, resource
from treering_trainer.foreign.confinement import {border}
{call}
for what, act in {{
    "socket": lambda: socket.socket(),
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "create": lambda: os.open({place!r}, os.O_CREAT | os.O_WRONLY),
    "unlink": lambda: os.unlink({victim!r}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": lambda: os.fork(),
    "kill": lambda: os.kill(1, 0),
}}.items():
    try:
        act()
        print(what, "done")
    except PermissionError:
        print(what, "refused")
"""


@pytest.mark.parametrize(
    ("border", "call"),
    [
        ("_filter_calls", "print('stands', _filter_calls(ctypes.CDLL(None, use_errno=True)))"),
        ("_listen_to_audit", "print('stands', True); _listen_to_audit()"),
    ],
    ids=["kernel", "audit"],
)
def test_borders__each_alone_holds(border: str, call: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    program = CONFINED.format(border=border, call=call, place=str(tmp_path / "made"), victim=str(victim))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, *said = done.stdout.splitlines()
    assert first == "stands True"
    assert said == [f"{what} refused" for what in ("socket", "open", "create", "unlink", "exec", "fork", "kill")]
    assert victim.exists() and not (tmp_path / "made").exists()


def test_child__gets_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen.json"
    program = f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("treering_trainer.foreign.reading.PROGRAM", program)
    (tmp_path / "x.pt").touch()
    with pytest.raises(BadSpecError, match="can be read"):
        read_model_file(tmp_path / "x.pt", shown_as="x")
    assert "secret" not in seen.read_text() and "PATH" not in json.loads(seen.read_text())


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.abort()",
        "print('{}{')",
        "print('[1]')",
        'print(\'{"contents": {"container": 1}, "borders": []}\')',
    ],
    ids=["crash", "no-json", "no-object", "other-fields"],
)
def test_child__that_goes_wrong_is_a_refusal(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treering_trainer.foreign.reading.PROGRAM", program)
    (tmp_path / "x.pt").touch()
    with pytest.raises(BadSpecError, match="is no checkpoint that can be read"):
        read_model_file(tmp_path / "x.pt", shown_as="x")


def test_child__that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "pid"
    program = f"import os, time; open({str(place)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr("treering_trainer.foreign.reading.PROGRAM", program)
    monkeypatch.setattr("treering_trainer.foreign.reading.WALL_S", 3.0)
    (tmp_path / "x.pt").touch()
    with pytest.raises(BadSpecError, match="took more than 3 s"):
        read_model_file(tmp_path / "x.pt", shown_as="x")
    if place.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(place.read_text()), 0)
