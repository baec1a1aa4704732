"""Looks for deliveries, and when what they found is enough for a round.

A delivery counts once two looks saw the same in it. Counted ones wait until there are `minImages`, or until the oldest
has waited `maxWait`; then all of them are learned together. A look that fails stops nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from treering_api import Discovered, Discovery, ExitCode, Increment, LookPlan, LookResult, Spec, Status, seconds
from treering_operator.actions import Action, DeleteJob, EnsureJob, Notice
from treering_operator.decide import notices
from treering_operator.decide.deliveries import take_found, usable, words_of_waiting
from treering_operator.decide.ending import is_unheard, why_it_ended
from treering_operator.decide.family import Family
from treering_operator.decide.reading import Line
from treering_operator.decide.wording import cut, moment, read_moment
from treering_operator.observed import JobView, PodView
from treering_operator.resources.names import discovery_job

_LONG_PENDING = timedelta(minutes=2)
"""A look that has not begun by then waits for more than its turn."""


@dataclass(frozen=True)
class Looking:
    """What is done about a line's deliveries.

    Args:
        discovery: for the status; None: the line does not look.
        due: deliveries to learn now, together.
        word: of the look that saw a lineage that is newer than the status knows; None: none did.
        again: when to decide again, for its sake.
    """

    discovery: Discovery | None
    due: tuple[Increment, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    word: LookResult | None = None
    again: datetime | None = None


def look(line: Line, status: Status, family: Family, now: datetime) -> Looking:
    """Take what finished looks saw, begin the next one when it is time, and say what is due."""
    if line.spec is None:
        return Looking(status.discovery)
    if line.spec.discover is None:
        return Looking(None, actions=tuple(_delete(job) for job in family.looks if not job.deleting))
    plan = LookPlan(line=line.name, number=1, spec=line.spec)
    looking = Looking(status.discovery or Discovery())
    if any(job.outcome and is_unheard(job, family.pods_of(job), now) for job in family.looks):
        return _weigh(replace(looking, again=now + timedelta(seconds=10)), line.spec, now)
    for job in family.looks:
        if job.outcome:
            looking = _take(looking, line, status, family, job, plan.work_digest(), now)
    looking = _go_on(looking, line, family, plan, now)
    return _weigh(looking, line.spec, now)


def _take(
    looking: Looking, line: Line, status: Status, family: Family, job: JobView, digest: str, now: datetime
) -> Looking:
    """A look that ended: what it saw, once; its Job goes."""
    assert looking.discovery is not None and line.spec is not None, "only lines that discover look"
    before = looking.discovery
    looking = looking if job.deleting else replace(looking, actions=(*looking.actions, _delete(job)))
    if job.number <= before.looks:
        return looking
    after = before.model_copy(update={"looks": job.number})
    if job.digest not in ("", digest):  # it looked elsewhere
        return replace(looking, discovery=after)
    after = after.model_copy(update={"last_look": moment(job.finished or now)})
    result, why = _read_look(line.name, job, family.pods_of(job))
    if result is None:
        return replace(looking, discovery=after.model_copy(update={"failure": cut(why)}))
    is_news = _is_newer(result, status)
    if status.mirror is not None and result.mirror is not None and result.mirror.round < status.mirror.round:
        if before.looks == 0 or before.last_look is not None:  # it saw what was before; the next one begins later
            return replace(looking, discovery=after.model_copy(update={"last_look": None}))
        is_news = True  # and saw the same: it is the store that was emptied, put back or exchanged
    after, new = take_found(after, result, line.spec, job.finished or now)
    told = (notices.deliveries_found(line, job.number, *new),) if new[0] else ()
    return replace(
        looking, discovery=after, notices=(*looking.notices, *told), word=result if is_news else looking.word
    )


def _read_look(line: str, job: JobView, pods: tuple[PodView, ...]) -> tuple[LookResult | None, str]:
    """What a look saw, or why it saw nothing."""
    ended = [pod.termination for pod in reversed(pods) if pod.termination is not None]
    why = ""
    for termination in ended:
        try:
            result = LookResult.from_message(termination.message)
        except ValueError:
            why = why or why_it_ended(termination, line)
            continue
        if result.line == line and result.exit_code == ExitCode.SUCCESS:
            return result, ""
        where = f"{result.where}: " if result.where else ""
        why = why or f"{result.exit_code.reason}: {where}{result.message}"
    return None, why or job.message or f"the Job {job.name} ended without a word"


def _is_newer(result: LookResult, status: Status) -> bool:
    """Only what is newer for certain: a look takes its time, and rounds go on meanwhile."""
    known = -1 if status.mirror is None else status.mirror.round
    return result.mirror is not None and result.mirror.round > known


def _go_on(looking: Looking, line: Line, family: Family, plan: LookPlan, now: datetime) -> Looking:
    """Keep the look that runs, or begin the next one when it is time."""
    spec, before = line.spec, looking.discovery
    assert spec is not None and spec.discover is not None and before is not None, "only lines that discover look"
    digest = plan.work_digest()
    going = [job for job in family.looks if not job.outcome and not job.deleting]
    wanted = [job for job in going if job.number > before.looks and job.digest in ("", digest)][-1:]
    stopped = tuple(_delete(job) for job in going if job not in wanted)
    looks = max([before.looks, *(job.number for job in family.looks if job not in wanted)])
    looking = replace(
        looking,
        discovery=before.model_copy(update={"looks": looks}),
        actions=(*looking.actions, *stopped),
    )
    if wanted:
        looking = _with_trouble(looking, wanted[0], family, now)
        return _with_look(looking, line, plan, wanted[0].number, digest) if before.begun < wanted[0].number else looking
    time = _next_look(before, digest, seconds(spec.discover.interval), now)
    if spec.suspend or line.error is not None:
        return looking
    if time > now or family.strangers(discovery_job(line.name, looks + 1)):
        return replace(looking, again=max(time, now + timedelta(seconds=10)))
    return _with_look(looking, line, plan, looks + 1, digest)


def _with_trouble(looking: Looking, job: JobView, family: Family, now: datetime) -> Looking:
    """A look that does not start is told like one that failed: else a line would wait for it without a word."""
    assert looking.discovery is not None, "only lines that discover look"
    pods = family.pods_of(job)
    if any(pod.started for pod in pods):
        return looking
    if now - job.created < _LONG_PENDING:
        return replace(looking, again=job.created + _LONG_PENDING)
    trouble = next((pod.trouble for pod in reversed(pods) if pod.trouble), None)
    if pods and trouble is None:
        return looking
    why = (
        f"its pod does not start ({trouble[0]}): {trouble[1]}" if trouble else f"no pod was made for the Job {job.name}"
    )
    return replace(looking, discovery=looking.discovery.model_copy(update={"failure": cut(why)}))


def _with_look(looking: Looking, line: Line, plan: LookPlan, number: int, digest: str) -> Looking:
    assert looking.discovery is not None, "only lines that discover look"
    action = EnsureJob(discovery_job(line.name, number), plan.model_copy(update={"number": number}))
    begun = looking.discovery.model_copy(update={"begun": number, "digest": digest})
    return replace(looking, discovery=begun, actions=(*looking.actions, action))


def _next_look(before: Discovery, digest: str, interval_s: int, now: datetime) -> datetime:
    last = read_moment(before.last_look)
    if last is None or before.digest != digest:
        return now
    return last + timedelta(seconds=interval_s)


def _weigh(looking: Looking, spec: Spec, now: datetime) -> Looking:
    """Whether what is there is enough."""
    before, discover = looking.discovery, spec.discover
    assert before is not None and discover is not None, "only lines that discover weigh"
    waiting = usable(before, spec)
    images = sum(item.images for item in waiting)
    oldest = min((time for time in (read_moment(item.found) for item in waiting) if time), default=None)
    patience_ends = None if oldest is None else oldest + timedelta(seconds=seconds(discover.max_wait))
    growing = [item for item in before.deliveries if not item.complete]
    too_many = before.more > 0 and not growing
    is_due = bool(waiting) and (
        images >= discover.min_images or too_many or (patience_ends is not None and now >= patience_ends)
    )
    words = words_of_waiting(before, spec, waiting, patience_ends, is_due=is_due)
    again = [time for time in (looking.again, None if is_due else patience_ends) if time is not None]
    return replace(
        looking,
        discovery=before.model_copy(update={"images": images, "waiting_for": cut(words)}),
        due=tuple(_increment(item) for item in waiting) if is_due else (),
        again=min(again, default=None),
    )


def _increment(item: Discovered) -> Increment:
    return Increment(name=item.name, uri=item.uri)


def _delete(job: JobView) -> DeleteJob:
    return DeleteJob(job.name, job.uid)
