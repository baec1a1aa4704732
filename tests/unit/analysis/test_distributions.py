from __future__ import annotations

import pytest

from treering_trainer.analysis.distributions import contrast, distribution, merge


def test_distribution__bins_and_moments_of_known_values() -> None:
    found = distribution([0.0, 0.5, 0.5, 1.0, 7.0], 0.0, 1.0)
    assert (found.counts[0], found.counts[8], found.counts[15]) == (1, 2, 2)
    assert found.count == 5
    assert found.mean == pytest.approx(1.8)
    assert found.deviation == pytest.approx(2.6192, abs=1e-4)


def test_merge__is_the_distribution_of_all_values_together() -> None:
    left, right = [0.1, 0.2, 0.9], [0.3, 0.95]
    merged = merge([distribution(left, 0, 1), distribution(right, 0, 1)])
    whole = distribution(left + right, 0, 1)
    assert merged is not None
    assert merged.counts == whole.counts
    assert (merged.mean, merged.deviation) == pytest.approx((whole.mean, whole.deviation))
    assert merge([]) is None


def test_contrast__shift_in_deviations_of_the_old() -> None:
    old, new = distribution([0.4, 0.6], 0, 1), distribution([0.7, 0.7], 0, 1)
    assert contrast(old, new).shift == pytest.approx(2.0)
    assert contrast(None, new).shift is None
    assert contrast(distribution([], 0, 1), new).shift is None
