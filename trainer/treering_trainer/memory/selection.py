"""Which images to remember: functions from candidates to indices, apart from how memory is mixed into training.

Called by the replay policy after training. Every selection is deterministic for a seed and returns distinct indices in
a stable order. Sources: class balance after OCDM (greedy, Chrysakis & Moens 2020), herding after iCaRL (Rebuffi et al.
2017), k-means after TiROD (nearest image to each centroid, 41.3 against 40.7 mAP50 for random choice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """What a selection may look at.

    Args:
        presence: (images, classes) boxes of each class in each image, counts.
        embed: called only by selections that need it; (images, features) of any finite scale.
    """

    presence: Floats
    embed: Callable[[], Floats]

    def __len__(self) -> int:
        return len(self.presence)


def choose(selection: str, candidates: Candidates, size: int, seed: int) -> list[int]:
    """Choose `size` candidates (all, where there are fewer).

    Args:
        selection: a key of `SELECTIONS`.
        size: images to keep, at least 0.
        seed: of the random choice and of ties.
    """
    if size >= len(candidates):
        return list(range(len(candidates)))
    if size <= 0:
        return []
    generator = np.random.default_rng(seed)
    return sorted(int(index) for index in SELECTIONS[selection](candidates, size, generator))


def choose_random(candidates: Candidates, size: int, generator: np.random.Generator) -> Indices:
    """Every candidate is as likely as any other."""
    return generator.permutation(len(candidates))[:size]


def choose_class_balanced(candidates: Candidates, size: int, generator: np.random.Generator) -> Indices:
    """Greedily take the image that helps the rarest classes most, so that every class ends about equally present.

    An image's worth is the mean over its classes of `1 / (1 + times the class was taken)`: the mean, because an image
    of a rare and a common class makes the common one more common; presence, not boxes, because one crowded image does
    not stand for many. Images without any class come last.
    """
    present = (candidates.presence > 0).astype(np.float64)
    order = generator.permutation(len(present))
    present = present[order]
    taken = np.zeros(present.shape[1])
    free = np.ones(len(present), dtype=bool)
    chosen: list[int] = []
    for _ in range(size):
        worth = present @ (1.0 / (1.0 + taken)) / np.maximum(present.sum(axis=1), 1.0)
        best = int(np.argmax(np.where(free, worth, -1.0)))
        free[best] = False
        taken += present[best]
        chosen.append(best)
    return order[chosen]


def choose_herding(candidates: Candidates, size: int, generator: np.random.Generator) -> Indices:
    """Greedily keep the mean of the chosen embeddings close to the mean of all (iCaRL, algorithm 4)."""
    del generator  # nothing here is left to chance
    features = _normalise(candidates.embed())
    mean, squares = features.mean(axis=0), (features**2).sum(axis=1)
    free = np.ones(len(features), dtype=bool)
    total = np.zeros_like(mean)
    chosen: list[int] = []
    for count in range(1, size + 1):
        wanted = count * mean - total  # |wanted - feature| is smallest where the mean is closest
        distance = squares - 2.0 * (features @ wanted)
        best = int(np.argmin(np.where(free, distance, np.inf)))
        free[best] = False
        total += features[best]
        chosen.append(best)
    return np.asarray(chosen, dtype=np.int64)


def choose_kmeans(candidates: Candidates, size: int, generator: np.random.Generator) -> Indices:
    """The image nearest to each of `size` centroids; a centroid whose nearest is taken gets its next nearest."""
    from sklearn.cluster import KMeans

    features = _normalise(candidates.embed())
    distinct = min(size, len(np.unique(features, axis=0)))
    clusters = KMeans(n_clusters=distinct, n_init=1, random_state=int(generator.integers(2**31)))
    distance = clusters.fit(features).transform(features)
    free = np.ones(len(features), dtype=bool)
    chosen: list[int] = []
    for place in range(size):
        best = int(np.argmin(np.where(free, distance[:, place % distinct], np.inf)))
        free[best] = False
        chosen.append(best)
    return np.asarray(chosen, dtype=np.int64)


def _normalise(features: Floats) -> Floats:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, 1e-12), dtype=np.float64)


SELECTIONS: dict[str, Callable[[Candidates, int, np.random.Generator], Indices]] = {
    "classBalanced": choose_class_balanced,
    "herding": choose_herding,
    "kmeans": choose_kmeans,
    "random": choose_random,
}
