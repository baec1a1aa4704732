from __future__ import annotations

from tests.unit.report.sample_rounds import round_record
from treering_trainer.report.account import box_rows
from treering_trainer.stages.outcome import outcome


def test_box_rows__show_the_memory_where_it_was_trained_on() -> None:
    record = round_record()
    assert [row.memory for row in box_rows(record)] == [4, 9, 14, 19, 24, 29]
    full = record.model_copy(update={"prepare": record.prepare.model_copy(update={"memory_images": 0})})
    assert {row.memory for row in box_rows(full)} == {0}


def test_outcome__of_verify_counts_what_was_delivered() -> None:
    """The memory was checked when it was delivered."""
    assert outcome(round_record().verify).startswith("261 images, 1 quarantined")
