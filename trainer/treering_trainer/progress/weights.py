"""How far a whole round is, from how far its running stage is.

Used by `state`. Training takes most of a round's time, so it takes most of the bar; inside it, images count.
"""

from __future__ import annotations

from collections.abc import Mapping

STAGE_WEIGHTS: dict[str, float] = {
    "fetch": 4,
    "verify": 3,
    "analyse": 1,
    "prepare": 4,
    "train": 74,
    "evaluate": 8,
    "gate": 1,
    "export": 4,
    "publish": 1,
}
"""The nine stages in their order, each with its usual share of a round's time in percent."""


def share_before(stage: str, index: int, total: int) -> float:
    """Share of the round (0..1) that lies before `stage`, the `index`-th of `total`."""
    if stage not in STAGE_WEIGHTS:
        return (index - 1) / total if total > 0 else 0.0
    names = list(STAGE_WEIGHTS)
    return sum(STAGE_WEIGHTS[name] for name in names[: names.index(stage)]) / sum(STAGE_WEIGHTS.values())


def share_of(stage: str, total: int) -> float:
    """Share of the round (0..1) that `stage`, one of `total`, takes."""
    if stage not in STAGE_WEIGHTS:
        return 1 / total if total > 0 else 0.0
    return STAGE_WEIGHTS[stage] / sum(STAGE_WEIGHTS.values())


def pace_s(durations_s: Mapping[str, float]) -> float | None:
    """Seconds that a whole round of stages like the finished ones would take, training aside; None before any."""
    finished = {name: seconds for name, seconds in durations_s.items() if name in STAGE_WEIGHTS and name != "train"}
    if not finished:
        return None
    return sum(finished.values()) / sum(share_of(name, len(STAGE_WEIGHTS)) for name in finished)
