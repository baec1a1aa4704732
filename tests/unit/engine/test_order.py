"""Batches that follow from (seed, epoch) alone, and the numbers that go with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from treering_trainer.engine.order import EpochBatches, Mix, derive_seed

MIXES = [
    Mix(10, 0, 4),
    Mix(17, 0, 16),  # one image is left over
    Mix(16, 1, 16),
    Mix(9, 4, 4),
    Mix(1, 0, 16),
    Mix(0, 5, 2),
    Mix(10, 3, 4, 0.25),
    Mix(9, 3, 4, 0.5),
    Mix(7, 2, 16, 0.9),
    Mix(5, 3, 1, 0.5),  # no room for both
    Mix(13, 3, 4, 0.01),
    Mix(10, 0, 4, ranks=4),  # two images are left over for four ranks
    Mix(9, 3, 8, 0.25, ranks=8),
]
REPEATING = [
    Mix(4, 0, 3, repeats=(1.0, 1.5, 1.75, 3.75)),
    Mix(3, 2, 2, repeats=(0.3, 0.5, 0.2, 2.5, 1.5)),
    Mix(4, 2, 3, 0.3, repeats=(1.0, 1.0, 2.0, 2.0, 1.0, 3.0)),
    Mix(5, 3, 4, 0.25, ranks=2, repeats=(1.3, 1.3, 1.4, 1.0, 2.0, 0.5, 1.0, 1.5)),
]


@pytest.mark.parametrize("mix", [*MIXES, *REPEATING], ids=str)
def test_mix__length_and_passes_are_what_the_batches_show(mix: Mix) -> None:
    for epoch in range(3):
        batches = mix.batches(3, epoch)
        assert len(batches) == mix.length == len(EpochBatches(mix, 3))
        assert sum(len(batch) for batch in batches) == mix.passes


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_mix__every_new_image_once(mix: Mix) -> None:
    shown = Counter(index for batch in mix.batches(3, 1) for index in batch)
    assert all(shown[index] == 1 for index in range(mix.new))
    assert set(shown) <= set(range(mix.new + mix.memory))
    remembered = [shown[index] for index in range(mix.new, mix.new + mix.memory)]
    if not mix.memory_per_batch:
        assert all(count == 1 for count in remembered)
    elif remembered:
        assert max(remembered) - min(remembered) <= 1, "the memory is gone through evenly"


@pytest.mark.parametrize("mix", [mix for mix in MIXES if mix.new + mix.memory > 1 < mix.batch], ids=str)
def test_mix__no_batch_of_one(mix: Mix) -> None:
    assert min(len(batch) for batch in mix.batches(0, 0)) > 1


def test_mix__share_of_every_batch() -> None:
    mix = Mix(10, 3, 4, 0.25)
    assert [sum(index >= 10 for index in batch) for batch in mix.batches(0, 0)] == [1, 1, 1, 1]


def test_mix__epochs_and_seeds_differ_and_repeat() -> None:
    mix = Mix(20, 5, 4, 0.25)
    assert mix.batches(1, 2) == mix.batches(1, 2)
    assert mix.batches(1, 2) != mix.batches(1, 3)
    assert mix.batches(1, 2) != mix.batches(2, 2)


def test_epoch_batches__every_place_has_a_seed_of_its_own() -> None:
    batches = EpochBatches(Mix(4, 2, 4, 0.5), 7)
    batches.epoch = 1
    places = [place for batch in batches for place in batch]
    assert [[place.image for place in batch] for batch in batches] == batches.mix.batches(7, 1)
    assert len({place.seed for place in places}) == len(places)
    assert list(batches) == list(batches)
    batches.epoch = 2
    assert not {place.seed for batch in batches for place in batch} & {place.seed for place in places}


def test_derive_seed__purposes_are_independent() -> None:
    seeds = [
        derive_seed(0),
        derive_seed(1),
        derive_seed(0, 1),
        derive_seed(0, 1, "order"),
        derive_seed(0, 1, "workers"),
    ]
    assert len(set(seeds)) == len(seeds)
    assert derive_seed(0, 1, "order") == derive_seed(0, 1, "order")
    assert derive_seed(0, "augment-one") != derive_seed(0, "augment-two")
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("mix", [Mix(12, 3, 6), Mix(13, 0, 6), Mix(9, 3, 6, 0.3)], ids=str)
def test_ranks__show_together_what_one_process_shows(mix: Mix, ranks: int) -> None:
    alone = EpochBatches(mix, 3)
    shared = [EpochBatches(replace(mix, ranks=ranks), 3, rank) for rank in range(ranks)]
    parts = zip(*(list(order) for order in shared), strict=True)
    together = [sorted(place for part in step for place in part) for step in parts]
    assert together == [sorted(batch) for batch in alone]
    assert min(len(batch) for order in shared for batch in order) >= 1


def test_ranks__fewer_images_than_ranks_are_shown_twice() -> None:
    orders = [EpochBatches(Mix(3, 0, 8, ranks=4), 0, rank) for rank in range(4)]
    assert [len(batch) for order in orders for batch in order] == [1, 1, 1, 1]
    assert {place.image for order in orders for batch in order for place in batch} == {0, 1, 2}


def mean_showings(mix: Mix, epochs: int) -> list[float]:
    shown = Counter(index for epoch in range(epochs) for batch in mix.batches(3, epoch) for index in batch)
    return [shown[index] / epochs for index in range(mix.new + mix.memory)]


@pytest.mark.parametrize("mix", REPEATING, ids=str)
def test_repeats__on_average_what_was_asked_for(mix: Mix) -> None:
    assert mean_showings(mix, 2000) == pytest.approx(mix.showings, abs=0.05)


def test_repeats__an_epoch_shows_each_image_its_whole_number_or_one_more() -> None:
    mix = Mix(4, 0, 3, repeats=(1.0, 1.5, 1.5, 3.25))
    for epoch in range(20):
        shown = Counter(index for batch in mix.batches(1, epoch) for index in batch)
        assert shown[0] == 1 and shown[1] in (1, 2) and shown[2] in (1, 2) and shown[3] in (3, 4)
        assert sum(shown.values()) == 7 == mix.passes
    assert mix.batches(1, 0) == mix.batches(1, 0) != mix.batches(1, 1)


def test_repeats__memory_keeps_its_share_of_every_batch() -> None:
    mix = Mix(4, 2, 3, 0.3, repeats=(1.0, 1.0, 2.0, 2.0, 1.0, 3.0))
    assert [sum(index >= 4 for index in batch) for batch in mix.batches(0, 0)] == [1, 1, 1]
    one, other = mean_showings(mix, 400)[4:]
    assert other == pytest.approx(3 * one, rel=0.15)


def test_repeats__each_index_once_where_nothing_is_asked_for() -> None:
    assert replace(Mix(7, 2, 4), repeats=(1.0,) * 9).passes == Mix(7, 2, 4).passes == 9
