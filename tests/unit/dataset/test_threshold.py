from __future__ import annotations

from typing import Literal

import pytest

from treering_api import Verification
from treering_api.errors import BadDataError
from treering_api.exit_codes import ExitCode
from treering_trainer.dataset import enforce
from treering_trainer.records import Finding, SplitCount


def count(images: int, quarantined: int, dataset: str = "w47", split: Literal["train", "val"] = "train") -> SplitCount:
    return SplitCount(
        dataset=dataset, kind="increment", split=split, images=images, backgrounds=0, quarantined=quarantined, boxes={}
    )


def finding(severity: Literal["error", "quarantine", "warning"], number: int, dataset: str = "w47") -> Finding:
    where = f"{dataset}/train/a{number}.txt:{number}"
    return Finding(severity=severity, code="ZeroArea", where=where, found=f"zero area {number}", mend="Draw it again.")


def test_enforce__clean() -> None:
    enforce([count(100, 0)], [finding("warning", 1)], Verification())


@pytest.mark.parametrize("quarantined", [0, 29], ids=["none", "at the limit"])
def test_enforce__within_the_limit(quarantined: int) -> None:
    findings = [finding("quarantine", number) for number in range(quarantined)]
    enforce([count(100 - quarantined, quarantined)], findings, Verification(max_quarantined=0.29))


def test_enforce__share_is_of_both_splits() -> None:
    findings = [finding("quarantine", 1)]
    enforce([count(60, 0), count(39, 1, split="val")], findings, Verification(max_quarantined=0.01))


def test_enforce__too_much_in_quarantine() -> None:
    findings = [*(finding("quarantine", number, "w48") for number in range(3)), finding("quarantine", 9, "w47")]
    with pytest.raises(BadDataError) as caught:
        enforce([count(999, 1), count(97, 3, "w48")], findings, Verification())
    assert caught.value.exit_code is ExitCode.BAD_DATA
    assert caught.value.where == "w48"
    assert "3 of 100 pictures (3.0%) of w48 quarantined" in caught.value.found
    assert "w48/train/a2.txt:2: zero area 2. Draw it again." in caught.value.found
    assert "w47" not in caught.value.found
    assert "raise spec.verification.maxQuarantined (0.01)" in caught.value.mend


def test_enforce__ten_are_spelled_out() -> None:
    findings = [finding("quarantine", number) for number in range(500)]
    with pytest.raises(BadDataError) as caught:
        enforce([count(0, 500)], findings, Verification())
    assert caught.value.found.count("Draw it again.") == 10
    assert "and 490 more" in caught.value.found


def test_enforce__one_error_speaks_for_itself() -> None:
    with pytest.raises(BadDataError) as caught:
        enforce([count(100, 0)], [finding("warning", 1), finding("error", 7)], Verification(max_quarantined=1))
    assert (caught.value.where, caught.value.found) == ("w47/train/a7.txt:7", "zero area 7")
    assert caught.value.mend == "Draw it again."


def test_enforce__errors_come_first() -> None:
    findings = [*(finding("quarantine", number) for number in range(20)), *(finding("error", 30 + n) for n in range(2))]
    with pytest.raises(BadDataError) as caught:
        enforce([count(80, 20)], findings, Verification())
    assert caught.value.found.startswith("2 errors; 20 of 100 pictures (20.0%) of w47 quarantined")
    assert caught.value.found.index("zero area 31") < caught.value.found.index("zero area 0")
    assert "and 12 more" in caught.value.found


def test_enforce__no_pictures_at_all() -> None:
    enforce([], [], Verification(max_quarantined=0))
