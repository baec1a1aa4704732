# ruff: noqa: RUF001 - pages use true minus signs and dashes
"""Rounds for the tests of the report: a realistic line of cards, and lines made to break a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from treering_api.lineage import RoundSummary
from treering_trainer.records import (
    AnalyseRecord,
    ClassScore,
    EpochRecord,
    EvaluateRecord,
    FetchRecord,
    Finding,
    GateCheck,
    GateRecord,
    ImageScore,
    PrepareRecord,
    RoundRecord,
    SetScore,
    SplitCount,
    TrainRecord,
    VerifyRecord,
)

OLD = ("ace", "king", "queen")
NEW = ("jack", "ten", "nine")
BEFORE = {"ace": 0.921, "king": 0.842, "queen": 0.877}
AFTER = {"ace": 0.934, "king": 0.806, "queen": 0.871, "jack": 0.788, "ten": 0.902, "nine": 0.854}
SHIFT = {"golden": 0.0, "2026-w47": 0.02, "2026-w48": -0.03}
HOSTILE = '<script>alert("x")</script>'
FINDINGS = (
    Finding(
        severity="quarantine",
        code="MissingLabel",
        where="2026-w48/train/IMG_2419.jpg",
        found="there is no label file for this image",
        mend="Add labels/train/IMG_2419.txt, empty if the image shows nothing to find",
    ),
    Finding(
        severity="warning",
        code="NearDuplicate",
        where="2026-w48/val/IMG_2433.jpg",
        found="looks like 2026-w47/train/IMG_2391.jpg (3 bits apart)",
        mend="Keep one of the two, or leave both in the same split",
    ),
    Finding(
        severity="info",
        code="TinyBox",
        where="2026-w48/train/IMG_2402.txt:3",
        found="a box of 0.8 × 0.6 pixels was left out",
        mend="Nothing to do; correct the label if the object is larger",
    ),
)


def draw_scene(path: Path, size: tuple[int, int] = (640, 480)) -> Path:
    """Write a picture with two cards on a table."""
    image = Image.new("RGB", size, "#3f5a4c")
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 80, 260, 360), fill="#f5f1e6")
    draw.rectangle((330, 100, 520, 380), fill="#f5f1e6")
    image.save(path, quality=90)
    return path


def scene(path: Path, name: str, f1: float, classes: Sequence[str] = ("king", "jack")) -> ImageScore:
    """A picture with one object found, one missed, and one prediction too many."""
    first, second = classes[0], classes[-1]
    return ImageScore(
        name=name,
        path=str(path),
        precision=f1,
        recall=f1,
        f1=f1,
        truth=((first, 60, 80, 260, 360), (second, 330, 100, 520, 380)),
        predictions=((first, 0.91, 64, 84, 256, 350), (first, 0.44, 340, 110, 515, 370), (second, 0.1, 5, 5, 30, 30)),
    )


def class_score(map50: float, instances: int = 24) -> ClassScore:
    return ClassScore(
        map50=map50,
        map50_95=map50 * 0.78,
        precision=min(1.0, map50 + 0.04),
        recall=max(0.0, map50 - 0.05),
        instances=instances,
    )


def set_scores(
    scores: Mapping[str, float], worst: Sequence[ImageScore] = (), names: Sequence[str] = tuple(SHIFT)
) -> tuple[SetScore, ...]:
    """The sets `names` with the same classes, a little apart; the first is a hold-out and has the worst images."""
    sets: list[SetScore] = []
    for number, name in enumerate(names):
        classes = {one: class_score(max(0.0, min(1.0, map50 + SHIFT.get(name, 0.0)))) for one, map50 in scores.items()}
        kind: Literal["holdout", "val"] = "val" if number else "holdout"
        images = tuple(worst) if number == 0 else ()
        sets.append(SetScore(name=name, kind=kind, images=67, classes=classes, worst=images))
    return tuple(sets)


def evaluation(before: Mapping[str, float], after: Mapping[str, float], worst: Sequence[ImageScore]) -> EvaluateRecord:
    """Before and after over the three sets, the means as the evaluate stage takes them."""
    old, new = tuple(before), tuple(name for name in after if name not in before)
    mean_before = sum(before.values()) / len(before) if before else None
    mean_old = sum(after[name] for name in old) / len(old) if old else None
    return EvaluateRecord(
        before=set_scores(before) if before else (),
        after=set_scores(after, worst),
        old_classes=old,
        new_classes=new,
        map50_before=mean_before,
        map50=sum(after.values()) / len(after),
        map50_95=sum(after.values()) / len(after) * 0.78,
        forgetting=None if mean_before is None or mean_old is None else mean_before - mean_old,
        gain=sum(after[name] for name in new) / len(new) if new else None,
        speed_ms=11.4,
        duration_s=14.2,
    )


def verdict(passed: bool, subject: str = "king") -> GateRecord:
    lost = 0.007 if passed else 0.114
    checks = (
        GateCheck(
            rule="maxForgetting",
            subject="all",
            measured=lost,
            limit=0.03,
            passed=passed,
            sentence=f"Old classes lost {lost * 100:.1f} points; at most 3.0 are allowed.",
        ),
        GateCheck(
            rule="classFloor",
            subject=subject,
            measured=0.806,
            limit=0.75,
            passed=True,
            sentence=f"{subject} is found with mAP50 0.806; the floor is 0.750.",
        ),
    )
    why = "All checks of the gate passed." if passed else "Rejected: old classes lost more than the gate allows."
    return GateRecord(passed=passed, checks=checks, sentence=why, duration_s=0.01)


def epochs(count: int) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=number,
            losses={
                "box_loss": 0.7 + 0.9 * exp(-number / 5),
                "cls_loss": 0.5 + 2.4 * exp(-number / 3),
                "dfl_loss": 0.95 + 0.35 * exp(-number / 6),
            },
            learning_rate=0.001 * (1 - 0.95 * number / (count + 1)) * min(1.0, (number + 1) / 3),
            images_per_s=41.0,
            fitness=0.71 * (1 - exp(-(number + 1) / 4)),
        )
        for number in range(count)
    )


def counts(classes: Sequence[str]) -> tuple[SplitCount, ...]:
    def one(
        dataset: str, kind: Literal["increment", "holdout", "memory"], split: Literal["train", "val"], images: int
    ) -> SplitCount:
        boxes = {name: images // 3 + 5 * number for number, name in enumerate(classes)}
        quarantined = 1 if kind == "increment" and split == "train" else 0
        return SplitCount(
            dataset=dataset,
            kind=kind,
            split=split,
            images=images,
            backgrounds=images // 20,
            quarantined=quarantined,
            boxes=boxes,
        )

    return (
        one("2026-w48", "increment", "train", 161),
        one("2026-w48", "increment", "val", 33),
        one("memory", "memory", "train", 14),
        one("golden", "holdout", "val", 67),
    )


def round_record(
    *,
    number: int = 2,
    before: Mapping[str, float] = BEFORE,
    after: Mapping[str, float] = AFTER,
    passed: bool = True,
    findings: Sequence[Finding] = FINDINGS,
    worst: Sequence[ImageScore] = (),
    epoch_count: int = 20,
    increment: str = "2026-w48",
) -> RoundRecord:
    """The second round of the cards line, or what the arguments make of it."""
    judged = evaluation(before, after, worst)
    return RoundRecord(
        line="cards",
        round=number,
        attempt=1,
        increments=(increment,),
        started=f"2026-11-2{number % 10}T20:05:00Z",
        finished=f"2026-11-2{number % 10}T20:17:40Z",
        treering_version="0.1.0",
        fetch=FetchRecord(objects=412, size_bytes=38_400_000, from_cache=204, duration_s=6.1),
        verify=VerifyRecord(counts=counts(tuple(after)), findings=tuple(findings), duration_s=3.8),
        analyse=AnalyseRecord(
            strategy="incremental",
            reason="3 new classes and 161 new images next to 154 learned before: far cheaper than training on all.",
            old_classes=judged.old_classes,
            new_classes=judged.new_classes,
            new_images=161,
            history_images=154,
            duration_s=1.2,
        ),
        prepare=PrepareRecord(
            classes=tuple(after),
            new_images=161,
            memory_images=14,
            merged_images=3,
            pseudo_labels={name: 40 + 11 * place for place, name in enumerate(judged.old_classes)},
            policies=("freeze", "replay", "pseudoLabels"),
            duration_s=21.5,
        ),
        train=TrainRecord(
            epochs=epochs(epoch_count),
            image_passes=175 * epoch_count,
            stopped_early=False,
            best_epoch=max(0, epoch_count - 2),
            learning_rate=0.001,
            batch=16,
            device="cpu",
            attempts=1,
            gpu_seconds=0.0,
            peak_memory_bytes=1_930_000_000,
            duration_s=702.0,
        ),
        evaluate=judged,
        gate=verdict(passed),
        versions={"python": "3.11.7", "torch": "2.10.0", "ultralytics": "8.4.190"},
        settings={"seed": "0", "precision": "fp32", "base": "sha256:6f1c2b0e5d"},
    )


def first_round(worst: Sequence[ImageScore] = ()) -> RoundRecord:
    return round_record(number=1, before={}, after=BEFORE, increment="2026-w47", worst=worst, findings=())


def rejected_round(worst: Sequence[ImageScore] = ()) -> RoundRecord:
    after = {**AFTER, "ace": 0.79, "king": 0.62, "queen": 0.812}
    return round_record(number=3, before=AFTER, after=after, passed=False, increment="2026-w49", worst=worst)


def summary(record: RoundRecord) -> RoundSummary:
    judged = record.evaluate
    return RoundSummary(
        round=record.round,
        attempt=record.attempt,
        parent=max(0, record.round - 1),
        increments=record.increments,
        strategy=record.analyse.strategy,
        reason=record.analyse.reason,
        verdict="published" if record.gate.passed else "rejected",
        map50=judged.map50,
        map50_before=judged.map50_before,
        forgetting=judged.forgetting,
        gain=judged.gain,
        images=record.prepare.new_images,
        started=record.started,
        finished=record.finished,
        uri=f"s3://lines/cards/rounds/{record.round:04d}/attempt-{record.attempt}",
    )


def nasty_round(picture: Path) -> RoundRecord:
    """60 classes with names that try to break out, 200 findings, pictures that are gone."""
    names = [HOSTILE, '" onmouseover="alert(1)', "{{ 7 * 7 }}", "$\\alpha$", "‮evil", "字符类", "w" * 200, "a&b<i>"]
    names += [f"class {number:02d}" for number in range(60 - len(names))]
    after = {name: (number * 37 % 100) / 100 for number, name in enumerate(names)}
    before = {name: min(1.0, after[name] + 0.01 * (number % 9 - 4)) for number, name in enumerate(names[:40])}
    before = {name: max(0.0, score) for name, score in before.items()}
    findings = [
        Finding(
            severity="error" if number % 2 else "warning",
            code="BadLabel" if number % 2 else "NearDuplicate",
            where=f"w1/train/{HOSTILE}-{number}.txt:1",
            found=f"class {number} </td></table> is out of range",
            mend="<img src=x onerror=alert(1)>",
        )
        for number in range(200)
    ]
    worst = [scene(picture, f"{HOSTILE}.jpg", 0.1, names[:2])]
    worst += [scene(picture.parent / f"gone-{at}.jpg", f"gone-{at}.jpg", at / 40, names[at:]) for at in range(1, 30)]
    return round_record(before=before, after=after, findings=findings, worst=worst, increment=HOSTILE[:60])
