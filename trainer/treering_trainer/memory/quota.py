"""How much of the memory belongs to each increment, and a choice that keeps to it.

Called by the replay policy after training. Without quotas the newest delivery, of which every image is at hand, would
push out the older ones, of which only the memory is: after ten rounds next to nothing of the first would be left.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import numpy as np

from treering_trainer.memory.selection import Candidates, choose


def quotas(size: int, weights: Mapping[str, float], available: Mapping[str, int]) -> dict[str, int]:
    """Share out `size` places in proportion to `weights`; a group with fewer images leaves its places to the others.

    Adams' method: the next place goes to the group with the most weight for each place it has, so that every group has
    one before any has two, and a memory that grows in step with the line leaves the older ones what they have.

    Args:
        weights: above 0, by group; a group's train images.
        available: images that there are of each group; the order breaks ties.
    """
    result = dict.fromkeys(available, 0)
    waiting = [(-np.inf, -weights[name], place, name) for place, name in enumerate(available) if available[name]]
    heapq.heapify(waiting)
    while waiting and size > 0:
        _, weight, place, name = heapq.heappop(waiting)
        result[name] += 1
        size -= 1
        if result[name] < available[name]:
            heapq.heappush(waiting, (weight / result[name], weight, place, name))
    return result


def choose_balanced(
    selection: str, candidates: Candidates, groups: Sequence[str], weights: Mapping[str, float], size: int, seed: int
) -> list[int]:
    """Choose `size` candidates by `selection` inside each group's quota.

    The groups choose in the order they first appear, the oldest first, and each counts the classes that those before it
    have taken: the newest, which has the most to choose from, evens out what the older ones lack.

    Args:
        groups: of each candidate.
        weights: by group, as for `quotas`; absent ones count their candidates.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(groups):
        rows.setdefault(name, []).append(row)
    available = {name: len(found) for name, found in rows.items()}
    places = quotas(size, {name: weights.get(name) or count for name, count in available.items()}, available)
    present = candidates.present
    chosen: list[int] = []
    for name, found in rows.items():
        taken = present[chosen].sum(axis=0)
        part = candidates.part(np.asarray(found, dtype=np.int64), taken)
        chosen += [found[place] for place in choose(selection, part, places[name], seed)]
    return sorted(chosen)
