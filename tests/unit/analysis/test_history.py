from __future__ import annotations

import numpy as np
import pytest

from treering_trainer.analysis.history import Features, Statistics


def features(count: int, width: int = 6, seed: int = 0) -> tuple[np.ndarray, Features]:
    rows = np.random.default_rng(seed).normal(0, 2, (count, width))
    return rows, Features.of(rows, [f"w{at % 2}" for at in range(count)], [f"label{at}" for at in range(count)])


def test_features__come_back_as_they_were_kept() -> None:
    rows, kept = features(5)
    text = Statistics(images=kept).model_dump_json()
    again = Statistics.model_validate_json(text).images
    assert again == kept
    assert again.rows() == pytest.approx(rows, rel=1e-3)


def test_features__joined_and_thinned_keep_rows_with_their_labels() -> None:
    rows, kept = features(8)
    more, other = features(3, seed=1)
    both = kept.joined(other)
    assert len(both.sources) == 11
    few = both.thinned(4, seed=0)
    for row, label in zip(few.rows(), few.labels, strict=True):
        assert any(np.allclose(row, known, atol=1e-2) for known in (*rows, *more))
        place = both.labels.index(label)
        assert label in both.labels and place >= 0
    assert few == both.thinned(4, seed=0)
    assert Features().joined(kept) == kept


def test_features__are_translated_into_another_models_space() -> None:
    """The other model turns, stretches and moves the space: what was kept of other images must move with it."""
    source = np.random.default_rng(3)
    turn, move = source.normal(0, 1, (6, 4)), source.normal(0, 1, 4)
    rows, kept = features(20)
    shared = source.normal(0, 2, (60, 6))
    there = kept.translated(shared, shared @ turn + move).rows()
    expected = rows @ turn + move
    assert there.shape == (20, 4)
    assert np.abs(there - expected).max() < 0.25 * np.abs(expected).std()
    assert np.abs(there - expected).mean() < 0.05 * np.abs(expected).std()


def test_features__too_few_shared_images_translate_nothing() -> None:
    _, kept = features(20)
    assert kept.translated(np.zeros((9, 6)), np.zeros((9, 4))) == Features()
