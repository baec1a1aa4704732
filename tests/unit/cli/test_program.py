from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.plugins.foreign_formats import FORMATS
from tests.plugins.lines import draw_delivery
from treering_trainer.cli.app import run_app
from treering_trainer.cli.init import as_name

HEAVY = ("torch", "ultralytics", "matplotlib", "sklearn", "scipy", "boto3", "cv2")
LINE = """
apiVersion: treering.dev/v1alpha1
kind: IncrementalTrain
metadata: {name: oak}
spec:
  model: {base: yolov8n.pt}
  store: {uri: "file:///lines/oak"}
  increments: [{name: w1, uri: "file:///deliveries/w1"}]
  queue: night
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text(LINE)
    return path


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["validate", "SPEC"]], ids=lambda words: words[0])
def test_quick_verbs__load_nothing_heavy(words: list[str], spec: Path) -> None:
    arguments = [str(spec) if word == "SPEC" else word for word in words]
    code = (
        "import sys; from treering_trainer.cli.app import run_app\n"
        f"code = run_app({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_looking_verbs__load_no_torch(spec: Path, tmp_path: Path) -> None:
    spec.write_text(LINE.replace("file:///lines/oak", (tmp_path / "store").as_uri()))
    code = (
        "import sys; from treering_trainer.cli.app import run_app\n"
        f"codes = [run_app([*verb.split(), {str(spec)!r}]) for verb in ('plan', 'status', 'history', 'models list')]\n"
        "print(codes, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0] False"


def test_pods_without_a_round__load_no_torch(spec: Path, tmp_path: Path) -> None:
    for name in ("store", "inbox"):
        (tmp_path / name).mkdir()
    inbox = f"  discover: {{uri: '{(tmp_path / 'inbox').as_uri()}'}}\n"
    spec.write_text(LINE.replace("file:///lines/oak", (tmp_path / "store").as_uri()) + inbox)
    code = (
        "import sys; from pathlib import Path; from treering_api import LookPlan, RollbackPlan\n"
        "from treering_trainer import api; from treering_trainer.cli.app import run_app\n"
        f"spec, root = api.load({str(spec)!r}).spec, Path({str(tmp_path)!r})\n"
        "(root / 'look').write_text(LookPlan(line='oak', number=1, spec=spec).model_dump_json())\n"
        "(root / 'back').write_text(RollbackPlan(line='oak', to=1, reason='', spec=spec).model_dump_json())\n"
        "codes = [run_app(['discover', str(root / 'look')]), run_app(['rollback', str(root / 'back')])]\n"
        "print(codes, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 2] False", done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion__for_each_shell(shell: str) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "treering_trainer"]
    shown = subprocess.run(
        [*command, "--show-completion", shell], capture_output=True, text=True, env=environment, check=True
    ).stdout
    assert "_TREERING_COMPLETE" in shown


def test_completion__offers_the_verbs() -> None:
    environment = {**os.environ, "_TREERING_COMPLETE": "complete_bash", "COMP_WORDS": "treering ", "COMP_CWORD": "1"}
    program = Path(sys.executable).with_name("treering")
    done = subprocess.run([program], capture_output=True, text=True, env=environment, check=False)
    assert {"run", "plan", "status", "models", "init"} <= set(done.stdout.split())


def test_validate__says_what_does_not_count_here(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["validate", str(spec)]) == 0
    out = capsys.readouterr().out
    assert "is valid: the line oak, increments w1" in out
    assert "note: spec.queue is not acted upon here" in out


def test_validate__json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["validate", str(spec), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True


@pytest.mark.parametrize(
    "words", [["run"], ["run", "x.yaml", "--jsn"], ["rnu"], ["models", "fetch"]], ids=lambda words: "-".join(words)
)
def test_wrong_command_line__is_a_usage_error_without_traceback(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(words) == 2
    told = capsys.readouterr().err
    assert "Usage: " in told
    assert "Traceback" not in told


def test_internal_error__is_named_and_debug_shows_the_traceback(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from treering_trainer import api

    def broken(_: object) -> None:
        raise ZeroDivisionError("[0]")

    monkeypatch.setattr(api, "validate", broken)
    assert run_app(["validate", str(spec)]) == 1
    assert "InternalError ZeroDivisionError: [0]" in capsys.readouterr().err
    assert run_app(["--debug", "validate", str(spec)]) == 1
    assert "Traceback" in capsys.readouterr().err


# round ---------------------------------------------------------------------------------------------------------------


def test_round__refuses_a_result_that_can_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "no" / "result.json"
    assert run_app(["round", str(tmp_path / "no-plan.json"), "--result", str(absent)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"--result {absent} can't be written: No such file or directory" in told


def test_round__a_result_that_turns_unwritable_hides_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert run_app(["round", str(tmp_path / "no-plan.json"), "--result", str(tmp_path / "result.json")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "can't be written to" in told
    assert "the plan can't be read" in told


def test_round__a_failed_one_leaves_its_result(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    assert run_app(["round", str(tmp_path / "no-plan.json"), "--result", str(result)]) == 2
    assert "the plan can't be read" in json.loads(result.read_text())["message"]


def test_round__what_it_cost_until_it_failed_is_told() -> None:
    from treering_trainer.cli.pods import _Place
    from treering_trainer.progress import Event, Measured, RoundStarted, StageStarted

    place = _Place()
    events: list[Event] = [
        RoundStarted("oak", 2, 3, ("w2",), "new"),
        StageStarted("train", 5, 9),
        Measured("treering_round_gpu_seconds_total", 12.5),
        Measured("treering_round_map50_ratio", 0.5, {"when": "before"}),
    ]
    for event in events:
        place(event)
    assert (place.stage, place.attempt, place.gpu_seconds) == ("train", 3, 12.5)
    assert place.started.endswith("Z")


# validate --data -----------------------------------------------------------------------------------------------------


@pytest.fixture
def oak(tmp_path: Path) -> Path:
    """A line with one delivery of six pictures."""
    data = draw_delivery(tmp_path / "w1", ("ring", "bark"), 6, seed=1)
    text = LINE.replace("file:///deliveries/w1", data.as_uri()).replace("file:///lines", tmp_path.as_uri())
    path = tmp_path / "line.yaml"
    path.write_text(text)
    return path


def test_validate_data__shows_progress_and_notes(oak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["validate", str(oak), "--data", "--workdir", str(tmp_path / "work")]) == 0
    seen = capsys.readouterr()
    assert "fetch: started (1 of 2)" in seen.err
    assert "verify: done" in seen.err
    assert "note: spec.queue is not acted upon here" in seen.out
    assert "and its data are valid" in seen.out


def test_validate_data__json_is_all_there_is(oak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["validate", str(oak), "--data", "--json", "--workdir", str(tmp_path / "work")]) == 0
    seen = capsys.readouterr()
    assert json.loads(seen.out)["counts"][0]["dataset"] == "w1"
    assert seen.err == ""


def test_validate_data__refuses_what_a_round_could_not_measure(
    oak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oak.write_text(oak.read_text() + "  evaluation: {valFraction: 0}\n")
    assert run_app(["validate", str(oak), "--data", "--workdir", str(tmp_path / "work")]) == 2
    seen = capsys.readouterr()
    assert "ring 3" in seen.out
    assert "there is nothing to compare models on" in " ".join(seen.err.split())


@pytest.mark.parametrize("name", ["coco", "voc", "cvat", "label_studio", "roboflow_yolo"])
def test_validate_data__shows_the_format(
    oak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.rmtree(tmp_path / "w1")
    FORMATS[name](tmp_path / "w1")
    assert run_app(["validate", str(oak), "--data", "--workdir", str(tmp_path / "work")]) == 0
    seen = " ".join(capsys.readouterr().out.split())
    assert "read as " in seen
    assert "w1 increment train 3 1 0 ace 1, king 2" in seen
    assert "w1 increment val 1 0 0 ace 1" in seen


def test_validate_data__two_formats_at_once(oak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["coco"](tmp_path / "w1")
    assert run_app(["validate", str(oak), "--data", "--workdir", str(tmp_path / "work")]) == 3
    seen = " ".join(capsys.readouterr().err.split())
    assert "spec.increments[0].uri" in seen and "two formats at once: COCO" in seen and "Traceback" not in seen


# init ----------------------------------------------------------------------------------------------------------------


def test_init__writes_a_spec_that_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = draw_delivery(tmp_path / "2026-11 Karten", ("ring", "bark"), 4, seed=1)
    golden = draw_delivery(tmp_path / "golden", ("ring",), 2, seed=2, split="val")
    out = tmp_path / "line.yaml"
    assert run_app(["init", str(data), "--out", str(out), "--holdout", str(golden)]) == 0
    assert "4 images, classes ring, bark" in capsys.readouterr().out
    document = yaml.safe_load(out.read_text())
    assert document["metadata"]["name"] == "2026-11-karten"
    assert document["spec"]["evaluation"]["holdouts"][0]["uri"] == golden.as_uri()
    assert run_app(["validate", str(out)]) == 0


def test_init__of_another_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["voc"](tmp_path / "w1")
    assert run_app(["init", str(tmp_path / "w1"), "--out", str(tmp_path / "line.yaml")]) == 0
    assert "4 images, classes ace, king" in capsys.readouterr().out


def test_init__never_overwrites_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = draw_delivery(tmp_path / "2026-11-23", ("ring",), 2, seed=1)  # unquoted, YAML would read a date
    words = ["init", str(data), "--out", str(tmp_path / "line.yaml")]
    assert run_app(words) == 0
    assert run_app(words) == 2
    assert "the file exists" in capsys.readouterr().err
    assert run_app([*words, "--force"]) == 0


@pytest.mark.parametrize(
    ("make", "found"),
    [
        pytest.param(lambda path: None, "there is no such folder", id="absent"),
        pytest.param(lambda path: path.mkdir(), "no images under images/", id="empty"),
    ],
)
def test_init__of_no_delivery(make: object, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(make)
    make(tmp_path / "data")
    assert run_app(["init", str(tmp_path / "data"), "--out", str(tmp_path / "line.yaml")]) == 2
    assert found in capsys.readouterr().err
    assert not (tmp_path / "line.yaml").exists()


def test_init__where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = draw_delivery(tmp_path / "w1", ("ring",), 2, seed=1)
    assert run_app(["init", str(data), "--out", str(tmp_path / "no" / "folder.yaml")]) == 2
    assert "it can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "name"), [("Cards_2", "cards-2"), ("--x--", "x"), ("ß", "line"), ("a" * 62 + "-b", "a" * 62)]
)
def test_as_name(text: str, name: str) -> None:
    assert as_name(text) == name
