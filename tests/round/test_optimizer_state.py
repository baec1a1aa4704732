"""`training.optimizerState: keep` through a publication: kept beside the model, and gone on with in the next round."""

from __future__ import annotations

from tests.plugins.lines import TestLine
from tests.round.conftest import Deliveries
from treering_trainer.stages.keeping import OPTIMIZER, read_optimizer


def test_keep__the_next_round_goes_on_with_what_was_published(line: TestLine, deliveries: Deliveries) -> None:
    line.spec["training"]["optimizerState"] = "keep"
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    answer = line.run()
    assert answer.code == 0, answer.err
    first, second = (read_optimizer(line.store / f"rounds/{number:04d}/attempt-1") for number in (1, 2))
    assert first is not None and second is not None and first.kind == "AdamW"
    assert [line.record(number).train.optimizer_state for number in (1, 2)] == ["fresh", "kept"]
    name = "model.0.conv.weight"
    assert int(second.moments[name]["step"]) > int(first.moments[name]["step"])


def test_keep__another_optimizer_begins_afresh_and_says_so(line: TestLine, deliveries: Deliveries) -> None:
    line.spec["training"]["optimizerState"] = "keep"
    assert line.run().code == 0
    line.spec["training"]["optimizer"] = "SGD"
    line.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    answer = line.run()
    assert answer.code == 0, answer.err
    assert "the round before trained with AdamW, SGD begins afresh" in answer.out + answer.err
    assert line.record(2).train.optimizer_state == "fresh"
    assert (line.store / "rounds/0002/attempt-1" / OPTIMIZER).exists()
