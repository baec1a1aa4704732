from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.retention import plots
from bench.retention.book import Book
from bench.retention.summary import summarise

RESULTS = Path(__file__).parents[3] / "bench" / "results"


@pytest.mark.parametrize("name", ["cards-steps", "cards-policies"], ids=["one-panel", "five-panels"])
def test_plots__title_and_keys_are_inside_the_picture(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []

    def keep(figure: Any, path: Path) -> Path:
        figures.append(figure)
        return path

    monkeypatch.setattr(plots, "_save", keep)
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
