from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering_api.exit_codes import ExitCode
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
