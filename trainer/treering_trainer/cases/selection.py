"""Which pictures are worth a look: pure, from labels and detections.

Of each kind the gravest ones, in turn by class, so that one bad class does not hide the others. Of unlabelled pictures
those in which a box is nearest to a coin's toss, and of these, ones that look different from each other (farthest
first, as in core-set selection, Sener & Savarese 2018): fifty frames of one scene teach what one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from treering_trainer.cases.case import Box, Case, Chosen, Kind
from treering_trainer.dataset import SAME_OBJECT, Boxes, Sample, intersection_over_union, matches

NEAR = 0.1
"""IoU below which a detection lies on no object at all."""
POOL = 4
"""Times the wanted number of uncertain pictures that diversity chooses from."""


@dataclass(frozen=True)
class Seen:
    """A picture with what a model, and the one before it, found in it.

    Args:
        found, before: (n, 6) class, centre x, centre y, width, height, confidence; `before` None: there was none.
        known: how many classes the model before knows, the first ones; only of those the two can disagree.
    """

    sample: Sample
    source: str
    found: Boxes
    before: Boxes | None = None
    known: int = 1_000_000


def error_cases(seen: Sequence[Seen], names: Sequence[str], confidence: float, most: int) -> list[Chosen]:
    """The gravest pictures of every kind that needs labels, at most `most` of each."""
    kinds: dict[Kind, list[Chosen]] = {"missed": [], "falseAlarm": [], "confusion": [], "lowAgreement": []}
    for one in seen:
        for kind, severity, reason in _judge(one, names, confidence):
            kinds[kind].append(_chosen(one, kind, severity, reason, names, confidence))
    return [one for found in kinds.values() for one in by_turns(found, names, most)]


def uncertain_cases(
    seen: Sequence[Seen], names: Sequence[str], confidence: float, most: int, features: Boxes
) -> list[Chosen]:
    """Of unlabelled pictures the most uncertain ones that differ from each other.

    Args:
        features: (pictures, any), one row for each of `seen`.
    """
    doubts = [(_doubt(one), place) for place, one in enumerate(seen)]
    pool = [
        place for doubt, place in sorted(doubts, key=lambda one: (-one[0][0], one[1]))[: POOL * most] if doubt[0] > 0
    ]
    chosen = farthest([features[place] for place in pool], most)
    result = []
    for at in chosen:
        one = seen[pool[at]]
        doubt, row = _doubt(one)
        reason = f"{names[int(row[0])]} at confidence {row[5]:.2f}: it may be one or not"
        result.append(_chosen(one, "uncertain", doubt, reason, names, confidence, purpose="label"))
    return result


def by_turns(found: Sequence[Chosen], names: Sequence[str], most: int) -> list[Chosen]:
    """At most so many, the gravest first, each class in its turn; a picture once."""
    left = sorted(found, key=lambda one: (-one.case.severity, one.case.picture))
    chosen: list[Chosen] = []
    while left and len(chosen) < most:
        taken = len(chosen)
        for name in names:
            one = next((each for each in left if name in each.case.classes), None)
            if one is not None and len(chosen) < most:
                left.remove(one)
                chosen.append(one)
        if len(chosen) == taken:
            chosen += left[: most - taken]
            break
    return sorted(chosen, key=lambda one: (-one.case.severity, one.case.picture))


def within(chosen: Sequence[Chosen], most_bytes: int) -> list[Chosen]:
    """As many as fit, in turn by kind, so that no kind is lost; a picture counts once."""
    kinds: dict[Kind, list[Chosen]] = {}
    for one in chosen:
        kinds.setdefault(one.case.kind, []).append(one)
    sizes: dict[str, int] = {}
    kept: list[Chosen] = []
    for rank in range(max(map(len, kinds.values()), default=0)):
        for listed in kinds.values():
            if rank < len(listed):
                one = listed[rank]
                size = 0 if one.case.sha256 in sizes else one.path.stat().st_size
                if sum(sizes.values()) + size <= most_bytes:
                    sizes.setdefault(one.case.sha256, size)
                    kept.append(one)
    return [one for one in chosen if one in kept]


def farthest(features: Sequence[Boxes], most: int) -> list[int]:
    """Places of at most so many rows: the first one, then always the one farthest from all that were taken."""
    if not features:
        return []
    rows = np.stack(features)
    chosen = [0]
    distance = np.linalg.norm(rows - rows[0], axis=1)
    while len(chosen) < min(most, len(rows)):
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(rows - rows[chosen[-1]], axis=1))
    return chosen


def _judge(one: Seen, names: Sequence[str], confidence: float) -> Iterator[tuple[Kind, float, str]]:
    truth, sure = one.sample.boxes, one.found[one.found[:, 5] >= confidence]
    matched = matches(sure, truth)
    hit = {place for place in matched if place >= 0}
    overlap = intersection_over_union(sure[:, 1:5], truth[:, 1:5])
    missed = [place for place in range(len(truth)) if place not in hit]
    confused = dict(_confused(sure, matched, missed, overlap))
    worst = max(
        ((1 - _faint(one.found, truth[place]), place) for place in missed if place not in confused), default=None
    )
    if worst is not None:
        name, count = names[int(truth[worst[1], 0])], len(missed) - len(confused)
        faint = 1 - worst[0]
        seen = f"the model saw it at {faint:.2f}" if faint else "the model saw nothing there"
        yield "missed", worst[0], f"{name} was missed ({count} in all): {seen}"
    alone = [
        (float(row[5]), names[int(row[0])])
        for at, row in enumerate(sure)
        if matched[at] < 0 and (not len(truth) or overlap[at].max() < NEAR)
    ]
    if alone:
        surest, name = max(alone)
        yield (
            "falseAlarm",
            surest,
            f"{name} at confidence {surest:.2f} where nobody marked an object ({len(alone)} in all)",
        )
    if confused:
        place, at = max(confused.items(), key=lambda pair: sure[pair[1], 5])
        pair = f"{names[int(truth[place, 0])]} was called {names[int(sure[at, 0])]}"
        yield "confusion", float(sure[at, 5]), f"{pair} at confidence {sure[at, 5]:.2f}"
    if one.before is not None:
        before, now = one.before[one.before[:, 5] >= confidence], sure[sure[:, 0] < one.known]
        both = sum(place >= 0 for place in matches(now, before))
        total = len(now) + len(before)
        if total and 2 * both < total:
            reason = f"the model and the one before it agree on {both} objects; they see {len(now)} and {len(before)}"
            yield "lowAgreement", 1 - 2 * both / total, reason


def _confused(sure: Boxes, matched: list[int], missed: list[int], overlap: Boxes) -> Iterator[tuple[int, int]]:
    """Missed objects, and the detection of another class that lies on each."""
    for place in missed:
        on_it = [at for at in range(len(sure)) if matched[at] < 0 and overlap[at, place] >= SAME_OBJECT]
        if on_it:
            yield place, max(on_it, key=lambda at: float(sure[at, 5]))


def _faint(found: Boxes, box: Boxes) -> float:
    """Confidence of the surest detection of an object's class that lies on it; 0 where there is none."""
    mine = found[found[:, 0] == box[0]]
    if not len(mine):
        return 0.0
    on_it = intersection_over_union(mine[:, 1:5], box[None, 1:5])[:, 0] >= SAME_OBJECT
    return float(mine[on_it, 5].max(initial=0.0))


def _doubt(one: Seen) -> tuple[float, Boxes]:
    """How near to a coin's toss the most doubtful box is, 0..1, and the box."""
    if not len(one.found):
        return 0.0, np.zeros(6)
    doubts = 1 - np.abs(2 * one.found[:, 5] - 1)
    place = int(doubts.argmax())
    return float(doubts[place]), one.found[place]


def _chosen(
    one: Seen,
    kind: Kind,
    severity: float,
    reason: str,
    names: Sequence[str],
    confidence: float,
    purpose: str = "review",
) -> Chosen:
    sample = one.sample
    sure = one.found[one.found[:, 5] >= confidence]
    case = Case(
        kind=kind,
        purpose="label" if purpose == "label" else "review",
        picture=f"{sample.sha256[:16]}{sample.image.suffix.lower()}",
        source=one.source,
        sha256=sample.sha256,
        width=sample.width,
        height=sample.height,
        severity=severity,
        reason=reason,
        truth=tuple(_box(row, None, sample, names) for row in sample.boxes),
        found=tuple(_box(row, float(row[5]), sample, names) for row in sure),
    )
    return Chosen(case=case, path=sample.image)


def _box(row: Boxes, confidence: float | None, sample: Sample, names: Sequence[str]) -> Box:
    x, y, width, height = (float(value) for value in row[1:5])
    return (
        names[int(row[0])],
        (x - width / 2) * sample.width,
        (y - height / 2) * sample.height,
        (x + width / 2) * sample.width,
        (y + height / 2) * sample.height,
        confidence,
    )
