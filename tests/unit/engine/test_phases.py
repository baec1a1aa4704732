"""Epochs shared out to phases."""

from __future__ import annotations

import pytest

from treering_api import BadSpecError
from treering_trainer.engine.order import Mix
from treering_trainer.engine.phases import WHOLE, make_timetable
from treering_trainer.policies.interface import Phase

MIX = Mix(10, 0, 4)


@pytest.mark.parametrize(
    ("shares", "epochs", "ends"),
    [
        ((1.0,), 7, (7,)),
        ((0.5, 1.0), 10, (5, 10)),
        ((0.25, 0.5, 1.0), 14, (4, 7, 14)),
        ((0.01, 0.02, 1.0), 10, (1, 2, 10)),
        ((0.9, 0.95, 1.0), 3, (1, 2, 3)),
    ],
    ids=["one", "halves", "quarters", "at-least-one-epoch", "as-many-as-epochs"],
)
def test_timetable__ends(shares: tuple[float, ...], epochs: int, ends: tuple[int, ...]) -> None:
    table = make_timetable([Phase(until=share) for share in shares], epochs, MIX, field="")
    assert table.ends == ends
    assert [table.phase(epoch).until for epoch in range(epochs)] == [
        share for share, end, start in zip(shares, ends, (0, *ends), strict=False) for _ in range(end - start)
    ]


def test_timetable__batches_and_image_passes_by_phase() -> None:
    table = make_timetable([Phase(until=0.5, batch_factor=2), Phase(until=1.0)], 4, MIX, field="")
    assert [table.mix(epoch).batch for epoch in range(4)] == [8, 8, 4, 4]
    assert table.longest.batch == 4
    assert table.passes == 40
    assert not table.plain


def test_timetable__without_phases_it_is_plain() -> None:
    table = make_timetable((), 3, MIX, field="")
    assert (table.plain, table.phases, table.ends, table.passes) == (True, (WHOLE,), (3,), 30)


def test_timetable__more_stages_than_epochs_are_refused() -> None:
    with pytest.raises(BadSpecError) as caught:
        make_timetable([WHOLE] * 3, 2, MIX, field="spec.policies.unfreeze")
    assert str(caught.value) == (
        "spec.policies.unfreeze: 3 stages are to share 2 epochs. Give spec.training.epochs at least 3, or fewer stages."
    )
