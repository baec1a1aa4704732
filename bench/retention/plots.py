"""The plots beside the file: accuracy against cost with the Pareto front; every class's curve over the deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.retention.book import MAP50, Row
from bench.retention.methods import FIRST
from bench.retention.summary import JOINT, Summary
from bench.retention.table import by_scenario

Point = tuple[float, float]
_KEYS_A_PANEL = 3
_MARKERS = "oXs^*D"


def pareto(points: Sequence[Point]) -> list[int]:
    """Places of the points (cost, score) that no other one beats, by rising cost.

    One point beats another if it costs no more, scores no less, and is better in one of the two.
    """
    front, best = list[int](), float("-inf")
    for place in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1])):
        if points[place][1] > best:
            front.append(place)
            best = points[place][1]
    return front


def draw(rows: Sequence[Row], found: Sequence[Summary], out: Path) -> list[Path]:
    """Write both plots of every scenario beside the file; gives their paths."""
    paths = []
    for scenario, items in by_scenario(found).items():
        paths.append(_draw_front(scenario, items, out.with_name(f"{out.stem}-{scenario}-cost.png")))
        mine = [row for row in rows if row.scenario == scenario]
        paths.append(_draw_classes(scenario, mine, items, out.with_name(f"{out.stem}-{scenario}-classes.png")))
    return paths


def _draw_front(scenario: str, items: Sequence[Summary], path: Path) -> Path:
    """Both costs: image passes, which every machine agrees on, and seconds."""
    figure, axes = _figure(1, 2, width=12, height=5)
    costs = (
        ("image passes beside joint", [item.passes_beside_joint for item in items]),
        ("seconds beside joint", [item.seconds_beside_joint for item in items]),
    )
    for axis, (label, spreads) in zip(axes[0], costs, strict=True):
        known = [(item, cost.mean, item.all) for item, cost in zip(items, spreads, strict=True) if cost and item.all]
        points = [(cost, value.mean) for _, cost, value in known]
        front = pareto(points)
        axis.plot(*_columns([points[place] for place in front]), color="tab:green", alpha=0.5, zorder=1)
        for place, (item, cost, value) in enumerate(known):
            colour, marker = _style(items.index(item))
            below, above = value.mean - value.low, value.high - value.mean
            axis.errorbar(
                cost,
                value.mean,
                yerr=[[below], [above]],
                fmt=marker,
                color=colour,
                markeredgecolor="black" if place in front else colour,
                markersize=11 - 5 * place / len(known),  # of points that lie on one another every one shows
                capsize=3,
                label=item.method,
            )
        axis.set_xlabel(label)
        axis.set_ylabel("mAP50, all")
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
    _legend(figure, axes[0], columns=6)
    figure.suptitle(f"{scenario}: accuracy against cost (green, black edge: the Pareto front)")
    return _save(figure, path)


def _draw_classes(scenario: str, rows: Sequence[Row], items: Sequence[Summary], path: Path) -> Path:
    """A panel for each method: mAP50 of every class after each delivery, mean over seeds; dashed: joint at the end."""
    panels = [item for item in items if item.method != JOINT] or list(items)
    joint = next((item for item in items if item.method == JOINT), None)
    wide = min(len(panels), 4)
    figure, axes = _figure(-(-len(panels) // wide), wide, width=4 * wide, height=3.4 * -(-len(panels) // wide))
    flat = [axis for line in axes for axis in line]
    for axis, item in zip(flat, panels, strict=False):
        _draw_panel(axis, item, rows, joint)
    for axis in flat[len(panels) :]:
        axis.axis("off")
    _legend(figure, flat[:1], columns=_KEYS_A_PANEL * wide)
    figure.suptitle(f"{scenario}: every class (dashed: joint)", fontsize=11)
    figure.supylabel("mAP50", fontsize=9)
    return _save(figure, path)


def _draw_panel(axis: Any, item: Summary, rows: Sequence[Row], joint: Summary | None) -> None:
    mine = [row for row in rows if (row.method == item.method and row.rate == item.rate) or row.method == FIRST]
    steps = sorted({row.step for row in mine if row.seed in item.seeds})
    for place, cell in enumerate(item.per_class):
        colour, marker = _style(place)
        curve = [_mean_at(mine, item.seeds, step, cell) for step in steps]
        axis.plot(steps, curve, marker=marker, color=colour, label=cell)
        if joint is not None and cell in joint.per_class:
            axis.axhline(joint.per_class[cell], color=colour, linestyle="--", linewidth=0.6, alpha=0.6)
    axis.set_title(item.method, fontsize=9)
    axis.set_xlabel("after delivery", fontsize=8)
    axis.set_xticks(steps)
    axis.set_ylim(-0.02, 1.02)
    axis.grid(alpha=0.3)


def _style(place: int) -> tuple[str, str]:
    """Colour and mark: there are ten colours, then the next mark."""
    return f"C{place % 10}", _MARKERS[place // 10 % len(_MARKERS)]


def _legend(figure: Any, axes: Sequence[Any], columns: int) -> None:
    """One below all panels: names beside the points would lie on one another."""
    found = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    wide = min(len(found), columns)
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=wide, fontsize=8)


def _mean_at(rows: Sequence[Row], seeds: Sequence[int], step: int, cell: str) -> float:
    values = [row.scores.get(cell, (0.0,))[MAP50] for row in rows if row.step == step and row.seed in seeds]
    return sum(values) / len(values) if values else float("nan")


def _figure(lines: int, wide: int, *, width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(lines, wide, figsize=(width, height), squeeze=False, layout="constrained")


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
