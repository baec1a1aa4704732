"""Models that teach: which classes each one teaches, what it says of a batch, and what is remembered of that."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from treering_api import BadSpecError, Distill
from treering_trainer.policies.interface import Dense, Detector, Situation, Toolbox

FIELD = "spec.policies.distill"
LISTED = 12


@dataclass(frozen=True)
class Teacher:
    """One model that teaches.

    Args:
        where: the field of the spec that names it.
        columns: by class that it teaches, in the line's order: the student's column and its own.
        shares: as long; how much it counts for each class beside other teachers of the same one, above 0 to 1.
    """

    where: str
    detector: Detector
    columns: Mapping[str, tuple[int, int]]
    shares: tuple[float, ...] = ()

    @property
    def student_columns(self) -> list[int]:
        """Columns of the student's scores that it teaches."""
        return [student for student, _ in self.columns.values()]

    def look(self, images: torch.Tensor, toolbox: Toolbox, *, features: bool) -> tuple[Dense, ...]:
        """What it says of images, per branch of its head: scores of the classes it teaches only, no gradients.

        Args:
            features: whether the features are wanted, too.
        """
        network = self.detector.network
        network.eval()  # whatever was done to it: its statistics are part of what it knows
        own = [teacher for _, teacher in self.columns.values()]
        with torch.no_grad():
            branches = toolbox.dense(network, network(images))
        if not features:
            branches = tuple(replace(branch, features=()) for branch in branches)
        return tuple(replace(branch, scores=branch.scores[:, own]) for branch in branches)


@dataclass
class Notes:
    """What teachers said of images that always look the same, within a budget.

    An image is looked at alone, so that what is said of it does not depend on what it was shown with, nor on whether
    the training was cut off in between. Notes are never dropped for others: an epoch shows every image, and with the
    oldest dropped none would be there when it is asked for.

    Args:
        budget_bytes: of all tensors; nothing more is written down then.
        features: whether features are wanted, too.
    """

    budget_bytes: int
    features: bool = False
    size_bytes: int = 0
    looks: int = 0
    """Images that teachers looked at."""
    _said: dict[tuple[str, str, tuple[int, ...]], tuple[Dense, ...]] = field(default_factory=dict)

    def look(self, teacher: Teacher, batch: Mapping[str, Any], toolbox: Toolbox) -> tuple[Dense, ...]:
        """What `teacher` says of a batch: from memory where its images are steady, by looking where they are not."""
        images: torch.Tensor = batch["img"]
        if not self.budget_bytes or not batch.get("steady"):
            self.looks += len(images)
            return teacher.look(images, toolbox, features=self.features)
        files: Sequence[str] = batch["im_file"]
        said = [self._recall(teacher, file, images[place : place + 1], toolbox) for place, file in enumerate(files)]
        return tuple(_join(parts, images.device) for parts in zip(*said, strict=True))

    def _recall(self, teacher: Teacher, file: str, image: torch.Tensor, toolbox: Toolbox) -> tuple[Dense, ...]:
        key = (teacher.where, file, tuple(image.shape))
        known = self._said.get(key)
        if known is not None:
            return known
        self.looks += 1
        looked = teacher.look(image, toolbox, features=self.features)
        said = tuple(_move(branch, torch.device("cpu")) for branch in looked)
        size_bytes = sum(_size_bytes(branch) for branch in said)
        if self.size_bytes + size_bytes <= self.budget_bytes:
            self._said[key] = said
            self.size_bytes += size_bytes
        return said


def choose_teachers(settings: Distill, situation: Situation) -> tuple[Teacher, ...]:
    """Who teaches in a round: the published model in an incremental one, or the donors where models are merged; further
    teachers wherever they are given.

    Raises:
        BadSpecError: a teacher has no class of the line, or lacks one that it is to teach.
    """
    found: list[Teacher] = []
    if settings.published and situation.incremental:
        found += _published(situation)
    for place, further in enumerate(settings.teachers):
        detector, where = situation.teachers.get(further.uri), f"{FIELD}.teachers[{place}]"
        if detector is not None:
            _refuse_strangers(where, further.uri, detector, situation.names, further.classes)
            taught = [name for name in situation.names if name in (further.classes or situation.names)]
            found.append(_teacher(where, detector, situation.names, taught))
    counts = Counter(name for teacher in found for name in teacher.columns)
    return tuple(replace(teacher, shares=tuple(1 / counts[name] for name in teacher.columns)) for teacher in found)


def _published(situation: Situation) -> Iterator[Teacher]:
    if situation.donors is not None:
        for donor in situation.donors:
            yield _teacher(donor.field, donor.detector, situation.names, donor.classes)
    elif situation.teacher is not None:
        yield _teacher(f"{FIELD}.published", situation.teacher, situation.names, situation.old_names)


def refuse_other_grids(teacher: Teacher, strides: tuple[int, ...], toolbox: Toolbox) -> None:
    """Raise a `BadSpecError` where a teacher's anchors lie elsewhere than the student's."""
    own = toolbox.strides(teacher.detector.network)
    if own != strides:
        raise BadSpecError(
            teacher.where,
            f"the teacher's head looks every {_listed(own)} pixels, the line's every {_listed(strides)}",
            "Give a teacher with the same strides; most YOLO models have 8, 16 and 32.",
        )


def weights_digest(teachers: Sequence[Teacher]) -> str:
    """SHA-256 over all tensors of all teachers."""
    digest = hashlib.sha256()
    for teacher in teachers:
        for tensor in teacher.detector.network.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _teacher(where: str, detector: Detector, names: Sequence[str], taught: Sequence[str]) -> Teacher:
    own = {name: column for column, name in enumerate(detector.names)}
    columns = {name: (column, own[name]) for column, name in enumerate(names) if name in taught and name in own}
    return Teacher(where, detector, columns)


def _refuse_strangers(where: str, uri: str, detector: Detector, names: Sequence[str], classes: Sequence[str]) -> None:
    missing = [name for name in classes if name not in detector.names]
    if missing:
        raise BadSpecError(
            f"{where}.classes",
            f"{uri} does not know {_listed(missing)}; it knows {_listed(detector.names)}",
            "List classes that it knows, spelled as there, or none for all that it shares with the line.",
        )
    if not set(names) & set(classes or detector.names) & set(detector.names):
        raise BadSpecError(
            where,
            f"{uri} shares no class with the line: it teaches {_listed(classes or detector.names)}, the line has"
            f" {_listed(names)}",
            "Give a teacher that was trained on classes of the same names, or rename them in the increments.",
        )


def _listed(items: Sequence[Any]) -> str:
    more = f" and {len(items) - LISTED} more" if len(items) > LISTED else ""
    return ", ".join(str(item) for item in items[:LISTED]) + more


def _tensors(dense: Dense) -> tuple[torch.Tensor, ...]:
    return (dense.scores, dense.sides, dense.anchors, dense.strides, *dense.features)


def _size_bytes(dense: Dense) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(dense))


def _move(dense: Dense, device: torch.device) -> Dense:
    scores, sides, anchors, strides, *features = (tensor.to(device) for tensor in _tensors(dense))
    return Dense(scores.contiguous(), sides.contiguous(), anchors, strides, tuple(features))


def _join(parts: Sequence[Dense], device: torch.device) -> Dense:
    """One image each, of the same shape, as one batch on the device."""
    first = parts[0]
    together = Dense(
        scores=torch.cat([part.scores for part in parts]),
        sides=torch.cat([part.sides for part in parts]),
        anchors=first.anchors,
        strides=first.strides,
        features=tuple(torch.cat(level) for level in zip(*(part.features for part in parts), strict=True)),
    )
    return _move(together, device)
