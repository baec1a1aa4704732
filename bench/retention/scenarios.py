"""The scenarios: what a data set becomes, delivery by delivery. All are drawn from a seed, or need none.

same      more of the same: 60, 20 and 20 percent of the train images, all classes in each. Old: all classes; new: none.
strict    new classes, strict split: one group of classes after the other; images that show classes of two groups, or
          of none, are left out.
voc       new classes, as in the VOC protocol of continual detection: each group's delivery holds every image that
          shows one of its classes, labelled for those alone; an image that shows two groups comes twice.
steps     five steps: the same with groups of 2+1+1+1+1 classes; other counts are spread evenly over five groups, and
          with fewer than six classes the first half comes at once and the others one by one.
shift     domain shift: one half of the images as they are, the other half as another camera would see it (`shift.py`);
          the val images are measured both ways. Old: the first domain; new: the second.
longtail  one half of the images as they are; of the other half the classes, in an order drawn from the seed, keep from
          all down to a tenth of their images, exponentially; an image is as rare as its rarest class, and each class
          keeps one at least. Old: the frequent half of the classes; new: the rare half; both are known before.

Classes are split by `--classes`, or else the first half of names.json (rounded up) comes first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.retention.course import Course, Holdout, Step
from bench.retention.shift import shifted
from bench.retention.source import Source, lot
from treering_trainer.dataset import Sample, remap

LONG_NAMES = {
    "more-of-the-same": "same",
    "strict-split": "strict",
    "voc-protocol": "voc",
    "five-steps": "steps",
    "domain-shift": "shift",
    "long-tail": "longtail",
}
SHARES = (0.6, 0.2, 0.2)
STEPS = 5
RAREST = 0.1
"""Share of its images that the rarest class keeps in `longtail`."""
Groups = tuple[tuple[str, ...], ...]


class ImpossibleError(ValueError):
    """The scenario can't be made of this data set; says why."""


def make_course(scenario: str, source: Source, seed: int, groups: Groups | None, folder: Path) -> Course:
    """One scenario of one data set.

    Args:
        groups: classes by delivery, as the user split them.
        folder: where changed pictures may be written.

    Raises:
        ImpossibleError: a delivery would be empty.
    """
    course = SCENARIOS[scenario](source, seed, groups, folder)
    for step in course.steps:
        if not any(len(sample.boxes) for sample in step.samples):
            raise ImpossibleError(f"{scenario}: no train image is left for {step.name} ({', '.join(step.classes)})")
    return course


def halves(names: Sequence[str]) -> Groups:
    """The first half, rounded up, and the others."""
    middle = (len(names) + 1) // 2
    return tuple(names[:middle]), tuple(names[middle:])


def five_groups(names: Sequence[str]) -> Groups:
    """Five groups, the first ones one class larger where they don't come out even; see the module for few classes."""
    if len(names) <= STEPS:
        first, others = halves(names)
        return first, *((name,) for name in others)
    size, larger = divmod(len(names), STEPS)
    ends = list(itertools.accumulate(size + (number < larger) for number in range(STEPS)))
    return tuple(tuple(names[start:end]) for start, end in zip([0, *ends], ends, strict=False))


def _same(source: Source, seed: int, _groups: Groups | None, _folder: Path) -> Course:
    order = sorted(source.train, key=lambda sample: lot("same", seed, sample.sha256))
    cuts = [round(share * len(order)) for share in itertools.accumulate(SHARES)]
    parts = [order[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    holdout = Holdout("val", source.val)
    cells = _cells(source.names, holdout)
    steps = [
        Step(_name(place), tuple(part), source.names, old=cells, known=cells if place else ())
        for place, part in enumerate(parts)
    ]
    return Course("same", seed, source.names, tuple(steps), (holdout,))


def _strict(source: Source, seed: int, groups: Groups | None, _folder: Path) -> Course:
    groups = groups or halves(source.names)

    def belongs(shown: set[str], group: Sequence[str]) -> bool:
        return bool(shown) and shown <= set(group)

    return _by_class("strict", source, seed, groups, belongs)


def _voc(source: Source, seed: int, groups: Groups | None, _folder: Path) -> Course:
    return _by_class("voc", source, seed, groups or halves(source.names), _shows_any)


def _steps(source: Source, seed: int, groups: Groups | None, _folder: Path) -> Course:
    groups = groups if groups and len(groups) > 2 else five_groups(source.names)
    return _by_class("steps", source, seed, groups, _shows_any)


def _shows_any(shown: set[str], group: Sequence[str]) -> bool:
    return not shown.isdisjoint(group)


def _by_class(
    scenario: str, source: Source, seed: int, groups: Groups, belongs: Callable[[set[str], Sequence[str]], bool]
) -> Course:
    names = tuple(name for group in groups for name in group)
    holdout = Holdout("val", _renamed(source.val, source.names, names))
    train = _renamed(source.train, source.names, names)
    steps, known = list[Step](), tuple[str, ...]()
    for place, group in enumerate(groups):
        samples = tuple(sample for sample in train if belongs(_shown(sample, names), group))
        new = tuple(cell for cell in _cells(names, holdout) if cell.partition("/")[2] in group)
        steps.append(Step(_name(place), samples, group, old=known, new=new, known=known))
        known = (*known, *new)
    return Course(scenario, seed, names, tuple(steps), (holdout,))


def _shift(source: Source, seed: int, _groups: Groups | None, folder: Path) -> Course:
    first, second = _two_halves(source.train, "shift", seed)
    changed = tuple(shifted(sample, folder / "shifted" / "train", seed) for sample in second)
    original = Holdout("original", source.val)
    other = Holdout("shifted", tuple(shifted(sample, folder / "shifted" / "val", seed) for sample in source.val))
    old, new = _cells(source.names, original), _cells(source.names, other)
    steps = (
        Step(_name(0), first, source.names, old=old, new=new),
        Step(_name(1), changed, source.names, old=old, new=new, known=old),
    )
    return Course("shift", seed, source.names, steps, (original, other))


def _longtail(source: Source, seed: int, _groups: Groups | None, _folder: Path) -> Course:
    first, second = _two_halves(source.train, "longtail", seed)
    order = sorted(source.names, key=lambda name: lot("longtail", seed, name))
    share = {name: RAREST ** (place / (len(order) - 1)) for place, name in enumerate(order)}
    rare = _thinned(second, source.names, share, seed)
    holdout = Holdout("val", source.val)
    cells = _cells(source.names, holdout)
    frequent = halves(order)[0]
    old = tuple(cell for cell in cells if cell.partition("/")[2] in frequent)
    new = tuple(cell for cell in cells if cell not in old)
    steps = (
        Step(_name(0), first, source.names, old=old, new=new),
        Step(_name(1), rare, source.names, old=old, new=new, known=cells),
    )
    return Course("longtail", seed, source.names, steps, (holdout,))


def _thinned(samples: Sequence[Sample], names: Sequence[str], share: dict[str, float], seed: int) -> tuple[Sample, ...]:
    drawn = {sample.sha256: lot("thin", seed, sample.sha256) for sample in samples}
    kept = {
        sample.sha256
        for sample in samples
        if drawn[sample.sha256] < min((share[name] for name in _shown(sample, names)), default=1.0)
    }
    for name in names:
        shown = [sample.sha256 for sample in samples if name in _shown(sample, names)]
        if shown and kept.isdisjoint(shown):
            kept.add(min(shown, key=drawn.__getitem__))
    return tuple(sample for sample in samples if sample.sha256 in kept)


def _two_halves(samples: Sequence[Sample], *words: object) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    order = sorted(samples, key=lambda sample: lot(*words, sample.sha256))
    middle = (len(order) + 1) // 2
    return tuple(order[:middle]), tuple(order[middle:])


def _shown(sample: Sample, names: Sequence[str]) -> set[str]:
    return {names[int(row[0])] for row in sample.boxes}


def _renamed(samples: Sequence[Sample], names: Sequence[str], into: Sequence[str]) -> tuple[Sample, ...]:
    return tuple(replace(sample, boxes=remap(sample.boxes, names, into, drop_unknown=True)) for sample in samples)


def _cells(names: Sequence[str], *holdouts: Holdout) -> tuple[str, ...]:
    """One for each class that a hold-out shows: what it does not show can't be measured."""
    return tuple(
        f"{holdout.name}/{name}"
        for holdout in holdouts
        for name in names
        if any(name in _shown(sample, names) for sample in holdout.samples)
    )


def _name(place: int) -> str:
    return f"step-{place + 1}"


SCENARIOS: dict[str, Callable[[Source, int, Groups | None, Path], Course]] = {
    "same": _same,
    "strict": _strict,
    "voc": _voc,
    "steps": _steps,
    "shift": _shift,
    "longtail": _longtail,
}
