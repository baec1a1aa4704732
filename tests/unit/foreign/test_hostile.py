"""The corpus of hostile files: none of them runs, each is refused by name, by every verb that reads one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hostile_files import GREEDY, HOSTILE, Hostile
from tests.plugins.lines import draw_delivery
from treering_api import BadSpecError
from treering_trainer.cli.app import run_app
from treering_trainer.yolo.foreign import load_foreign


def made(hostile: Hostile, folder: Path) -> tuple[Path, Path]:
    """The file, and the canary that its code would leave."""
    path, canary = folder / "file.pt", folder / "canary"
    hostile.make(path, canary)
    assert not canary.exists()
    return path, canary


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file__is_refused_by_name_and_never_runs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, canary = made(HOSTILE[name], tmp_path)
    before = path.read_bytes()
    assert run_app(["inspect", str(path)]) == 2
    said = capsys.readouterr().err
    assert HOSTILE[name].found in said and "Traceback" not in said
    assert run_app(["convert", str(path), "--out", str(tmp_path / "out.pt")]) == 2
    assert HOSTILE[name].found in capsys.readouterr().err
    with pytest.raises(BadSpecError) as refused:
        load_foreign(path, shown_as="s3://models/base.pt")
    assert HOSTILE[name].found in str(refused.value) and "\n" not in str(refused.value)
    assert str(refused.value).startswith("spec.model.base: s3://models/base.pt ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.pt"] and path.read_bytes() == before
    assert not canary.exists()


def test_hostile_file__is_a_bomb_where_it_is_trusted(tmp_path: Path) -> None:
    """Proves that the corpus can fail: Python's own unpickler runs it."""
    import torch

    path, canary = made(HOSTILE["os-system"], tmp_path)
    torch.load(path, weights_only=False)
    assert canary.exists()


def test_greedy_architecture__is_not_built(tmp_path: Path) -> None:
    path, _ = made(GREEDY, tmp_path)
    with pytest.raises(BadSpecError, match=GREEDY.found):
        load_foreign(path, shown_as="base")


def test_line__with_a_hostile_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, canary = made(HOSTILE["os-system"], tmp_path)
    draw_delivery(tmp_path / "w1", ("a", "b"), 6, seed=1)
    spec = tmp_path / "line.yaml"
    spec.write_text(
        "apiVersion: treering.dev/v1alpha1\nkind: IncrementalTrain\nmetadata: {name: oak}\nspec:\n"
        f"  model: {{base: '{path.as_uri()}', imageSize: 64}}\n  store: {{uri: '{(tmp_path / 'store').as_uri()}'}}\n"
        f"  increments: [{{name: w1, uri: '{(tmp_path / 'w1').as_uri()}'}}]\n"
    )
    assert run_app(["run", str(spec), "--workdir", str(tmp_path / "work")]) == 2
    said = capsys.readouterr().err
    assert "spec.model.base" in said and "holds posix.system" in said
    assert not canary.exists()
