"""The whole bench on pictures of 64 pixels, its child processes played in this one, where torch is loaded once."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from ultralytics.engine import trainer

from bench.retention import bare, lines, probe, seeded, trainings
from bench.retention.__main__ import main, own_cache
from bench.retention.book import Book
from bench.retention.process import Ended, FailedError
from tests.plugins.lines import TINY, draw_delivery
from treering_trainer.cli.app import run_app
from treering_trainer.stages import train as stage

CLASSES = ("ring", "bark", "leaf", "root")
CALLS: list[tuple[str, ...]] = []


def call_here(*words: str | Path, heard: bool = True) -> Ended:
    """What `process.call` does, without a process."""
    module, *arguments = map(str, words)
    CALLS.append((module, *arguments))
    out, start_s = io.StringIO(), time.monotonic()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", [module, *arguments])
        patch.setattr(stage, "run_recipe", vars(stage)["run_recipe"])  # put back what `seeded` sets, and `bare`
        patch.setattr(trainer, "check_amp", vars(trainer)["check_amp"])
        if module == "bench.retention.bare":
            bare.main()
        else:
            code = seeded.main() if module == "bench.retention.seeded" else run_app(arguments)
            assert code == 0, out.getvalue()
    return Ended(out.getvalue(), time.monotonic() - start_s, 0.1)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    for module in (lines, trainings):
        monkeypatch.setattr(module, "call", call_here)
    monkeypatch.setattr(probe, "measure", lambda pixels: 2.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = draw_delivery(tmp_path / "data", CLASSES, 16, seed=1, names=CLASSES)
    draw_delivery(folder, CLASSES, 8, seed=2, split="val", names=CLASSES)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return folder


def words(root: Path, methods: str, out: str = "f.json") -> list[str]:
    return [
        *("--data", str(root / "data"), "--weights", str(root / "tiny.yaml"), "--out", str(root / out)),
        *("--cache", str(root / "cache"), "--method", methods, "--image-size", "64"),
        *("--epochs", "1", "--first-epochs", "1", "--joint-epochs", "1"),
    ]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_retention__from_pictures_to_plots(here: None, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = data.parent
    assert main(words(root, "joint,naive,plain")) == 0
    report = read(root / "f.json")
    assert [(row["method"], row["step"]) for row in report["rows"]] == [
        ("joint", 2), ("first", 1), ("naive", 2), ("plain", 2),
    ]  # fmt: skip
    joint, first, naive, plain = report["rows"]
    assert set(joint["scores"]) == {f"val/{name}" for name in CLASSES}
    (used, *_), on_gpu = (root / "cache" / "bare").glob("*/run/args.yaml"), torch.cuda.is_available()
    assert yaml.safe_load(used.read_text())["amp"] is on_gpu, "on a processor half precision takes hours"
    assert (joint["cost"]["image_passes"], joint["joint_passes"], naive["cost"]["image_passes"]) == (16, 16, 8)
    assert first["old"] == [] and first["new"] == ["val/ring", "val/bark"]
    assert plain["old"] == ["val/ring", "val/bark"] and plain["new"] == ["val/leaf", "val/root"]
    # eight new images and the eight remembered ones; the old model looked at the new ones once
    assert (plain["cost"]["image_passes"], plain["cost"]["forward_passes"]) == (16, 8)
    assert plain["strategy"] == "incremental" and plain["cost"]["probe_s"] == 2.0
    assert [item["method"] for item in report["summary"]] == ["joint", "naive", "plain"]
    assert all((root / f"f-voc-{name}.png").stat().st_size > 10_000 for name in ("cost", "classes"))
    assert "plain" in capsys.readouterr().out
    assert not list((root / "cache" / "lines").iterdir()) and not list((root / "cache" / "courses").iterdir())

    CALLS.clear()
    assert main(words(root, "joint,naive,plain")) == 0
    assert CALLS == []  # all rows are there

    assert main(words(root, "joint,naive", out="other.json")) == 0
    assert CALLS == []  # bare trainings and the first round come from the cache
    other = read(root / "other.json")
    assert all(row["cached"] for row in other["rows"])
    assert other["rows"][0]["scores"] == joint["scores"]


def test_retention__two_calls_in_one_cache(data: Path) -> None:
    root = data.parent
    with own_cache(root / "cache"), pytest.raises(SystemExit, match=r"--cache: another call works in .*cache; wait"):
        main(words(root, "joint"))
    assert not (root / "f.json").exists()
    with own_cache(root / "cache"):
        pass  # the first one has gone: it is free again


def test_retention__a_line_starts_from_the_shared_first_model(here: None, data: Path) -> None:
    root = data.parent
    assert main([*words(root, "plain,yolo-lwf-ocdm"), "--keep"]) == 0
    kept = {path.name.partition("-")[0]: path for path in (root / "cache" / "lines").iterdir()}
    first = load_file(next((root / "cache" / "first").glob("*/round-1/model.safetensors")))
    for name in ("plain", "yolo"):
        weights = load_file(kept[name] / "round-1" / "model.safetensors")
        assert all(np.array_equal(weights[key], tensor) for key, tensor in first.items())
    memories = [len(read(kept[name] / "round-1" / "memory.json")["items"]) for name in ("plain", "yolo")]
    assert memories == [8, 1]  # each remembers by its own policies: 20 at most, a twentieth


def test_retention__a_line_that_was_cut_off_goes_on(
    here: None, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data.parent

    def stop_at_the_third(*words: str | Path, heard: bool = True) -> Ended:
        if words[:2] == ("treering_trainer", "run") and "step-3" in Path(words[2]).read_text():
            raise KeyboardInterrupt
        return call_here(*words, heard=heard)

    asked = [*words(root, "plain"), "--scenario", "five-steps"]
    monkeypatch.setattr(lines, "call", stop_at_the_third)
    assert main(asked) == 130
    assert "goes on from here" in capsys.readouterr().err
    before = read(root / "f.json")["rows"]
    assert [(row["method"], row["step"]) for row in before] == [("first", 1), ("plain", 2)]

    monkeypatch.setattr(lines, "call", call_here)
    CALLS.clear()
    assert main(asked) == 0
    assert [call[1] for call in CALLS] == ["run", "models"]  # the third round alone, and its model
    after = read(root / "f.json")["rows"]
    assert after[:2] == [{**row, **{key: after[at][key] for key in ("cached",)}} for at, row in enumerate(before)]
    assert (after[2]["step"], after[2]["steps"], after[2]["new"]) == (3, 3, ["val/root"])


def test_retention__a_method_that_fails_does_not_end_the_others(
    here: None, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data.parent

    def fail_once(*words: str | Path, heard: bool = True) -> Ended:
        if not CALLS:
            CALLS.append(("failed",))
            raise FailedError("python -m bench.retention.bare ended with 1")
        return call_here(*words, heard=heard)

    monkeypatch.setattr(trainings, "call", fail_once)
    assert main([*words(root, "joint"), "--rates", "1e-3,2e-3"]) == 1
    assert "joint failed and is passed over: python -m bench.retention.bare" in capsys.readouterr().err
    assert [row["rate"] for row in read(root / "f.json")["rows"]] == [2e-3]


def test_retention__table_of_a_file(here: None, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = data.parent
    assert main(words(root, "joint")) == 0
    capsys.readouterr()
    assert main(["--table", str(root / "f.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("### voc\n\n| method | rate |")
    assert "| joint | own | 1 |" in shown


def test_retention__another_comparison_is_refused(here: None, data: Path) -> None:
    root = data.parent
    assert main(words(root, "joint")) == 0
    with pytest.raises(SystemExit, match="other imageSize"):
        main([*words(root, "joint"), "--image-size", "96"])
    assert len(Book.read(root / "f.json").rows) == 1
