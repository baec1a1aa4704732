from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.report.sample_rounds import HOSTILE, round_record
from treering_api.strategy import decide
from treering_trainer.analysis.distributions import contrast, distribution
from treering_trainer.measures import Analysis, ClassDrift, Confusion, Contrast, Drift, MapPoint, Overlap
from treering_trainer.records import RoundRecord
from treering_trainer.report import render_round
from treering_trainer.report.incoming import THUMBNAILS, incoming

WARNING = "king and queen look swapped: the published model calls 18 of 20 'king' boxes queen at 0.92"


def both(low: float, high: float, old: float, new: float, seed: int) -> Contrast:
    source = np.random.default_rng(seed)
    width = high - low
    before, now = (source.normal(low + at * width, width / 10, 200) for at in (old, new))
    return contrast(distribution(before, low, high), distribution(now, low, high))


def points(folder: Path, count: int = 90) -> tuple[MapPoint, ...]:
    source = np.random.default_rng(0)
    result = []
    for number in range(count):
        path = folder / f"map-{number}.jpg"
        colour = tuple(int(value) for value in source.integers(40, 220, 3))
        Image.new("RGB", (320, 240), colour).save(path)
        is_new = number % 2 == 0
        x, y = np.clip(source.normal(0.7 if is_new else 0.35, 0.13, 2), 0, 1)
        where = "2026-w48" if is_new else "2026-w47"
        result.append(MapPoint(x=float(x), y=float(y), is_new=is_new, source=where, path=str(path)))
    return tuple(result)


def analysis(folder: Path, name: str = "king") -> Analysis:
    return Analysis(
        images=161,
        backgrounds=8,
        looked_at=161,
        looks={
            "brightness": both(0, 1, 0.6, 0.35, 1),
            "contrast": both(0, 0.5, 0.5, 0.5, 2),
            "sharpness": both(-10, 0, 0.6, 0.5, 3),
            "colour": both(0, 0.8, 0.4, 0.4, 4),
        },
        shapes={
            "size": both(0, 1, 0.3, 0.4, 5),
            "aspect": both(-2, 2, 0.5, 0.5, 6),
            "x": both(0, 1, 0.5, 0.6, 7),
            "y": both(0, 1, 0.5, 0.5, 8),
        },
        portraits=(),
        drift=Drift(auc=0.93, p_value=0.002, old_images=75, new_images=161, permutations=499),
        classes=(
            ClassDrift(
                name=name,
                boxes=60,
                old_boxes=110,
                distance=0.9,
                by_chance=0.1,
                looseness=0.3,
                looseness_before=0.0,
                judged=40,
                size_ratio=1.14,
            ),
            ClassDrift(name="jack", boxes=48, old_boxes=0),
        ),
        confusions=(Confusion(labelled=name, called="queen", boxes=18, of=20, confidence=0.92),),
        overlaps=(Overlap(left="jack", right="queen", share=0.4),),
        unlabelled={name: 7},
        map=points(folder),
        warnings=(WARNING, f"boxes of {name} are drawn looser than before: 35% more area, 40 boxes"),
    )


def record(folder: Path, name: str = "king") -> RoundRecord:
    plain = round_record()
    known = {"publishedModels": 1, "cost": 3.4, "newImages": 161, "newShare": 1.0, "newClasses": 3, "imbalance": 24}
    analysed = plain.analyse.model_copy(update={"analysis": analysis(folder, name), "decision": decide(known)})
    return plain.model_copy(update={"analyse": analysed})


def test_page__tells_warnings_drift_and_the_choice(tmp_path: Path) -> None:
    page = render_round(record(tmp_path), lineage=())
    assert "king and queen look swapped" in page
    assert "AUC 0.93" in page and "less than 1 case of 100" in page
    assert "classBalance. the commonest class has 24 times the boxes of the rarest" in page
    assert "full with cost at most 1.25 (is 3.4)" in page
    assert '<a href="#incoming">' in page


def test_page__of_a_round_without_analysis_has_no_such_section() -> None:
    assert 'id="incoming"' not in render_round(round_record(), lineage=())


def test_page__hostile_names_stay_text(tmp_path: Path) -> None:
    page = render_round(record(tmp_path, HOSTILE), lineage=())
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_map__pictures_are_bounded_in_number_and_size(tmp_path: Path) -> None:
    many = analysis(tmp_path).model_copy(update={"map": points(tmp_path, 200)})
    dots = incoming(many, ("king",)).dots
    shown = [dot for dot in dots if dot.picture]
    assert len(dots) == 200
    assert len(shown) == THUMBNAILS
    assert sum(dot.point.is_new for dot in shown) == THUMBNAILS // 2
    assert sum(len(dot.picture or "") for dot in shown) < 300_000
    assert all(0 <= dot.left <= 100 and 0 <= dot.top <= 100 for dot in dots)


def test_map__an_image_that_is_gone_stays_a_dot(tmp_path: Path) -> None:
    found = analysis(tmp_path)
    Path(found.map[0].path).unlink()
    dots = incoming(found, ("king",)).dots
    assert dots[0].picture is None
    assert dots[1].picture is not None


def test_plots__the_old_and_the_new_outline_stand_where_their_values_are(tmp_path: Path) -> None:
    plot = incoming(analysis(tmp_path), ("king",)).plots[0]
    assert plot.title == "Brightness"
    assert plot.shift is not None and plot.shift < -1
    assert _highest(plot.old) > _highest(plot.new)  # darker: farther left


def test_classes__a_new_one_has_no_past(tmp_path: Path) -> None:
    king, jack = incoming(analysis(tmp_path), ("king",)).classes
    assert not king.is_new
    assert king.times == pytest.approx(9)
    assert king.looser == pytest.approx(0.35, abs=0.01)
    assert (jack.is_new, jack.times, jack.looser) == (True, None, None)


def _highest(path: str) -> int:
    heights = [float(text) for text in re.findall(r"V([0-9.]+)H", path)]
    return int(np.argmin(heights))
