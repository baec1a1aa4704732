from __future__ import annotations

from collections.abc import Callable

import pytest

from treering_api import Verification
from treering_trainer.dataset import DataSet, Sample, cross_check
from treering_trainer.records import Finding

NewSample = Callable[..., Sample]
NewDataSet = Callable[..., DataSet]
Only = Callable[..., Finding]

FAR = 0xFFFF_FFFF_0000_0000
SETTINGS = Verification()


def test_cross_check__nothing_shared(new_sample: NewSample, new_dataset: NewDataSet) -> None:
    increment = new_dataset("w47", train=(new_sample("a", "1", 0),), val=(new_sample("b", "2", FAR, "val"),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("c", "3", FAR, "val"),))
    memory = new_dataset("memory", "memory", train=(new_sample("m", "4", ~FAR & 0xFFFF),))
    assert cross_check([increment], [holdout], memory, SETTINGS) == ()


def test_cross_check__holdout_in_train(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    increment = new_dataset("w47", train=(new_sample("a", "1", 0),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("g", "1", 0, "test"),))
    findings = cross_check([increment], [holdout], None, SETTINGS)
    finding = only(findings, "HoldoutInTrain")
    assert (finding.severity, finding.where) == ("error", "golden/test/g.jpg")
    assert "the same picture as w47/train/a.jpg" in finding.found
    assert "A hold-out never enters training" in finding.mend
    assert len(findings) == 1  # not a near duplicate on top


def test_cross_check__val_of_one_increment_in_train_of_another(
    new_sample: NewSample, new_dataset: NewDataSet, only: Only
) -> None:
    old = new_dataset("w47", val=(new_sample("a", "1", 0, "val"),))
    new = new_dataset("w48", train=(new_sample("b", "1", 0),))
    finding = only(cross_check([old, new], [], None, SETTINGS), "ValInTrain")
    assert (finding.severity, finding.where) == ("error", "w47/val/a.jpg")
    assert "w48/train/b.jpg" in finding.found
    assert "one of the two splits" in finding.mend


def test_cross_check__holdout_in_memory(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    memory = new_dataset("memory", "memory", train=(new_sample("m", "1", 0),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("g", "1", 0, "val"),))
    assert "memory/train/m.jpg" in only(cross_check([], [holdout], memory, SETTINGS), "HoldoutInTrain").found


@pytest.mark.parametrize(("bits", "warned"), [(0b1111, True), (0b11111, False)], ids=["4 bits", "5 bits"])
def test_cross_check__near_duplicate(
    new_sample: NewSample, new_dataset: NewDataSet, only: Only, bits: int, warned: bool
) -> None:
    increment = new_dataset(
        "w47", train=(new_sample("far", "0", FAR), new_sample("a", "1", bits)), val=(new_sample("v", "2", 0, "val"),)
    )
    findings = cross_check([increment], [], None, SETTINGS)
    if not warned:
        assert findings == ()
        return
    finding = only(findings, "NearDuplicate")
    assert (finding.severity, finding.where) == ("warning", "w47/val/v.jpg")
    assert finding.found == "looks like w47/train/a.jpg (4 of 64 bits differ), trained on"
    assert "keep them in one split" in finding.mend


def test_cross_check__near_duplicates_are_grouped(new_sample: NewSample, new_dataset: NewDataSet) -> None:
    train = tuple(new_sample(f"a{number}", f"t{number}", 0) for number in range(50))
    val = tuple(new_sample(f"v{number}", f"v{number}", 1, "val") for number in range(300))
    findings = cross_check([new_dataset("w47", train=train, val=val)], [], None, SETTINGS)
    near = [finding for finding in findings if finding.code == "NearDuplicate"]
    assert len(near) == 21
    assert near[0].found == "looks like w47/train/a0.jpg (1 of 64 bits differ) and 49 more, trained on"
    assert near[-1].found == "280 more findings NearDuplicate, 300 in all"
    assert [finding.found for finding in findings if finding.code == "NearDuplicatesInTrain"] == [
        "50 of 50 train pictures look like another one of them"
    ]


def test_cross_check__delivered_again(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    old = new_dataset("w47", train=(new_sample("a", "1", 0), new_sample("b", "2", FAR)))
    new = new_dataset("w48", train=(new_sample("c", "1", 0),))
    finding = only(cross_check([old, new], [], None, SETTINGS), "DeliveredAgain")
    assert (finding.severity, finding.where) == ("info", "w48")
    assert finding.found == "1 of 1 train pictures came with w47 already"


def test_cross_check__memory_overlap(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    memory = new_dataset("memory", "memory", train=(new_sample("m", "1", 0),))
    new = new_dataset("w48", train=(new_sample("c", "1", 0), new_sample("d", "2", FAR)))
    finding = only(cross_check([new], [], memory, SETTINGS), "MemoryOverlap")
    assert (finding.severity, finding.where) == ("info", "w48")
    assert finding.found == "1 of 2 train pictures are in the memory too"


def test_cross_check__one_picture_measured_twice_is_fine(new_sample: NewSample, new_dataset: NewDataSet) -> None:
    increment = new_dataset("w47", val=(new_sample("a", "1", 0, "val"),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("g", "1", 0, "val"),))
    assert cross_check([increment], [holdout], None, SETTINGS) == ()


def test_cross_check__learned_before(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    """The memory has the same picture: the increment that it came with says more."""
    before = new_dataset("w46", train=(new_sample("x", "1", 0), new_sample("y", "2", FAR)))
    memory = new_dataset("memory", "memory", train=(new_sample("m", "1", 0),))
    new = new_dataset("w48", train=(new_sample("c", "5", 0xFFFF),), val=(new_sample("v", "2", FAR, "val"),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("g", "1", 0, "val"),))
    findings = cross_check([new], [holdout], memory, SETTINGS, [before])
    leak, val = only(findings, "HoldoutInTrain"), only(findings, "ValInTrain")
    assert leak.found == "the same picture as one that was learned with w46"
    assert leak.mend.startswith("Take it out of the hold-out")
    assert (val.where, val.found) == ("w48/val/v.jpg", "the same picture as one that was learned with w46")
    assert len(findings) == 2


def test_cross_check__looks_like_one_learned_before(new_sample: NewSample, new_dataset: NewDataSet, only: Only) -> None:
    before = new_dataset("w46", train=(new_sample("x", "1", 0b1),))
    holdout = new_dataset("golden", "holdout", val=(new_sample("g", "2", 0, "val"),))
    finding = only(cross_check([], [holdout], None, SETTINGS, [before]), "NearDuplicate")
    assert finding.found == "looks like a picture learned with w46 (1 of 64 bits differ), trained on"


def test_cross_check__an_earlier_val_is_set_beside_new_pictures_alone(
    new_sample: NewSample, new_dataset: NewDataSet, only: Only
) -> None:
    before = new_dataset("w46", train=(new_sample("x", "1", 0),))
    kept = new_dataset("w46", val=(new_sample("v", "2", 0, "val"),))
    assert cross_check([], [kept], None, SETTINGS, [before]) == ()
    new = new_dataset("w48", train=(new_sample("c", "3", 0),))
    assert "w48/train/c.jpg" in only(cross_check([new], [kept], None, SETTINGS, [before]), "NearDuplicate").found
