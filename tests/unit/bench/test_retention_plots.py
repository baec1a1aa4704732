from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.retention import plots
from bench.retention.book import Book, Row
from bench.retention.summary import summarise

RESULTS = Path(__file__).parents[3] / "bench" / "results"


def fourfold(row: Row) -> Row:
    """The same numbers for four times as many classes."""

    def names(cells: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{cell}-{copy}" for cell in cells for copy in range(4))

    scores = {name: score for cell, score in row.scores.items() for name in names([cell])}
    return replace(row, scores=scores, old=names(row.old), new=names(row.new), known=names(row.known))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All that are drawn, instead of files."""
    found: list[Any] = []

    def keep(figure: Any, path: Path) -> Path:
        found.append(figure)
        return path

    monkeypatch.setattr(plots, "_save", keep)
    return found


@pytest.mark.parametrize("name", ["cards-steps", "cards-policies"], ids=["one-panel", "five-panels"])
def test_plots__title_and_keys_are_inside_the_picture(name: str, tmp_path: Path, figures: list[Any]) -> None:
    rows = Book.read(RESULTS / f"{name}.json").rows
    plots.draw(rows, summarise(rows), tmp_path / "out.json")
    assert len(figures) == 2
    for figure in figures:
        figure.canvas.draw()
        words = [figure._suptitle, *figure.legends]
        for word in words:
            box = word.get_window_extent()
            assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        for axis in figure.axes:
            assert not any(axis.get_tightbbox().overlaps(word.get_window_extent()) for word in words)


def test_plots__more_curves_than_colours_are_told_apart_by_their_marks(tmp_path: Path, figures: list[Any]) -> None:
    rows = [fourfold(row) for row in Book.read(RESULTS / "cards-steps.json").rows]
    plots.draw(rows, summarise(rows), tmp_path / "out.json")
    _, classes = figures
    curves = [line for line in classes.axes[0].lines if line.get_marker() != "None"]
    assert len(curves) == 24
    assert len({(line.get_color(), line.get_marker()) for line in curves}) == 24
