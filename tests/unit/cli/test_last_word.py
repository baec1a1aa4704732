"""What a pod leaves behind however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from treering_api import ExitCode, Lineage, LookResult, Mirror, ModelRef, OutdatedError, RoundResult
from treering_trainer.cli.last_word import LastWord

MODEL = ModelRef(round=2, attempt=1, uri="s3://lines/cards/rounds/2", digest="ab", classes=("ace", "king"), map50=0.9)
LINEAGE = Lineage(line="cards", round=2, current=MODEL)


def test_last_word__of_an_outdated_plan_names_the_model_s_classes(tmp_path: Path) -> None:
    word = LastWord(tmp_path / "log", RoundResult(exit_code=ExitCode.INTERNAL, line="cards", round=1, attempt=0))
    with pytest.raises(OutdatedError), word.left():
        word.standing.see(LINEAGE)
        raise OutdatedError("s3://lines/cards", "another round came first", "Make the plan anew")
    result = RoundResult.from_message((tmp_path / "log").read_text())
    assert (result.exit_code, result.mirror) == (ExitCode.OUTDATED, Mirror.of(LINEAGE))
    assert (result.classes, result.class_count) == (("ace", "king"), 2)


def test_last_word__of_a_look_names_the_model_s_classes(tmp_path: Path) -> None:
    word = LastWord(tmp_path / "log", LookResult(exit_code=ExitCode.SUCCESS, line="cards", number=3))
    with word.left():
        word.standing.see(LINEAGE)
    result = LookResult.from_message((tmp_path / "log").read_text())
    assert (result.classes, result.class_count) == (("ace", "king"), 2)


def test_last_word__a_published_model_s_classes_stay(tmp_path: Path) -> None:
    published = RoundResult(
        exit_code=ExitCode.SUCCESS, line="cards", round=3, attempt=1, classes=("ace", "king", "joker"), class_count=3
    )
    word = LastWord(tmp_path / "log", published)
    with word.left():
        word.standing.see(LINEAGE)
    assert RoundResult.from_message((tmp_path / "log").read_text()).classes == ("ace", "king", "joker")
