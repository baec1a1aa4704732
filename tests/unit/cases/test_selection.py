"""Which pictures are worth a look, by hand-made boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from treering_trainer.cases.selection import Seen, error_cases, farthest, uncertain_cases, within
from treering_trainer.dataset import Boxes, Sample

NAMES = ("ace", "king")
HERE, THERE = (0.3, 0.3, 0.2, 0.2), (0.7, 0.7, 0.2, 0.2)


def boxes(*rows: tuple[float, ...]) -> Boxes:
    width = len(rows[0]) if rows else 6
    return np.asarray(rows, dtype=np.float64).reshape(-1, width)


def seen(number: int, truth: Boxes, found: Boxes, before: Boxes | None = None, known: int = 2) -> Seen:
    sample = Sample(str(number), Path(f"{number}.jpg"), truth, 100, 50, f"{number:064d}", 0)
    return Seen(sample, "golden", found, before, known)


ACE, NOTHING = boxes((0, *HERE)), np.zeros((0, 5))
RIGHT = boxes((0, *HERE, 0.9))
CASES: dict[str, tuple[Seen, dict[str, tuple[float, str]]]] = {
    "right": (seen(1, ACE, RIGHT), {}),
    "missed": (seen(1, ACE, boxes()), {"missed": (1.0, "ace was missed (1 in all): the model saw nothing there")}),
    "faint": (seen(1, ACE, boxes((0, *HERE, 0.2))), {"missed": (0.8, "the model saw it at 0.20")}),
    "false alarm": (
        seen(1, NOTHING, boxes((1, *THERE, 0.7), (0, *HERE, 0.4))),
        {"falseAlarm": (0.7, "king at confidence 0.70 where nobody marked an object (2 in all)")},
    ),
    "confusion": (
        seen(1, ACE, boxes((1, *HERE, 0.8))),
        {"confusion": (0.8, "ace was called king at confidence 0.80")},
    ),
    "both names": (seen(1, ACE, boxes((0, *HERE, 0.6), (1, *HERE, 0.8))), {}),
    "disagreement": (
        seen(1, ACE, RIGHT, boxes((1, *THERE, 0.9), (0, *THERE, 0.5))),
        {"lowAgreement": (1.0, "agree on 0 objects; they see 1 and 2")},
    ),
    "agreement": (seen(1, ACE, RIGHT, RIGHT), {}),
    "new class": (seen(1, boxes((1, *HERE)), boxes((1, *HERE, 0.9)), boxes(), known=1), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_error_cases__kinds(name: str) -> None:
    one, expected = CASES[name]
    found = {each.case.kind: each.case for each in error_cases([one], NAMES, 0.25, 5)}
    assert set(found) == set(expected)
    for kind, (severity, reason) in expected.items():
        case = found[kind]  # type: ignore[index]
        assert case.severity == pytest.approx(severity) and reason in case.reason and case.purpose == "review"
        assert case.picture == f"{1:064d}"[:16] + ".jpg"
    if name == "missed":
        ((name_seen, *corners, confidence),) = found["missed"].truth
        assert (name_seen, confidence) == ("ace", None) and corners == pytest.approx([20, 10, 40, 20])


def test_error_cases__every_class_has_its_turn() -> None:
    many = [seen(number, ACE, boxes()) for number in range(5)]
    rare = seen(9, boxes((1, *HERE)), boxes((1, *HERE, 0.2)))
    chosen = error_cases([*many, rare], NAMES, 0.25, 2)
    assert [one.case.classes for one in chosen] == [("ace",), ("king",)]  # though all aces are graver


def test_uncertain_cases__doubtful_and_different() -> None:
    doubtful = [seen(number, NOTHING, boxes((0, *HERE, 0.5 + 0.01 * number))) for number in range(6)]
    sure = seen(7, NOTHING, RIGHT)
    empty = seen(8, NOTHING, boxes())
    features = np.array([[0.0], [0.1], [0.0], [9.0], [0.1], [0.0], [5.0], [7.0]])
    chosen = uncertain_cases([*doubtful, sure, empty], NAMES, 0.25, 2, features)
    assert [one.path.stem for one in chosen] == ["0", "3"]  # the most doubtful, then the one that looks otherwise
    assert {one.case.purpose for one in chosen} == {"label"} and "ace at confidence 0.50" in chosen[0].case.reason
    assert uncertain_cases([empty], NAMES, 0.25, 2, np.zeros((1, 1))) == []


def test_farthest() -> None:
    assert farthest([np.array([value]) for value in (0.0, 1.0, 10.0, 9.0)], 3) == [0, 2, 1]
    assert farthest([], 3) == [] and farthest([np.zeros(2)], 3) == [0]


def test_within__bytes_are_shared_by_the_kinds(tmp_path: Path) -> None:
    chosen = []
    for number, kind in enumerate(("missed", "missed", "falseAlarm")):
        found = boxes() if kind == "missed" else boxes((1, *THERE, 0.7))
        one = seen(number, ACE if kind == "missed" else NOTHING, found)
        (tmp_path / f"{number}.jpg").write_bytes(b"x" * 100)
        (case,) = error_cases([one], NAMES, 0.25, 5)
        chosen.append(case.model_copy(update={"path": tmp_path / f"{number}.jpg"}))
    assert [one.path.stem for one in within(chosen, 200)] == ["0", "2"]
    assert within(chosen, 50) == [] and within(chosen, 300) == chosen
