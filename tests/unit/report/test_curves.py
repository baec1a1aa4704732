from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import matplotlib
import pytest

from tests.unit.report.sample_rounds import first_round, rejected_round, round_record, summary
from treering_trainer.records import EpochRecord, RoundRecord
from treering_trainer.report.curves import line_charts, training_charts


def with_epochs(*epochs: EpochRecord) -> RoundRecord:
    record = round_record()
    return record.model_copy(update={"train": record.train.model_copy(update={"epochs": epochs})})


def epoch(number: int, **losses: float) -> EpochRecord:
    return EpochRecord(epoch=number, losses=losses, learning_rate=0.001, images_per_s=40.0)


def test_svg__refers_to_nothing_outside_and_styles_nothing_else() -> None:
    for chart in training_charts(round_record()):
        assert "<style" not in chart.svg
        assert "http" not in chart.svg
        assert "url(" not in chart.svg
        assert "xmlns" not in chart.svg


def test_svg__takes_its_colours_from_the_page() -> None:
    losses = training_charts(round_record())[0].svg
    assert "stroke: var(--series-1)" in losses
    assert "#0101" not in losses


def test_svg__is_the_same_from_many_threads_and_leaves_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: training_charts(round_record()), range(8)))
    assert all(charts == drawn[0] for charts in drawn)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["<b>loss</b>", "$\\frac$", "a&b"], ids=["markup", "formula", "ampersand"])
def test_svg__names_of_losses_are_text(name: str) -> None:
    drawn = training_charts(with_epochs(epoch(0, **{name: 1.0, "other": 2.0}), epoch(1, **{name: 0.5, "other": 1.0})))
    assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in drawn[0].svg


def test_training__one_epoch_and_broken_losses_are_drawn() -> None:
    charts = training_charts(with_epochs(epoch(0, box_loss=float("nan"), cls_loss=1.0)))
    assert [chart.title for chart in charts] == ["Losses", "Learning rate"]


def test_training__without_epochs_has_no_charts() -> None:
    assert training_charts(with_epochs()) == ()


def test_line__first_round_alone_has_no_forgetting() -> None:
    assert [chart.title for chart in line_charts([summary(first_round())])] == ["mAP50 over all classes"]


def test_line__only_rejected_rounds_are_drawn() -> None:
    assert len(line_charts([summary(rejected_round())])) == 2


def test_line__order_of_the_rounds_does_not_matter() -> None:
    rounds = [summary(record) for record in (first_round(), round_record(), rejected_round())]
    assert line_charts(rounds[::-1]) == line_charts(rounds)
