"""The typed record that each stage of a round leaves behind: on disk, in the manifest, in the report.

Written by `stages/`, read by a restarted round (which goes on at the first stage without a record), by the report and
by the gate. Points are hundredths of mAP (`0.03` = 3 points); scores are between 0 and 1; durations are in seconds.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from treering_api import Policies
from treering_api.strategy import Decision
from treering_trainer.measures import Analysis

NOT_MEASURED = "NotMeasured"
"""Code of the finding that names classes which no evaluation set shows."""


class Record(BaseModel):
    """Base of every record: frozen, closed, JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(Record):
    """One thing that verification saw in a data set."""

    severity: Literal["error", "quarantine", "warning", "info"]
    code: str = Field(description="stable, CamelCase: CorruptImage, MissingLabel, ...")
    where: str = Field(description="`<data set>/<split>/<file>[:line]`, or the name of a data set or class")
    found: str
    mend: str


class SplitCount(Record):
    """How much one split of one data set holds after verification."""

    dataset: str
    kind: Literal["increment", "holdout", "memory"]
    split: Literal["train", "val"]
    images: int
    backgrounds: int = Field(description="images with an empty label file: data, not an omission")
    quarantined: int
    boxes: dict[str, int] = Field(description="boxes by class name")


class FetchRecord(Record):
    """What was pulled: images and labels of increments, hold-outs, memory and the weights to start from."""

    objects: int
    size_bytes: int
    from_cache: int = Field(description="objects that were already there, by ETag and size")
    duration_s: float


class VerifyRecord(Record):
    """What the data looks like, before any training."""

    counts: tuple[SplitCount, ...]
    findings: tuple[Finding, ...]
    duration_s: float

    @property
    def quarantined(self) -> int:
        """Images kept out of the round."""
        return sum(count.quarantined for count in self.counts)


class AnalyseRecord(Record):
    """What was measured to choose a strategy, and the choice with its reason."""

    strategy: Literal["incremental", "full"]
    reason: str
    old_classes: tuple[str, ...]
    new_classes: tuple[str, ...] = Field(description="classes the line did not know before this round")
    new_images: int
    history_images: int = Field(description="train images of every increment learned so far")
    analysis: Analysis | None = Field(default=None, description="what was measured; none in rounds of older versions")
    decision: Decision | None = Field(default=None, description="what auto chose and why; none where the spec chose")
    policies: Policies | None = Field(default=None, description="in effect, every field; none in older rounds")
    duration_s: float


class Threshold(Record):
    """From which confidence on a class's boxes of the old model count as objects, and what that rests on."""

    confidence: float
    precision: float | None = Field(description="share of right ones from there on, as measured; None: not measured")
    boxes: int = Field(description="right boxes that it was measured on")


class DonorRecord(Record):
    """One of the models that a merge round makes one of; the base is the first."""

    uri: str
    sha256: str = Field(description="of its file")
    label: str = Field(description="its kind, for people")
    classes: tuple[str, ...] = Field(description="that were taken from it")
    rows_fit: bool = Field(description="whether training starts from its rows of the head; else they are fitted anew")


class MergeRecord(Record):
    """What a merge round starts from."""

    trunk: str = Field(description="URI of the model whose layers it starts from, or `interpolated`")
    reason: str
    scores: dict[str, float] = Field(description="by trunk, mAP50 before training; empty where none was compared")
    seldom: dict[str, int] = Field(
        default={}, description="donors' classes that so few boxes show, labels and guesses, that they may be forgotten"
    )
    donors: tuple[DonorRecord, ...]


class PrepareRecord(Record):
    """What will be trained on."""

    classes: tuple[str, ...] = Field(description="the union, in head order: old classes keep their index")
    new_images: int
    memory_images: int
    merged_images: int = Field(description="memory images that came again in the delivery; their labels were united")
    pseudo_labels: dict[str, int] = Field(description="boxes added to new images by the old model, by class name")
    unsure: dict[str, int] = Field(default={}, description="boxes of the old model in which nothing is learned")
    thresholds: dict[str, Threshold] = Field(default={}, description="of the old model's boxes, by class name")
    drawn_images: int = Field(default=0, description="pictures that the old model drew of what no picture shows")
    drawn_boxes: dict[str, int] = Field(default={}, description="what it sees in them, by class name")
    image_passes: int = Field(default=0, description="what drawing took, in image passes of a training")
    policies: tuple[str, ...] = Field(description="in the order they act")
    merge: MergeRecord | None = Field(default=None, description="what was merged; none in every other round")
    duration_s: float


class EpochRecord(Record):
    """One epoch of training."""

    epoch: int
    losses: dict[str, float]
    learning_rate: float
    images_per_s: float
    fitness: float | None = Field(default=None, description="mean mAP50-95 over the val sets, where there are any")


class TrainRecord(Record):
    """How training went."""

    epochs: tuple[EpochRecord, ...]
    image_passes: int = Field(description="images shown to the model, counting repeats")
    stopped_early: bool
    best_epoch: int
    learning_rate: float
    batch: int
    device: str
    optimizer_state: Literal["fresh", "kept"] = Field(
        default="fresh", description="whether the optimizer went on with the moments of the round before"
    )
    attempts: int = Field(description="process starts that worked on this training")
    gpu_seconds: float
    peak_memory_bytes: int
    duration_s: float
    forward_passes: int = Field(
        default=0, description="images that policies let a network see forward only; a third of an image pass each"
    )
    chosen: dict[str, float] = Field(
        default={}, description="what policies measured and chose, by `policy, name`: such as how far back weights went"
    )
    remarks: tuple[str, ...] = Field(default=(), description="what policies say of their work, in sentences")


class ClassScore(Record):
    """How well one class is found on one evaluation set."""

    map50: float
    map50_95: float
    precision: float
    recall: float
    instances: int


class ImageScore(Record):
    """How well one image was read; the worst ones go into the report."""

    name: str
    path: str = Field(description="absolute path in the work folder")
    precision: float
    recall: float
    f1: float
    truth: tuple[tuple[str, float, float, float, float], ...] = Field(description="class, x1, y1, x2, y2 in pixels")
    predictions: tuple[tuple[str, float, float, float, float, float], ...] = Field(
        description="class, confidence, x1, y1, x2, y2 in pixels"
    )


class SetScore(Record):
    """One model on one evaluation set."""

    name: str = Field(description="name of the hold-out or of the increment whose val it is")
    kind: Literal["holdout", "val"]
    images: int
    classes: dict[str, ClassScore] = Field(description="classes that occur in the set, by name")
    worst: tuple[ImageScore, ...] = ()

    def mean(self, only: tuple[str, ...] | None = None) -> float | None:
        """Mean mAP50 over the classes of the set (over those in `only`, if given); None where there are none."""
        scores = [score.map50 for name, score in self.classes.items() if only is None or name in only]
        return sum(scores) / len(scores) if scores else None


class DonorScore(Record):
    """A donor beside the merged model, on the donor's own classes and the same sets."""

    uri: str
    classes: tuple[str, ...] = Field(description="that could be compared")
    map50_before: float
    map50: float


class EvaluateRecord(Record):
    """Before and after, on the same sets. `before` is empty in a line's first round.

    In a merge round `before` has the donors' scores, of each class the best donor's.
    """

    before: tuple[SetScore, ...]
    after: tuple[SetScore, ...]
    old_classes: tuple[str, ...]
    new_classes: tuple[str, ...]
    map50_before: float | None = Field(description="mean over old classes and sets, None in the first round")
    map50: float = Field(description="mean over all classes and sets")
    map50_95: float
    forgetting: float | None = Field(description="mAP50 lost on old classes: before - after; negative is a gain")
    gain: float | None = Field(description="mAP50 on new classes; None where there are none")
    speed_ms: float = Field(description="inference per image on this machine, milliseconds")
    donors: tuple[DonorScore, ...] = Field(default=(), description="in a merge round, each on its own classes")
    duration_s: float


class GateCheck(Record):
    """One rule of the gate and what it saw."""

    rule: str = Field(description="the field of evaluation.gate: maxForgetting, minGain, classFloor, ...")
    subject: str = Field(description="a class, a donor's URI, or `all`")
    measured: float | None
    limit: float
    passed: bool
    sentence: str = Field(description="the verdict in words, for people")


class GateRecord(Record):
    """Whether the candidate may become the line's model."""

    passed: bool
    checks: tuple[GateCheck, ...]
    sentence: str
    duration_s: float


class FileEntry(Record):
    """One file of a publication."""

    size_bytes: int
    sha256: str


class ExportedFormat(Record):
    """A further format of the model beside the model itself, on the same sets and the same machine."""

    name: str = Field(description="as in spec.export.formats")
    files: tuple[str, ...] = Field(default=(), description="below `exports/`; none where it is not published")
    size_bytes: int = 0
    device: str = Field(description="it was made and measured on")
    map50: float | None = Field(default=None, description="mean over the sets; None where it could not be measured")
    map50_95: float | None = None
    map50_drop: float | None = Field(default=None, description="the largest on any set, beside the model itself")
    box_drift_px: float | None = Field(default=None, description="95 of 100 boxes moved by no more, input pixels")
    latency_ms: float | None = Field(default=None, description="median of one picture, warm, without suppression")
    latency_p95_ms: float | None = None
    reference_ms: float | None = Field(default=None, description="median of the model itself, in turns with it")
    passed: bool
    reason: str = Field(default="", description="why it is not published")


class ExportRecord(Record):
    """What was made to be published, by name inside the round's folder."""

    files: dict[str, FileEntry]
    memory_images: int
    relabelled: dict[str, int] = Field(description="boxes of new classes added to memory by the new model")
    formats: tuple[ExportedFormat, ...] = Field(description="those asked for, published or not")
    cases: dict[str, int] = Field(default={}, description="pictures to look at or to label, by kind")
    duration_s: float


class PublishRecord(Record):
    """The one atomic step."""

    published: bool
    uri: str = Field(description="folder of the round in the store")
    manifest_sha256: str
    size_bytes: int
    duration_s: float


class RoundRecord(Record):
    """A whole round, as the manifest and the report hold it."""

    line: str
    round: int
    attempt: int
    increments: tuple[str, ...]
    started: str = Field(description="RFC 3339")
    finished: str
    treering_version: str
    fetch: FetchRecord
    verify: VerifyRecord
    analyse: AnalyseRecord
    prepare: PrepareRecord
    train: TrainRecord
    evaluate: EvaluateRecord
    gate: GateRecord
    formats: tuple[ExportedFormat, ...] = Field(default=(), description="further formats, published or not")
    cases: dict[str, int] = Field(default={}, description="pictures to look at or to label, by kind")
    versions: dict[str, str] = Field(default={}, description="of what did the work: python, torch, ultralytics, ...")
    settings: dict[str, str] = Field(
        default={}, description="what it takes to repeat the round, by name: seed, precision, digest of the base, ..."
    )
