"""Adding up a data set picture by picture: samples, counts, copies, and what only the whole of it shows.

Used by `read`, which feeds it in the order of the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from treering_api.errors import BadDataError
from treering_trainer.dataset.changes import change_findings
from treering_trainer.dataset.findings import bounded
from treering_trainer.dataset.samples import Checked, DataSet, Kind, Sample, Split
from treering_trainer.records import Finding, SplitCount


@dataclass
class _Bin:
    """One split while it fills: samples by the hash of their file, with the address of each."""

    samples: dict[str, tuple[str, Sample]] = field(default_factory=dict)
    quarantined: int = 0


class Tally:
    """One data set while it is read."""

    def __init__(self, name: str, kind: Kind, findings: Iterable[Finding]) -> None:
        self._name = name
        self._kind: Kind = kind
        self._findings = [*findings]
        self._changes = Counter[str]()
        self._bins: dict[Split, _Bin] = {"train": _Bin(), "val": _Bin()}

    def refuse(self, code: str, error: BadDataError) -> None:
        """Note an error that concerns the whole data set."""
        where, found, mend = error.where, error.found, error.mend
        self._findings.append(Finding(severity="error", code=code, where=where, found=found, mend=mend))

    def take(self, split: Split, where: str, sample: Sample | None, findings: Iterable[Finding]) -> None:
        """Add one picture: a sample, or None where it is quarantined; `where` is its address."""
        self._findings.extend(findings)
        into = self._bins[split]
        if sample is None:
            into.quarantined += 1
        elif sample.sha256 in into.samples:
            self._take_copy(into, where, sample)
        else:
            into.samples[sample.sha256] = (where, sample)

    def count_changes(self, changes: Mapping[str, int]) -> None:
        """Add how often labels of a picture were changed or dropped, by code."""
        self._changes.update(changes)

    def checked(self, names: tuple[str, ...]) -> Checked:
        """The data set with its class names, counts of the splits that hold anything, and all findings."""
        train, val = (tuple(sample for _, sample in held.samples.values()) for held in self._bins.values())
        dataset = DataSet(self._name, self._kind, names, train, val)
        counts = tuple(self._count(dataset, split) for split in self._bins if self._held(split))
        findings = [*self._findings, *self._remarks(dataset), *change_findings(self._changes, self._name)]
        return Checked(dataset, counts, bounded(findings, self._name))

    def _take_copy(self, into: _Bin, where: str, sample: Sample) -> None:
        """A picture counts once in a split. Where its copies are labelled alike nothing is lost by that."""
        other, first = into.samples[sample.sha256]
        if _same_boxes(first, sample):
            found, mend = f"the same picture as {other}, labelled alike", "None needed: it is used once."
            self._findings.append(Finding(severity="info", code="DuplicateImage", where=where, found=found, mend=mend))
            return
        into.quarantined += 1
        found, mend = f"the same picture as {other}, but labelled otherwise", "Keep the one that is labelled right."
        self._findings.append(
            Finding(severity="quarantine", code="ContradictoryLabels", where=where, found=found, mend=mend)
        )

    def _held(self, split: Split) -> bool:
        return bool(self._bins[split].samples or self._bins[split].quarantined)

    def _count(self, dataset: DataSet, split: Split) -> SplitCount:
        samples = dataset.train if split == "train" else dataset.val
        return SplitCount(
            dataset=self._name,
            kind=self._kind,
            split=split,
            images=len(samples),
            backgrounds=sum(len(sample.boxes) == 0 for sample in samples),
            quarantined=self._bins[split].quarantined,
            boxes=box_counts(samples, dataset.names),
        )

    def _remarks(self, dataset: DataSet) -> list[Finding]:
        split: Split = "val" if self._kind == "holdout" else "train"
        samples = dataset.train if split == "train" else dataset.val
        if not self._held(split):
            return []  # the layout has said that it is empty
        if not samples:
            found, mend = "not one usable picture", "Mend the files named by the other findings."
            return [Finding(severity="error", code="NothingUsable", where=self._name, found=found, mend=mend)]
        absent = [name for name, count in box_counts(samples, dataset.names).items() if not count]
        return [self._absent(absent, dataset.names)] if absent and self._kind != "memory" else []

    def _absent(self, absent: list[str], names: tuple[str, ...]) -> Finding:
        if len(absent) == len(names):
            found, mend = "not one box: every label file is empty", "Check that the labels are the right ones."
            return Finding(severity="warning", code="NoBoxes", where=self._name, found=found, mend=mend)
        found, mend = f"no box of {', '.join(absent[:20])}", "None needed, if that is how it should be."
        return Finding(severity="info", code="ClassWithoutBoxes", where=self._name, found=found, mend=mend)


def box_counts(samples: Iterable[Sample], names: tuple[str, ...]) -> dict[str, int]:
    """Boxes by class name, zeros included, in the order of `names`."""
    counter = Counter(int(index) for sample in samples for index in sample.boxes[:, 0])
    return {name: counter[index] for index, name in enumerate(names)}


def _same_boxes(one: Sample, other: Sample) -> bool:
    return np.array_equal(_sorted_rows(one), _sorted_rows(other))


def _sorted_rows(sample: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return sample.boxes[np.lexsort(sample.boxes.T[::-1])]
