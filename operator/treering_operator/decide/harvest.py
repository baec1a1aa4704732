"""What a finished Job leaves in the status: each is taken once, in the order they ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from treering_api import (
    MOST_OUTCOMES,
    Discovery,
    ExitCode,
    Failure,
    LookResult,
    Mirror,
    ModelStatus,
    Reason,
    RoundResult,
    RoundStatus,
    Status,
    Unanswered,
)
from treering_operator.actions import Notice
from treering_operator.decide import notices
from treering_operator.decide.ending import Ending, is_unheard, read_ending
from treering_operator.decide.family import Family
from treering_operator.decide.reading import Line
from treering_operator.decide.salvage import salvage
from treering_operator.decide.wording import cut, moment, read_moment

MOST_UNANSWERED = 3
"""How often the same work is asked before a person is."""
_REMEMBERED_JOBS = 200


@dataclass(frozen=True)
class Crop:
    """What finished Jobs brought in.

    Args:
        status: with their results in it.
        notices: what to tell about them.
        ended: results of the rounds among them, for the counters.
        gpu_seconds: GPU time that was not counted before.
    """

    status: Status
    notices: tuple[Notice, ...] = ()
    ended: tuple[str, ...] = ()
    gpu_seconds: float = 0.0


def harvest(line: Line, family: Family, status: Status, now: datetime) -> Crop:
    """Take the results of all finished Jobs that are not in the status yet."""
    there: list[str] = []
    crop = Crop(status)
    for job in family.finished:
        if job.uid not in status.harvested:
            if is_unheard(job, family.pods_of(job), now):
                break
            crop = _take(line, crop, _uncounted(status, read_ending(line.name, job, family.pods_of(job), now)))
        there.append(job.uid)
    kept = tuple(there[-_REMEMBERED_JOBS:])
    return replace(crop, status=crop.status.model_copy(update={"harvested": kept}))


def adopt(status: Status, mirror: Mirror, word: RoundResult | LookResult | None = None) -> Status:
    """The status of a line whose lineage stands so; `word` is of the pod that said so, and may know its classes."""
    update: dict[str, Any] = {"mirror": mirror, "unanswered": None, "model": _model(status, mirror, word)}
    update["map50"] = _score(mirror.model.map50) if mirror.model else None
    if mirror.discovered != (status.mirror.discovered if status.mirror else 0):
        update["discovery"] = look_again(status.discovery)
    if status.mirror is None or status.mirror.round != mirror.round:
        update["round"] = mirror.round
    return status.model_copy(update=update)


def look_again(discovery: Discovery | None) -> Discovery | None:
    """What was found may be settled: it counts only after a look that began later."""
    if discovery is None:
        return None
    doubted = tuple(item.model_copy(update={"complete": False}) for item in discovery.deliveries)
    looks = max(discovery.looks, discovery.begun)
    return discovery.model_copy(update={"deliveries": doubted, "last_look": None, "looks": looks, "images": 0})


def _uncounted(status: Status, ending: Ending) -> Ending:
    """The ending without GPU time that was counted when the Job was stopped."""
    counted_s = sum(item.gpu_seconds for item in status.stopped if item.uid == ending.job.uid)
    return replace(ending, gpu_seconds=max(0.0, ending.gpu_seconds - counted_s)) if counted_s else ending


def _take(line: Line, crop: Crop, ending: Ending) -> Crop:
    if line.has_left(ending.job.store):
        return _pay(crop, ending)
    if ending.kind == "settled":
        return _settle(line, crop, ending)
    if ending.kind == "outdated":
        return _take_over(line, crop, ending)
    if ending.kind == "failed":
        return _fail(line, crop, ending)
    return _count_silence(line, crop, ending)


def _pay(crop: Crop, ending: Ending) -> Crop:
    """It worked in a folder that the line left: what it says is of no use, but it cost what it cost."""
    status = add_gpu_time(crop.status, ending.gpu_seconds)
    return replace(crop, status=status, gpu_seconds=crop.gpu_seconds + ending.gpu_seconds)


def _settle(line: Line, crop: Crop, ending: Ending) -> Crop:
    result = ending.result
    assert result is not None and result.mirror is not None, "settled means a result with a mirror"
    new = not any(item.round == ending.job.number and item.verdict != "failed" for item in crop.status.rounds)
    status = adopt(crop.status, result.mirror, result).model_copy(update={"failure": None})
    status, gpu_seconds = _write_round(status, ending, result)
    told = [notices.round_settled(line, ending, result)]
    if result.mirror.held is not None and result.verdict == "rejected":
        told.append(notices.held(line, ending, result.mirror.held.reason))
    left_out = notices.exports_left_out(line, ending, result)
    if left_out is not None:
        told.append(left_out)
    counts = new and ending.job.kind == "round"
    return replace(
        crop,
        status=_closed(status, ending),
        notices=(*crop.notices, *told),
        ended=(*crop.ended, *([result.verdict] if counts else [])),
        gpu_seconds=crop.gpu_seconds + gpu_seconds,
    )


def _take_over(line: Line, crop: Crop, ending: Ending) -> Crop:
    """The store knows better. The failure holds only if the plan made from what it says is the same again."""
    mirror = ending.result.mirror if ending.result else None
    status, told = crop.status, crop.notices
    if mirror is not None and mirror != status.mirror:
        status = adopt(status, mirror, ending.result)
        told = (*told, notices.adopted(line, ending, mirror.round))
    status = status.model_copy(update={"failure": _failure(ending)})
    status = add_gpu_time(status, ending.gpu_seconds)
    return replace(
        crop, status=_closed(status, ending), notices=told, gpu_seconds=crop.gpu_seconds + ending.gpu_seconds
    )


def _fail(line: Line, crop: Crop, ending: Ending) -> Crop:
    status = crop.status
    if ending.result is not None and ending.result.mirror is not None:
        status = adopt(status, ending.result.mirror, ending.result)
    status = status.model_copy(update={"failure": _failure(ending)})
    status, gpu_seconds = _write_round(status, ending, ending.result)
    return replace(
        crop,
        status=_closed(status, ending),
        notices=(*crop.notices, notices.round_failed(line, ending)),
        ended=(*crop.ended, *(["failed"] if ending.job.kind == "round" else [])),
        gpu_seconds=crop.gpu_seconds + gpu_seconds,
    )


def _count_silence(line: Line, crop: Crop, ending: Ending) -> Crop:
    """Nobody said how it ended. The store knows: the same is asked again, a few times."""
    before = crop.status.unanswered
    count = 1 + (before.count if before is not None and before.digest == ending.job.digest else 0)
    if count >= MOST_UNANSWERED:
        words = f"its Job ended {count} times without saying how; see the log of {ending.job.name}"
        return _fail(line, crop, replace(ending, kind="failed", reason=Reason.INTERNAL_ERROR, message=words))
    unanswered = Unanswered(digest=ending.job.digest, count=count)
    return replace(crop, status=_closed(crop.status.model_copy(update={"unanswered": unanswered}), ending))


def _closed(status: Status, ending: Ending) -> Status:
    """No round runs any more."""
    return status.model_copy(update={"plan_digest": "", "progress": None, "job": ending.job.name})


def _failure(ending: Ending) -> Failure:
    return Failure(
        digest=ending.job.digest,
        reason=str(ending.reason),
        where=cut(ending.where),
        message=cut(ending.message),
        time=moment(ending.finished),
    )


def _write_round(status: Status, ending: Ending, result: RoundResult | None) -> tuple[Status, float]:
    """One entry for each round; a later Job of the same round adds its GPU time to it."""
    if ending.job.kind != "round":
        return add_gpu_time(status, ending.gpu_seconds), ending.gpu_seconds
    number = ending.job.number
    before = next((item for item in status.rounds if item.round == number), None)
    gpu_seconds = _gpu_seconds(before, ending, result)
    entry = _entry(ending, result, gpu_seconds)
    if before is not None and before.verdict != "failed" and entry.verdict == "failed":
        entry = before  # an older Job, seen late: what was published stays so
    rounds = (*(item for item in status.rounds if item.round != number), entry)
    added = max(0.0, gpu_seconds - (before.gpu_seconds if before else 0.0))
    update: dict[str, Any] = {"rounds": tuple(sorted(rounds, key=lambda item: item.round))}
    if number >= status.round:
        update |= _last_round(status, entry, result)
    return add_gpu_time(status.model_copy(update=update), added), added


def _last_round(status: Status, entry: RoundStatus, result: RoundResult | None) -> dict[str, Any]:
    """Fields about the last round, and about the last one with a verdict."""
    update: dict[str, Any] = {
        "round": entry.round,
        "attempt": max(entry.attempt, status.attempt if status.round == entry.round else 0),
        "increment": entry.increments[0] if entry.increments else "",
        "start_time": entry.start_time,
    }
    if result is None or not result.verdict:
        return update
    return update | {
        "completion_time": entry.completion_time,
        "strategy": entry.strategy,
        "strategy_reason": cut(result.strategy_reason),
        "map50_before": entry.map50_before,
        "forgetting": entry.forgetting,
        "gain": entry.gain,
        "measured": entry.measured,
        "store": result.store or status.store,
    }


def _gpu_seconds(before: RoundStatus | None, ending: Ending, result: RoundResult | None) -> float:
    if before is None:
        return ending.gpu_seconds
    if before.verdict == "failed":
        told = result.gpu_seconds if result and math.isfinite(result.gpu_seconds) else 0.0
        return max(told, before.gpu_seconds + ending.gpu_seconds)
    return max(before.gpu_seconds, ending.gpu_seconds)


def _entry(ending: Ending, result: RoundResult | None, gpu_seconds: float) -> RoundStatus:
    job, verdict = ending.job, "failed"
    told = result or RoundResult(exit_code=ExitCode.INTERNAL, line="-", round=job.number, attempt=0)
    if ending.kind == "settled":
        verdict = told.verdict
    data = {
        "round": job.number,
        "attempt": told.attempt,
        "increments": job.increments or told.increments[:50],
        "verdict": verdict,
        "strategy": told.strategy,
        "message": cut(told.message or ending.message),
        "map50": _score(told.map50),
        "map50_before": _score(told.map50_before),
        "forgetting": _score(told.forgetting),
        "gain": _score(told.gain),
        "measured": told.measured,
        "exports": told.exports[:MOST_OUTCOMES],
        "cases": told.cases,
        "gpu_seconds": round(gpu_seconds, 3),
        "start_time": _time(told.started) or moment(job.started or job.created),
        "completion_time": _time(told.finished) or moment(ending.finished),
        "uri": told.uri[:512],
    }
    entry = salvage(RoundStatus, data)
    assert entry is not None, "round, attempt and verdict are always valid"
    return entry


def add_gpu_time(status: Status, seconds: float) -> Status:
    """The status of a line that cost that much more."""
    total = round(status.gpu_seconds + seconds, 3)
    return status.model_copy(update={"gpu_seconds": total, "gpu_hours": gpu_hours(total)})


def gpu_hours(seconds: float) -> str:
    """GPU time for people; empty for none."""
    return f"{seconds / 3600:.2f}"[:16] if seconds else ""


def _model(status: Status, mirror: Mirror, word: RoundResult | LookResult | None) -> ModelStatus | None:
    """The line's model; its classes as far as a pod told them, which a mirror does not."""
    if mirror.model is None:
        return None
    known = status.model if status.model and status.model.digest == mirror.model.digest else None
    classes, count = (known.classes, known.class_count) if known else ((), 0)
    if word is not None and len(word.classes) >= len(classes):
        classes, count = word.classes, max(count, word.class_count, len(word.classes))
    data = mirror.model.model_dump(by_alias=True, exclude={"attempt", "map50"})
    told = {"classes": classes, "class_count": count, "map50": _score(mirror.model.map50)}
    return salvage(ModelStatus, data | told)


def _score(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and -1 <= value <= 1 else None


def _time(text: str) -> str | None:
    return text if len(text) <= 40 and read_moment(text) else None
