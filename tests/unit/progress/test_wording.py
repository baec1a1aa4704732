from __future__ import annotations

import pytest

from treering_trainer.progress import wording


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0s"), (0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"),
        (3599.6, "1h00m"), (7620, "2h07m"), (86399.9, "1d00h"), (273600, "3d04h"),
    ],
)  # fmt: skip
def test_duration__has_two_units_at_most(seconds: float, expected: str) -> None:
    assert wording.duration(seconds) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a\n b\tc\r\n", "a b c", id="breaks"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", id="link"),
        pytest.param("a\x00b\x9bc\x7f\u202e", "abc", id="controls"),
        pytest.param("\x1b", "", id="bare escape"),
        pytest.param("müsli · 画像", "müsli · 画像", id="letters stay"),
    ],
)
def test_one_line__is_safe_to_print(text: str, expected: str) -> None:
    assert wording.one_line(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.23456, "box 1.23"), (0.04567, "box 0.0457"), (1234.0, "box 1.23e+03"), (float("nan"), "box nan")],
)
def test_loss__has_three_figures(value: float, expected: str) -> None:
    assert wording.loss("box", value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, "finished", id="nothing known"),
        pytest.param({"verdict": "published", "map50": 0.5}, "published · mAP50 0.500", id="first round"),
        pytest.param(
            {"verdict": "rejected", "map50": 0.5, "map50_before": 0.6, "forgetting": 0.1},
            "rejected · mAP50 0.500 (old classes before: 0.600) · 10.0 points forgotten",
            id="python names",
        ),
        pytest.param(
            {"verdict": "published", "map50": 0.7, "map50Before": 0.6, "forgetting": -0.012},
            "published · mAP50 0.700 (old classes before: 0.600) · 1.2 points gained on old classes",
            id="json names",
        ),
    ],
)
def test_result__says_what_it_knows(values: dict[str, object], expected: str) -> None:
    assert wording.result(values) == expected
