"""Curves as inline SVG that takes its text, font and colours from the page around it.

Called by `pages`. Draws with matplotlib's object interface, never pyplot. The same numbers give the same bytes. What
matplotlib adds for a file of its own (prologue, metadata, namespaces, clip paths, a style for the whole page) is
removed, so nothing in the result refers to anything outside it.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from treering_api.lineage import RoundSummary
from treering_trainer.records import RoundRecord

# Stand-ins for colours that only the page knows (light, dark, print): exact RGB values that occur nowhere else.
_COLOURS = {
    "#010101": "var(--ink)",
    "#010102": "var(--muted)",
    "#010103": "var(--line)",
    "#010104": "var(--series-1)",
    "#010105": "var(--series-2)",
    "#010106": "var(--series-3)",
    "#010107": "var(--series-4)",
    "#010108": "var(--bad)",
}
_INK, _MUTED, _LINE, *_SERIES, _BAD = _COLOURS
_DASHES = ("-", "--", "-.", ":")
_alone = threading.Lock()  # matplotlib's settings are global; whoever changes them must be alone


@dataclass(frozen=True)
class Chart:
    """One drawing with its title; `svg` may be put into a page as it is."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class _Series:
    label: str
    points: tuple[tuple[float, float], ...]


def training_charts(record: RoundRecord) -> tuple[Chart, ...]:
    """Losses, learning rate and fitness over the epochs; none where no epoch was trained."""
    epochs = record.train.epochs
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch.losses))
    losses = [_Series(name, tuple((e.epoch, e.losses[name]) for e in epochs if name in e.losses)) for name in names]
    rates = [_Series("learning rate", tuple((epoch.epoch, epoch.learning_rate) for epoch in epochs))]
    fitness = [_Series("fitness", tuple((e.epoch, e.fitness) for e in epochs if e.fitness is not None))]
    wanted = (("Losses", losses), ("Learning rate", rates), ("Fitness (mAP50-95 on the val sets)", fitness))
    with _settings():
        return tuple(_lines(title, "epoch", series) for title, series in wanted if any(one.points for one in series))


def line_charts(rounds: Sequence[RoundSummary]) -> tuple[Chart, ...]:
    """mAP50 and forgetting over the rounds of a line; none for a line without rounds."""
    if not rounds:
        return ()
    ordered = sorted(rounds, key=lambda summary: summary.round)
    with _settings():
        charts = [_scores(ordered)]
        if any(summary.forgetting is not None for summary in ordered):
            charts.append(_forgetting(ordered))
    return tuple(charts)


def _lines(title: str, x_label: str, series: Sequence[_Series]) -> Chart:
    figure, axes = _figure(x_label)
    for number, one in enumerate(series):
        marker = "o" if len(one.points) == 1 else ""
        colour, dashes = _SERIES[number % len(_SERIES)], _DASHES[number % len(_DASHES)]
        axes.plot(
            [x for x, _ in one.points], [y for _, y in one.points], dashes, color=colour, marker=marker, label=one.label
        )
    if len(series) > 1:
        _legend(axes)
    return Chart(title, _svg(figure, title))


def _scores(rounds: Sequence[RoundSummary]) -> Chart:
    figure, axes = _figure("round")
    published = [summary for summary in rounds if summary.verdict == "published"]
    rejected = [summary for summary in rounds if summary.verdict != "published"]
    axes.plot(
        [s.round for s in published], [_number(s.map50) for s in published], "-o", color=_SERIES[0], markersize=4.5
    )
    axes.lines[0].set_label("published")
    if rejected:
        axes.plot([s.round for s in rejected], [_number(s.map50) for s in rejected], "x", color=_BAD, label="rejected")
        _legend(axes)
    axes.set_ylim(0, 1.04)
    return Chart("mAP50 over all classes", _svg(figure, "mAP50 over the rounds"))


def _forgetting(rounds: Sequence[RoundSummary]) -> Chart:
    figure, axes = _figure("round")
    known = [(summary.round, summary.forgetting * 100) for summary in rounds if summary.forgetting is not None]
    colours = [_BAD if lost > 0 else _SERIES[0] for _, lost in known]
    axes.bar([number for number, _ in known], [lost for _, lost in known], width=0.55, color=colours)
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    axes.set_xlim(min(s.round for s in rounds) - 0.6, max(s.round for s in rounds) + 0.6)
    return Chart("Points lost on old classes (below zero: gained)", _svg(figure, "Forgetting per round, in points"))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _figure(x_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 2.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label, color=_MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.tick_params(colors=_MUTED, labelcolor=_INK, length=0)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    return figure, axes


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, labelcolor=_INK, loc="best", handlelength=2.2)


def _svg(figure: Figure, title: str) -> Markup:
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(file.getvalue(), title)


@contextmanager
def _settings() -> Iterator[None]:
    with _alone, matplotlib.rc_context({"svg.hashsalt": "treering", "svg.fonttype": "none", "text.parse_math": False}):
        yield


def _inline(text: str, title: str) -> Markup:
    prefix = re.sub(r"\W+", "-", title).lower()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(style|metadata|clipPath)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::xlink)?|version|clip-path)="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text)
    text = re.sub(r'\sid="([^"]*)"', rf' id="{prefix}-\1"', text)
    text = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{prefix}-\1"', text)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    return Markup(text.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(title)}"', 1))
