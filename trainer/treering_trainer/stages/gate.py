"""gate: whether the candidate may become the line's model, rule by rule and in words.

Rules compare the same classes on the same sets. Points are hundredths of mAP50. A merged model is compared with each
donor on the donor's own classes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from treering_api import Gate
from treering_trainer.records import EvaluateRecord, GateCheck, GateRecord
from treering_trainer.stages.donor_names import short_names
from treering_trainer.stages.evaluate import class_means
from treering_trainer.stages.workbench import Workbench

ROUNDING = 1e-9


def gate(bench: Workbench) -> GateRecord:
    """Judge the candidate."""
    start_s = time.monotonic()
    passed, checks, sentence = judge(bench.record(EvaluateRecord), bench.plan.spec.evaluation.gate)
    return GateRecord(passed=passed, checks=checks, sentence=sentence, duration_s=time.monotonic() - start_s)


def judge(scores: EvaluateRecord, rules: Gate) -> tuple[bool, tuple[GateCheck, ...], str]:
    """All rules on one comparison: whether all hold, each with its finding, and the verdict in a sentence."""
    checks = (*_forgetting(scores, rules), *_gain(scores, rules), *_floors(scores, rules))
    failed = [check for check in checks if not check.passed]
    if failed:
        return False, checks, "Rejected: " + "; ".join(check.sentence for check in failed) + "."
    if not checks:
        return True, checks, "Accepted: this is the line's first model, and the gate asks nothing of it."
    return True, checks, "Accepted: " + "; ".join(check.sentence for check in checks[:2]) + "."


def _forgetting(scores: EvaluateRecord, rules: Gate) -> Iterator[GateCheck]:
    names = short_names([donor.uri for donor in scores.donors])
    for donor in scores.donors:
        who = f"the classes of {names[donor.uri]}"
        yield _limit("maxForgetting", donor.uri, who, donor.map50_before - donor.map50, rules.max_forgetting)
    if scores.forgetting is not None and not scores.donors:
        yield _limit("maxForgetting", "all", "the old classes", scores.forgetting, rules.max_forgetting)
    if rules.max_class_forgetting is None:
        return
    before, after = class_means(scores.before), class_means(scores.after)
    for name in scores.old_classes:
        if name in before and name in after:
            yield _limit("maxClassForgetting", name, name, before[name] - after[name], rules.max_class_forgetting)


def _gain(scores: EvaluateRecord, rules: Gate) -> Iterator[GateCheck]:
    if rules.min_gain is None or not scores.new_classes:
        return  # more pictures of known classes need not reach anything anew
    gained = scores.gain
    measured = "nothing that could be measured" if gained is None else f"{_points(gained)} points"
    yield GateCheck(
        rule="minGain",
        subject="all",
        measured=gained,
        limit=rules.min_gain,
        passed=gained is not None and gained >= rules.min_gain - ROUNDING,
        sentence=f"the new classes reach {measured}, at least {100 * rules.min_gain:.1f} are asked for",
    )


def _floors(scores: EvaluateRecord, rules: Gate) -> Iterator[GateCheck]:
    after = class_means(scores.after)
    for name, floor in rules.class_floor.items():
        if name not in (*scores.old_classes, *scores.new_classes):
            continue  # a class still to come: its floor waits for it
        measured = after.get(name)
        reached = "it occurs in no evaluation set" if measured is None else f"mAP50 {measured:.3f}"
        yield GateCheck(
            rule="classFloor",
            subject=name,
            measured=measured,
            limit=floor,
            passed=measured is not None and measured >= floor - ROUNDING,
            sentence=f"{name}: {reached}, its floor is {floor:.3f}",
        )


def _limit(rule: str, subject: str, who: str, lost: float, allowed: float) -> GateCheck:
    change = f"lost {_points(lost)} points of mAP50" if lost > 0 else f"gained {_points(-lost)} points of mAP50"
    if _points(abs(lost)) == "0.0":
        change = "kept their mAP50" if who.startswith("the ") else "kept its mAP50"
    return GateCheck(
        rule=rule,
        subject=subject,
        measured=lost,
        limit=allowed,
        passed=lost <= allowed + ROUNDING,
        sentence=f"{who} {change}, at most {_points(allowed)} points may be lost",
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-0.0", "0.0")
