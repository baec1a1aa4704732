from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import demo
from make_scenes import DELIVERIES
from treering_api.load import parse


@pytest.mark.parametrize("deliveries", [1, 2, 3])
def test_write_spec__is_a_valid_line_of_so_many_increments(tmp_path: Path, deliveries: int) -> None:
    path = demo.write_spec(tmp_path, deliveries)
    line = parse(path.read_text(), str(path))
    assert [increment.name for increment in line.spec.increments] == list(DELIVERIES)[:deliveries]
    assert {increment.uri for increment in line.spec.increments} == {
        f"file://{tmp_path}/deliveries/{name}" for name in list(DELIVERIES)[:deliveries]
    }


def test_write_spec__only_the_first_round_is_told_its_epochs(tmp_path: Path) -> None:
    first, second = (yaml.safe_load(demo.write_spec(tmp_path, number).read_text()) for number in (1, 2))
    assert "epochs" in first["spec"]["training"]
    assert "epochs" not in second["spec"]["training"]


def test_clear__leaves_what_the_demo_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "store" / "rounds").mkdir(parents=True)
    (tmp_path / "line.yaml").write_text("old")
    (tmp_path / "mine.txt").write_text("keep")
    demo.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_find_report__takes_the_highest_page(tmp_path: Path) -> None:
    round_page = tmp_path / "store" / "rounds" / "0001" / "report.html"
    round_page.parent.mkdir(parents=True)
    round_page.write_text("round")
    (tmp_path / "store" / "index.html").write_text("line")
    assert demo.find_report(tmp_path) == tmp_path / "store" / "index.html"


def test_find_report__says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="store"):
        demo.find_report(tmp_path)


def test_grow__stops_with_the_code_of_the_call_that_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        demo.grow(tmp_path)  # no deliveries were made
    output = capfd.readouterr().out
    assert stop.value.code not in (0, None)
    assert f"ended with exit code {stop.value.code}," in output
    assert output.count("$ treering run") == 1
