"""How far the running round is, from what its pod says of itself: checked like anything from outside."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from treering_api import Progress, Status
from treering_operator.decide.salvage import salvage
from treering_operator.decide.wording import cut, moment, span
from treering_operator.observed import JobView, Observed

_SEEN = ("percent", "stage", "epoch", "epochs")


def progress_fields(status: Status, job: JobView, running: bool, observed: Observed) -> dict[str, Any]:
    """Fields of a status about a running round.

    Written anew only when a person would see a difference: the time left alone is none.
    """
    data = observed.progress
    if not running or data is None or data.get("round") != job.number or job.kind != "round":
        return {"progress": _paused(status.progress, running)}
    fields: dict[str, Any] = {"progress": _newer(status.progress, _read(data, observed))}
    attempt = _number(data.get("attempt"))
    if attempt is not None and attempt > status.attempt:
        fields["attempt"] = attempt
    if data.get("strategy") in ("incremental", "full"):
        fields |= {"strategy": data["strategy"], "strategy_reason": cut(str(data.get("strategy_reason") or ""))}
    return fields


def _newer(before: Progress | None, after: Progress | None) -> Progress | None:
    if before is None or after is None:
        return after or before
    same = all(getattr(before, name) == getattr(after, name) for name in _SEEN)
    return before if same and (before.eta is None) == (after.eta is None) else after


def _paused(progress: Progress | None, running: bool) -> Progress | None:
    """What was reached; without a pod nobody knows how long the rest takes."""
    if progress is None or running:
        return progress
    return progress.model_copy(update={"eta": None, "eta_seconds": None, "images_per_second": None})


def _read(data: Mapping[str, Any], observed: Observed) -> Progress | None:
    percent, speed, left_s = (_amount(data.get(name)) for name in ("percent", "images_per_s", "eta_s"))
    if percent is None:
        return None
    left_s = None if left_s is None or left_s > 10_000_000 else left_s
    return salvage(
        Progress,
        {
            "percent": min(100, int(percent)),
            "stage": str(data.get("stage") or "")[:32],
            "epoch": _number(data.get("epoch")) or 0,
            "epochs": _number(data.get("epochs")) or 0,
            "eta_seconds": None if left_s is None else round(left_s),
            "eta": None if left_s is None else span(left_s),
            "images_per_second": None if speed is None else round(speed, 1),
            "updated": moment(observed.progress_time or observed.now),
        },
    )


def _amount(value: object) -> float | None:
    """A number that is not negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None  # an int may be too large for a float


def _number(value: object) -> int | None:
    amount = _amount(value)
    return None if amount is None or amount > 1_000_000_000 else int(amount)
