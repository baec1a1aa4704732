from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from treering_trainer.dataset import Limits, parse_labels
from treering_trainer.dataset.labels import MAX_SIZE_BYTES, read_labels

LIMITS = Limits(classes=3, width=200, height=100, min_box_px=1.0)
GOOD = "0 0.5 0.5 0.2 0.2"

BAD_ROWS = [
    pytest.param("0 0.5 0.5 0.2 0.2 0.9", "WrongColumns", "6 columns", "confidence", id="six columns"),
    pytest.param("0 .5 .5 .2 .2 .1 .1 2", "WrongColumns", "8 columns", "kpt_shape", id="keypoints"),
    pytest.param("0 .1 .1 .2 .1 .2 1.2", "OutOfPicture", "a point has 1.2", "shares", id="outline outside"),
    pytest.param("0 .1 .1 .2 .1 .2 x", "NotANumber", "x is no number", "plain numbers", id="outline of words"),
    pytest.param("0 .1 .1 .1 .2 .1 .3", "ZeroArea", "zero area", "Draw the box again", id="flat outline"),
    pytest.param("0 0.5 0.5", "WrongColumns", "3 columns", "Complete the row", id="too few columns"),
    pytest.param("0 0.5 nan 0.2 0.2", "NotFinite", "nan is no finite number", "Correct the row", id="NaN"),
    pytest.param("0 0.5 0.5 -inf 0.2", "NotFinite", "-inf", "Correct the row", id="infinity"),
    pytest.param("0 0.5 0.5 1e999 0.2", "NotFinite", "1e999", "Correct the row", id="overflow"),
    pytest.param("nan 0.5 0.5 0.2 0.2", "NotFinite", "nan", "Correct the row", id="class NaN"),
    pytest.param(
        "ace 0.5 0.5 0.2 0.2", "NotANumber", "ace is no number", "as an index, not a name", id="class by name"
    ),
    pytest.param("0 0,5 0,5 0,2 0,2", "NotANumber", "0,5", "plain numbers", id="decimal comma"),
    pytest.param("1_0 0.5 0.5 0.2 0.2", "NotANumber", "1_0", "plain numbers", id="underscore"),
    pytest.param("0.5 0.5 0.5 0.2 0.2", "ClassNotIntegral", "class 0.5", "0, 1, 2", id="class not integral"),
    pytest.param("3 0.5 0.5 0.2 0.2", "ClassOutOfRange", "names 3 classes", "Use 0 to 2", id="class too high"),
    pytest.param("-1 0.5 0.5 0.2 0.2", "ClassOutOfRange", "class -1", "Use 0 to 2", id="class negative"),
    pytest.param("1e300 0.5 0.5 0.2 0.2", "ClassOutOfRange", "class 1e300", "Use 0 to 2", id="class huge"),
    pytest.param("0 100 50 20 20", "OutOfPicture", "x = 100", "divide pixels", id="pixels"),
    pytest.param("0 0.5 1.02 0.2 0.2", "OutOfPicture", "y = 1.02", "0 to 1", id="beyond tolerance"),
    pytest.param("0 0.5 0.5 0 0.2", "ZeroArea", "zero area: width 0", "Draw the box again", id="zero width"),
    pytest.param("0 0.5 0.5 0.2 -0.005", "ZeroArea", "height -0.005", "Draw the box again", id="negative height"),
    pytest.param("0 0.5 0.5 0.2 0.005", "TinyBox", "40.00 x 0.50 pixels", "spec.verification.minBoxPx", id="tiny"),
]


@pytest.mark.parametrize(("row", "code", "found", "mend"), BAD_ROWS)
def test_parse_labels__bad_row(row: str, code: str, found: str, mend: str) -> None:
    labels = parse_labels(f"{GOOD}\n\n{row}\n", LIMITS)
    assert labels.fault is not None
    assert (labels.fault.code, labels.fault.line) == (code, 3)
    assert found in labels.fault.found
    assert mend in labels.fault.mend
    assert labels.boxes.shape == (0, 5)


def test_parse_labels__several_bad_rows() -> None:
    fault = parse_labels(f"9 0 0 1 1\n{GOOD}\nx\n8 0 0 1 1\n", LIMITS).fault
    assert fault is not None
    assert fault.line == 1
    assert fault.found.endswith("2 more bad rows in this file")


def test_parse_labels__good_rows_keep_their_bits() -> None:
    labels = parse_labels("1 0.123456 0.5 0.2 0.25\r\n2.0 .5 5e-1 +0.1 1.\r0 0.3 0.3 0.1 0.1", LIMITS)
    assert labels.fault is None
    expected = [[1, 0.123456, 0.5, 0.2, 0.25], [2, 0.5, 0.5, 0.1, 1.0], [0, 0.3, 0.3, 0.1, 0.1]]
    assert labels.boxes.tolist() == expected


@pytest.mark.parametrize("text", ["", "\n", "  \r\n\t\n"], ids=["zero bytes", "newline", "blanks"])
def test_parse_labels__empty_is_background(text: str) -> None:
    labels = parse_labels(text, LIMITS)
    assert (labels.boxes.shape, labels.fault, labels.duplicates) == ((0, 5), None, 0)


def test_parse_labels__clips_within_tolerance() -> None:
    labels = parse_labels("0 -0.005 0.5 0.2 1.01\n1 1.01 0.9 0.5 0.4", LIMITS)
    assert labels.fault is None
    np.testing.assert_allclose(labels.boxes, [[0, 0.05, 0.5, 0.1, 1.0], [1, 0.875, 0.85, 0.25, 0.3]], atol=1e-12)


def test_parse_labels__drops_exact_duplicates() -> None:
    labels = parse_labels(f"{GOOD}\n1 0.5 0.5 0.2 0.2\n{GOOD}\n0 0.50 0.5 0.2 0.2\n", LIMITS)
    assert labels.duplicates == 2
    assert labels.boxes[:, 0].tolist() == [0, 1]


def test_parse_labels__box_of_exactly_the_least_size() -> None:
    assert parse_labels("0 0.5 0.5 0.005 0.01", LIMITS).fault is None


numbers = st.one_of(st.floats().map(repr), st.integers(-2, 5).map(str), st.sampled_from(["x", "1_0", "٣", "", "-"]))
rows = st.lists(numbers, max_size=7).map(" ".join)
texts = st.one_of(st.text(), st.lists(rows, max_size=5).map("\n".join))


@given(texts)
@example("\x00")
@example("0 0.5 0.5 0.2 0.2\x0b1 0.5 0.5 0.2 0.2")
@example("0 1e-320 0 1e-320 1e-320")
def test_parse_labels__any_text(text: str) -> None:
    labels = parse_labels(text, LIMITS)
    if labels.fault is not None:
        assert 1 <= labels.fault.line <= text.count("\n") + text.count("\r") + 1
        assert labels.fault.found and labels.fault.mend
        assert len(labels.boxes) == 0
        return
    index, x, y, width, height = labels.boxes.T
    assert np.isin(index, range(LIMITS.classes)).all()
    assert ((width > 0) & (height > 0)).all()
    for centre, size in ((x, width), (y, height)):
        assert ((centre - size / 2 >= -1e-9) & (centre + size / 2 <= 1 + 1e-9)).all()


shares = st.floats(0, 1).map(lambda number: round(number, 6))
boxes = st.tuples(st.integers(0, 2), shares, shares, st.floats(0.02, 1), st.floats(0.02, 1))


@given(st.lists(boxes, max_size=8, unique=True))
def test_parse_labels__boxes_inside_come_back(wanted: list[tuple[float, ...]]) -> None:
    inside = [box for box in wanted if all(_inside(box[i], box[i + 2]) for i in (1, 2))]
    labels = parse_labels("\n".join(" ".join(map(repr, box)) for box in inside), LIMITS)
    assert labels.fault is None
    assert [tuple(row) for row in labels.boxes] == inside


def _inside(centre: float, size: float) -> bool:
    return centre - size / 2 >= 0 and centre + size / 2 <= 1


@given(data=st.binary(max_size=60))
def test_read_labels__any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    labels = read_labels(path, LIMITS)
    assert (labels.fault is None) or (len(labels.boxes) == 0 and labels.fault.mend)


def test_read_labels__byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_labels(tmp_path / "a.txt", LIMITS).boxes.tolist() == [[0, 0.5, 0.5, 0.2, 0.2]]


def test_read_labels__not_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GOOD.encode("utf-16"))
    fault = read_labels(tmp_path / "a.txt", LIMITS).fault
    assert fault is not None
    assert (fault.code, fault.mend) == ("LabelNotText", "Save it as plain UTF-8 text.")


def test_read_labels__too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_SIZE_BYTES + 1)
    fault = read_labels(tmp_path / "a.txt", LIMITS).fault
    assert fault is not None
    assert fault.code == "LabelTooLarge"


def test_read_labels__unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    fault = read_labels(tmp_path / "a.txt", LIMITS).fault
    assert fault is not None
    assert fault.code == "LabelUnreadable"
    assert "No such file" in fault.found


def test_parse_labels__long_token_is_shortened() -> None:
    fault = parse_labels("x" * 10_000 + " 1 1 1 1", LIMITS).fault
    assert fault is not None
    assert len(fault.found) < 60
