"""The map of images: t-SNE (van der Maaten & Hinton 2008) of old and new ones together, in two dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from treering_trainer.analysis.drift import reduce

Floats = NDArray[np.float64]
LEAST = 10
"""Images below which a map says nothing."""


def draw_map(features: Floats, *, seed: int) -> Floats | None:
    """(images, 2) places between 0 and 1, the same for the same features and seed; None under `LEAST` images.

    Args:
        features: (images, features) of any finite scale.
    """
    if len(features) < LEAST:
        return None
    from sklearn.manifold import TSNE

    points = reduce(features)
    if points.shape[1] < 2:
        points = np.concatenate([points, np.zeros_like(points)], axis=1)
    perplexity = min(30.0, (len(points) - 1) / 3)
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, max_iter=500).fit_transform(points)
    low, high = places.min(axis=0), places.max(axis=0)
    return np.asarray((places - low) / np.maximum(high - low, 1e-9), dtype=np.float64)
