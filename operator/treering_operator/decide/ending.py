"""How a round's or rollback's Job ended, out of its pods' last words and its condition; never the store itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from treering_api import ExitCode, Reason, RoundResult
from treering_operator.decide.wording import counted
from treering_operator.observed import JobView, PodView, Termination

_REFUSALS = (ExitCode.BAD_SPEC, ExitCode.BAD_DATA, ExitCode.OUTDATED)
_LAST_WORDS = (ExitCode.SUCCESS, ExitCode.REJECTED, *_REFUSALS)
_LATE = "stopped by spec.deadline"
"""How a trainer that stopped itself at the deadline says so, whichever stage it was in."""
_ON_ITS_WAY = timedelta(minutes=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Ending:
    """How a Job ended.

    `kind`: settled (published, rejected or rolled back, with the lineage after it), outdated (the plan did not fit the
    store), failed (for good), silent (nobody said how). `reason`, `where` and `message` tell of a failure.
    """

    kind: Literal["settled", "outdated", "failed", "silent"]
    job: JobView
    result: RoundResult | None
    gpu_seconds: float
    finished: datetime
    reason: str = ""
    where: str = ""
    message: str = ""


def read_ending(line: str, job: JobView, pods: tuple[PodView, ...], now: datetime) -> Ending:
    """How a finished Job ended."""
    finished = job.finished or now
    word = _last_word(line, pods)
    kind, reason, where, message = _judge(job, word)
    result = word[1]
    told_s = result.gpu_seconds if result and math.isfinite(result.gpu_seconds) else 0.0
    return Ending(
        kind=kind,
        job=job,
        result=result,
        gpu_seconds=max(held_s(job, pods, finished), told_s),
        finished=finished,
        reason=reason,
        where=where,
        message=message,
    )


def held_s(job: JobView, pods: tuple[PodView, ...], until: datetime) -> float:
    """For how long the pods of a Job held GPUs, in GPU seconds."""
    return sum(_run_time_s(pod, until) * job.gpus for pod in pods)


def is_unheard(job: JobView, pods: tuple[PodView, ...], now: datetime) -> bool:
    """Whether the Job is seen to have ended before its pods are: watched apart, their word may still be on its way."""
    seen = job.finished or job.created
    going = any(pod.termination is None and pod.phase not in ("Succeeded", "Failed") for pod in pods)
    return going and now - seen < _ON_ITS_WAY


def read_result(line: str, message: str) -> RoundResult | None:
    """A termination message of a pod of this line; None for anything else."""
    try:
        result = RoundResult.from_message(message)
    except ValueError:
        return None
    return result if result.line == line else None


def why_it_ended(termination: Termination, line: str) -> str:
    """An exit in words: code, meaning, message."""
    result = read_result(line, termination.message)
    if result is not None and result.message:
        return f"{_reason(termination.exit_code)}: {result.message}"
    if _is_memory(termination):
        return "it was killed for using more memory than its limit (spec.compute.resources.limits)"
    if termination.exit_code == 137:
        return "it was killed (exit code 137), often for lack of memory (spec.compute.resources.limits)"
    return f"exit code {termination.exit_code} ({_reason(termination.exit_code)})"


Judgement = tuple[Literal["settled", "outdated", "failed", "silent"], str, str, str]
Word = tuple[Termination | None, RoundResult | None]


def _last_word(line: str, pods: tuple[PodView, ...]) -> Word:
    """A word that ends a round, from the newest pod that says one; else the newest pod's exit.

    Of several nodes the first one runs the round; another one can refuse it, and then the first may be ended unheard.
    """
    ended = sorted(_ended(pods), key=lambda item: item[1].finished or _NEVER, reverse=True)
    for pod, termination in sorted(ended, key=lambda item: item[0].index > 0):
        result = read_result(line, termination.message)
        if result is not None and result.exit_code in (_REFUSALS if pod.index else _LAST_WORDS):
            return termination, result
    failed = [item for item in ended if item[1].exit_code]
    if not failed:
        return (ended[0][1], None) if ended else (None, None)
    termination = failed[0][1]
    return termination, read_result(line, termination.message)


def _ended(pods: Iterable[PodView]) -> list[tuple[PodView, Termination]]:
    return [(pod, pod.termination) for pod in pods if pod.termination is not None]


def _judge(job: JobView, word: Word) -> Judgement:
    termination, result = word
    if result is not None and result.exit_code in _LAST_WORDS:
        return _judge_word(result)
    if job.outcome == "Complete" or (termination is None and job.reason == "PodFailurePolicy"):
        return "silent", "", "", ""
    if _is_late(job, word):
        return "failed", Reason.DEADLINE_EXCEEDED, "spec.deadline", "an attempt took longer than spec.deadline allows"
    if termination is None:
        return "failed", Reason.RETRIES_EXHAUSTED, "", job.message or job.reason or "the Job failed without a reason"
    if termination.exit_code in (ExitCode.SUCCESS, ExitCode.REJECTED, ExitCode.OUTDATED):
        return "silent", "", "", ""
    return _judge_exit(job, termination, result)


def _judge_word(result: RoundResult) -> Judgement:
    code = result.exit_code
    if code == ExitCode.OUTDATED:
        return "outdated", Reason.OUTDATED, result.where, result.message
    if code in (ExitCode.BAD_SPEC, ExitCode.BAD_DATA):
        return "failed", code.reason, result.where, result.message
    return ("settled" if result.mirror is not None and result.verdict else "silent"), "", "", ""


def _judge_exit(job: JobView, termination: Termination, result: RoundResult | None) -> Judgement:
    if termination.exit_code in (ExitCode.BAD_SPEC, ExitCode.BAD_DATA):
        words = f"the pod ended with exit code {termination.exit_code} and said nothing more; see its log"
        return "failed", _reason(termination.exit_code), "", words
    if _is_memory(termination):
        words = "the pod was killed for using more memory than its limit: raise limits.memory, or lower training.batch"
        return "failed", Reason.OUT_OF_MEMORY, "spec.compute.resources.limits", words
    where = result.where if result else ""
    words = result.message if result and result.message else why_it_ended(termination, "")
    tries = counted(max(1, job.failed), "try")
    told = f"{tries} failed, the last one with {_reason(termination.exit_code)}: {words}"
    return "failed", Reason.RETRIES_EXHAUSTED, where, told


def _is_late(job: JobView, word: Word) -> bool:
    termination, result = word
    reasons = {job.reason, termination.reason if termination else ""}
    return "DeadlineExceeded" in reasons or (result is not None and _LATE in result.message)


def _is_memory(termination: Termination) -> bool:
    return termination.reason == "OOMKilled"


def _reason(exit_code: int) -> str:
    try:
        return ExitCode(exit_code).reason
    except ValueError:
        return f"exit code {exit_code}"


def _run_time_s(pod: PodView, finished: datetime) -> float:
    if pod.started is None:
        return 0.0
    end = pod.termination.finished if pod.termination and pod.termination.finished else finished
    return max(0.0, (end - pod.started).total_seconds())
