from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering_api.exit_codes import ExitCode
from treering_api.measured import MeasuredDelivery
from treering_api.message import MAX_SIZE_BYTES
from treering_api.result import RoundResult


def result(**more: object) -> RoundResult:
    return RoundResult.model_validate(
        {"exit_code": ExitCode.SUCCESS, "line": "cards", "round": 2, "attempt": 1, **more}
    )


def test_to_message__round_trip() -> None:
    ended = result(verdict="published", map50=0.86, classes=("ace", "king"), message="published")
    assert RoundResult.from_message(ended.to_message()) == ended


@given(message=st.text(max_size=9000), classes=st.lists(st.text(max_size=100), max_size=300))
def test_to_message__always_fits(message: str, classes: list[str]) -> None:
    text = result(message=message, classes=classes, strategy_reason=message, map50=0.123456789).to_message()
    assert len(text.encode()) <= MAX_SIZE_BYTES
    assert RoundResult.from_message(text).map50 == 0.123456789


def test_to_message__cut_text_says_so() -> None:
    again = RoundResult.from_message(result(message="ä" * 5000, where="spec.model").to_message())
    assert again.message.endswith("…")
    assert again.where == "spec.model"


def test_from_message__foreign_text() -> None:
    with pytest.raises(ValueError, match="JSON"):
        RoundResult.from_message("OOMKilled")


def test_message__what_was_measured_is_cut_before_the_mirror_and_numbers_stay() -> None:
    measured = MeasuredDelivery(
        drift=0.93, drift_p=0.002, warnings=("ü" * 200,) * 5, warning_count=9, would_change=("x" * 200,) * 3
    )
    names = tuple(f"class number {number}" for number in range(400))
    result = RoundResult(exit_code=ExitCode.SUCCESS, line="cards", round=3, attempt=1, classes=names, measured=measured)
    message = result.to_message()
    assert len(message.encode()) <= 4096
    seen = RoundResult.from_message(message).measured
    assert seen is not None
    assert (seen.drift, seen.drift_p, seen.warning_count) == (0.93, 0.002, 9)


def test_message__reasons_of_exports_are_cut_and_their_numbers_stay() -> None:
    exports = [{"name": f"format-{at}", "passed": False, "reason": "ä" * 200, "drop": 0.02} for at in range(12)]
    again = RoundResult.from_message(result(exports=exports, message="x" * 1000).to_message())
    assert [item.drop for item in again.exports] == [0.02] * 12
