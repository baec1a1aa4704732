"""Data sets side by side: pictures that are learned from and measured on, that come again, or that look alike.

`verify` calls `cross_check` once with everything a round touches. A picture is the same if its file's bytes are; it
looks alike if its perceptual hash differs in a few bits at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from treering_api import Verification
from treering_trainer.dataset.findings import bounded
from treering_trainer.dataset.layout import FOLDERS, place
from treering_trainer.dataset.likeness import hashes, nearest
from treering_trainer.dataset.samples import DataSet, Sample
from treering_trainer.records import Finding


@dataclass(frozen=True, eq=False)
class _Item:
    """A sample and whose it is; of one that was learned in an earlier round only digests are left."""

    dataset: DataSet
    sample: Sample
    earlier: bool = False

    @property
    def where(self) -> str:
        """Its address in findings; a hold-out's folder may be train or test though it counts as val."""
        if self.earlier:
            return f"a picture learned with {self.dataset.name}"
        folder = self.sample.image.parent.name
        return place(self.dataset.name, folder if folder in FOLDERS else "", self.sample.image.name)


def cross_check(
    increments: Sequence[DataSet],
    holdouts: Sequence[DataSet],
    memory: DataSet | None,
    settings: Verification,
    learned_before: Sequence[DataSet] = (),
) -> tuple[Finding, ...]:
    """Compare the train pictures of increments and memory with all val pictures, and among themselves.

    Those of `learned_before`, by increment, are in the model already and are compared with val pictures alone; an
    earlier increment's val, given among the hold-outs, is not called alike to them in every round anew.

    Findings: `HoldoutInTrain` and `ValInTrain` (errors, each naming both files); `NearDuplicate` (warning, one for each
    val picture that has a look-alike in train); `DeliveredAgain`, `MemoryOverlap` and `NearDuplicatesInTrain` (info,
    one for each data set). At most some twenty of each, and the number of the others.
    """
    learned = [_Item(dataset, sample) for dataset in increments for sample in dataset.train]
    learned += [_Item(dataset, sample, earlier=True) for dataset in learned_before for sample in dataset.train]
    known = {item.sample.sha256 for item in learned}
    remembered = memory.train if memory is not None else ()
    learned += [_Item(memory, sample) for sample in remembered if memory is not None and sample.sha256 not in known]
    measured = [_Item(dataset, sample) for dataset in (*increments, *holdouts) for sample in dataset.val]
    first: dict[str, _Item] = {}
    for item in learned:
        first.setdefault(item.sample.sha256, item)
    leaks = [_leak(item, first[item.sample.sha256]) for item in measured if item.sample.sha256 in first]
    clean = [item for item in measured if item.sample.sha256 not in first]
    settled = {id(dataset) for dataset in holdouts if dataset.kind == "increment"}  # set beside the older ones already
    fresh = [item for item in clean if id(item.dataset) not in settled]
    findings = [*leaks, *_look_alikes(fresh, learned, settings.near_duplicate_bits)]
    old, now = [item for item in clean if id(item.dataset) in settled], [item for item in learned if not item.earlier]
    findings += _look_alikes(old, now, settings.near_duplicate_bits)
    findings += [*_delivered_again(increments), *_memory_overlap(increments, memory)]
    findings += [found for dataset in increments for found in _twins(dataset, settings.near_duplicate_bits)]
    return bounded(findings, "all data sets")


def _leak(measured: _Item, learned: _Item) -> Finding:
    found = f"the same picture as {learned.where}, which is trained on"
    if measured.dataset.kind == "holdout":
        code = "HoldoutInTrain"
        mend = "A hold-out never enters training: take it out of the train split, or out of the hold-out."
    else:
        code = "ValInTrain"
        mend = "Keep it in one of the two splits: a score on pictures that were learned says nothing."
    if learned.earlier:
        found = f"the same picture as one that was learned with {learned.dataset.name}"
        split = "the hold-out" if measured.dataset.kind == "holdout" else "the val split"
        mend = f"Take it out of {split}: a score on pictures that were learned says nothing."
    return _finding("error", code, measured.where, found, mend)


def _look_alikes(measured: list[_Item], learned: list[_Item], max_bits: int) -> list[Finding]:
    if not measured or not learned:
        return []
    near = nearest(hashes(item.sample for item in measured), hashes(item.sample for item in learned), max_bits)
    mend = "Look at both: if they show one scene, keep them in one split, or the score flatters."
    findings = []
    for item, index, distance, count in zip(measured, near.index, near.distance, near.count, strict=True):
        if count:
            more = f" and {count - 1} more" if count > 1 else ""
            found = f"looks like {learned[index].where} ({distance} of 64 bits differ){more}, trained on"
            findings.append(_finding("warning", "NearDuplicate", item.where, found, mend))
    return findings


def _delivered_again(increments: Sequence[DataSet]) -> list[Finding]:
    """For each increment, how many of its pictures an earlier one has already brought."""
    origin: dict[str, str] = {}
    findings = []
    for dataset in increments:
        again: dict[str, int] = defaultdict(int)
        for sample in dataset.train:
            if (earlier := origin.setdefault(sample.sha256, dataset.name)) != dataset.name:
                again[earlier] += 1
        for earlier, number in again.items():
            found = f"{number} of {len(dataset.train)} train pictures came with {earlier} already"
            findings.append(_finding("info", "DeliveredAgain", dataset.name, found, "None needed."))
    return findings


def _memory_overlap(increments: Sequence[DataSet], memory: DataSet | None) -> list[Finding]:
    if memory is None:
        return []
    remembered = {sample.sha256 for sample in memory.train}
    findings = []
    for dataset in increments:
        if number := sum(sample.sha256 in remembered for sample in dataset.train):
            found = f"{number} of {len(dataset.train)} train pictures are in the memory too"
            mend = "None needed: each is used once, with the labels of both."
            findings.append(_finding("info", "MemoryOverlap", dataset.name, found, mend))
    return findings


def _twins(dataset: DataSet, max_bits: int) -> list[Finding]:
    """Train pictures that look alike within one increment: frames of one video, most of the time."""
    if not dataset.train:
        return []
    own = hashes(dataset.train)
    number = int((nearest(own, own, max_bits).count > 1).sum())  # each is near to itself
    if not number:
        return []
    found = f"{number} of {len(dataset.train)} train pictures look like another one of them"
    mend = "None needed; fewer frames of one scene would train faster."
    return [_finding("info", "NearDuplicatesInTrain", dataset.name, found, mend)]


def _finding(severity: str, code: str, where: str, found: str, mend: str) -> Finding:
    return Finding.model_validate({"severity": severity, "code": code, "where": where, "found": found, "mend": mend})
