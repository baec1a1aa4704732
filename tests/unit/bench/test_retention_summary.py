from __future__ import annotations

import io
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.retention.book import Book, Cost, Row
from bench.retention.plots import draw, pareto
from bench.retention.summary import best_rate, forgotten, summarise
from bench.retention.table import COLUMNS, markdown, show

OLD, NEW = ("val/a", "val/b"), ("val/c",)


def row(
    method: str, a: float, b: float, c: float, *, seed: int = 0, step: int = 2, rate: float | None = None,
    seconds: float | None = 100.0, probe_s: float = 2.0, passes: int = 400, forward: int = 0, steps: int = 2,
) -> Row:  # fmt: skip
    scores = {"val/a": (a, a / 2), "val/b": (b, b / 2), "val/c": (c, c / 2)}
    cost = Cost(passes, forward, seconds=seconds, probe_s=probe_s)
    known = OLD if step > 1 else ()
    return Row("voc", method, seed, rate, step, steps, scores, OLD, NEW, known, cost, joint_passes=1000)


FIRST = row("first", 0.9, 0.7, 0.0, step=1)
JOINT = row("joint", 0.9, 0.9, 0.9, passes=1000, seconds=500.0)


def test_row__means_by_group() -> None:
    mine = row("plain", 0.8, 0.6, 0.4)
    assert (mine.mean("all"), mine.mean("old"), mine.mean("new")) == pytest.approx((0.6, 0.7, 0.4))
    assert mine.mean("all", 1) == pytest.approx(0.3)
    assert replace(mine, new=()).mean("new") is None


def test_row__a_class_that_the_model_does_not_know_scores_zero() -> None:
    assert replace(row("naive", 0.8, 0.6, 0.4), scores={"val/a": (0.9, 0.5)}).mean("all") == pytest.approx(0.3)


def test_forgotten__points_since_the_first_model() -> None:
    mine = row("plain", 0.8, 0.6, 0.4)
    assert forgotten(mine, [FIRST, mine]) == pytest.approx(10.0)
    assert forgotten(JOINT, [FIRST, JOINT]) is None
    assert forgotten(mine, [mine]) is None  # nothing to compare with


def test_forgotten__each_delivery_against_the_model_before() -> None:
    rows = [FIRST, row("plain", 0.8, 0.6, 0.4, steps=3), row("plain", 0.9, 0.4, 0.4, step=3, steps=3)]
    assert forgotten(rows[2], rows) == pytest.approx(5.0)
    (found,) = summarise(rows)
    assert found.forgotten is not None and found.forgotten.mean == pytest.approx(15.0)


def test_summarise__beside_joint() -> None:
    (joint, plain) = summarise([FIRST, JOINT, row("plain", 0.9, 0.9, 0.45, forward=300)])
    assert plain.percent is not None and plain.percent.mean == pytest.approx(100 * 0.75 / 0.9)
    assert plain.passes is not None and plain.passes.mean == pytest.approx(500)  # a forward pass is a third
    assert plain.passes_beside_joint is not None and plain.passes_beside_joint.mean == pytest.approx(0.5)
    assert plain.seconds_beside_joint is not None and plain.seconds_beside_joint.mean == pytest.approx(0.2)
    assert joint.percent is not None and joint.percent.mean == pytest.approx(100)
    assert joint.seconds_beside_joint is not None and joint.seconds_beside_joint.mean == pytest.approx(1)


def test_summarise__seconds_are_counted_in_the_machines_own_speed() -> None:
    """Twice the seconds on a machine half as fast are no more."""
    slow = row("plain", 0.9, 0.9, 0.9, seconds=200.0, probe_s=4.0)
    found = {item.method: item.seconds_beside_joint for item in summarise([FIRST, JOINT, slow])}
    beside = found["plain"]
    assert beside is not None and beside.mean == pytest.approx(0.2)


def test_summarise__a_round_that_was_cut_off_has_no_seconds() -> None:
    (_, plain) = summarise([FIRST, JOINT, row("plain", 0.9, 0.9, 0.9, seconds=None)])
    assert plain.seconds is None and plain.seconds_beside_joint is None and plain.restarted
    assert "-*" in markdown([plain])


def test_summarise__spread_over_seeds() -> None:
    rows = [row("plain", value, value, value, seed=seed) for seed, value in enumerate((0.5, 0.7, 0.9))]
    (found,) = summarise(rows)
    assert found.seeds == (0, 1, 2)
    assert found.all is not None
    assert astuple(found.all) == pytest.approx((0.7, 0.5, 0.9, 0.2))


def test_summarise__a_course_that_is_not_ended_has_none() -> None:
    assert summarise([FIRST, row("plain", 0.9, 0.9, 0.9, steps=3)]) == []


def test_best_rate__by_mean_over_the_seeds_that_all_have() -> None:
    rows = [
        row("joint", 0.5, 0.5, 0.5, rate=1e-3), row("joint", 0.7, 0.7, 0.7, rate=1e-3, seed=1),
        row("joint", 0.6, 0.6, 0.6, rate=2e-3),
    ]  # fmt: skip
    assert best_rate(rows) == (2e-3,)
    assert best_rate([*rows, row("joint", 0.5, 0.5, 0.5, rate=2e-3, seed=1)]) == (1e-3,)
    assert best_rate([]) is None
    (found,) = summarise(rows)
    assert found.rate == 2e-3 and found.seeds == (0,)


def test_book__rows_come_back_and_are_replaced(tmp_path: Path) -> None:
    book = Book.open(tmp_path / "out" / "f.json", {"data": "cards", "names": ("a", "b")}, "first call")
    book.add(FIRST)
    book.add(row("plain", 0.5, 0.5, 0.5, forward=3))
    book.add(row("plain", 0.6, 0.6, 0.6))
    again = Book.open(tmp_path / "out" / "f.json", {"data": "cards", "names": ("a", "b")}, "second call")
    assert [item.key for item in again.rows] == [item.key for item in book.rows]
    assert again.rows[1].mean("all") == pytest.approx(0.6)
    assert again.rows[1].cost == book.rows[1].cost
    assert again.has("voc", "plain", 0, None, 2) and not again.has("voc", "plain", 1, None, 2)
    assert again.command == "first call; second call"


def test_book__another_comparison_is_refused(tmp_path: Path) -> None:
    Book.open(tmp_path / "f.json", {"data": "cards"}).add(FIRST)
    with pytest.raises(SystemExit, match="other data"):
        Book.open(tmp_path / "f.json", {"data": "bccd"})


def test_markdown__one_line_a_method_and_every_class() -> None:
    shown = markdown(summarise([FIRST, JOINT, row("plain", 0.8, 0.6, 0.4), row("plain", 0.9, 0.6, 0.4, seed=1)]))
    lines = shown.splitlines()
    assert lines[0] == "### voc"
    assert lines[2].count("|") == len(COLUMNS) + 1
    assert any(line.startswith("| plain | own | 2 | .617 ± .024 | .725 ± .035 | .400 |") for line in lines)
    assert "| plain | 0.850 | 0.600 | 0.400 |" in lines


@pytest.mark.parametrize("width", [80, 200], ids=["narrow", "wide"])
def test_show__every_method_whatever_the_width(width: int) -> None:
    out = io.StringIO()
    rows = [FIRST, JOINT, row("plain", 0.8, 0.6, 0.4), row("plain+classBalance", 0.8, 0.6, 0.4)]
    show(summarise(rows), Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    (plain,) = (text for text in lines if "plain " in text)
    assert ".600" in plain and "+10.0" in plain and "66.7" in plain
    assert any("plain+classBalance" in text for text in lines)
    assert max(map(len, lines[: lines.index(plain)])) <= width


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1.0, 0.9), (0.5, 0.8), (0.6, 0.7), (0.2, 0.3)], [3, 1, 0]),
        ([(0.5, 0.8), (0.5, 0.9)], [1]),
        ([(0.5, 0.8), (0.4, 0.8)], [1]),
        ([], []),
    ],
    ids=["dominated", "same-cost", "same-score", "none"],
)
def test_pareto__what_nothing_beats(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto(points) == front


def test_draw__without_joint_and_with_one_row(tmp_path: Path) -> None:
    rows = [row("plain", 0.8, 0.6, 0.4)]
    assert [path.name for path in draw(rows, summarise(rows), tmp_path / "f.json")] == [
        "f-voc-cost.png", "f-voc-classes.png",
    ]  # fmt: skip
