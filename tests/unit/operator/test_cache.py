from __future__ import annotations

from tests.unit.operator.objects import job, line
from treering_operator.cluster.cache import ChildCache, Key, LineCache
from treering_operator.cluster.views import job_view
from treering_operator.observed import JobView

CARDS: Key = ("default", "cards")


def lines() -> tuple[LineCache, list[Key]]:
    changed: list[Key] = []
    return LineCache(changed.append, changed.append), changed


def jobs() -> tuple[ChildCache[JobView], list[Key]]:
    changed: list[Key] = []
    return ChildCache(job_view, changed.append), changed


def test_lines__never_go_back() -> None:
    cache, changed = lines()
    cache.put(line(version=5, state="Training"))
    cache.put(line(version=4, state="Pending"))
    cache.put(line(version=5, state="Pending"))
    held = cache.get(CARDS)
    assert held is not None
    assert held["status"]["state"] == "Training"
    assert changed == [CARDS]


def test_lines__hold_nothing_that_nobody_reads() -> None:
    cache, _ = lines()
    raw = line()
    cache.put(raw)
    held = cache.get(CARDS)
    assert held is not None
    assert "managedFields" not in held["metadata"]
    assert held["metadata"]["annotations"] == {"treering.dev/retry": "1"}
    assert "managedFields" in raw["metadata"], "what came from outside is not changed"


def test_lines__what_is_gone_stays_gone_whatever_comes_late() -> None:
    cache, changed = lines()
    cache.put(line(version=5))
    cache.drop(line(version=6))
    cache.put(line(version=7))
    assert cache.get(CARDS) is None
    cache.put(line(version=8, uid="another"))
    assert cache.get(CARDS) is not None
    assert changed == [CARDS, CARDS, CARDS]


def test_lines__a_late_deletion_does_not_take_the_line_that_was_made_anew() -> None:
    cache, _ = lines()
    cache.put(line(version=5))
    cache.put(line(version=9, uid="another"))
    cache.drop(line(version=6))
    assert cache.get(CARDS) is not None


def test_lines__deletions_are_found_by_a_list_but_not_what_came_after_it() -> None:
    cache, _ = lines()
    cache.put(line("old", version=3))
    cache.put(line("kept", version=4))
    cache.put(line("new", version=12))
    cache.keep("", {"uid-kept"}, version=10)
    assert cache.known() == [("default", "kept"), ("default", "new")]


def test_lines__a_list_of_one_namespace_says_nothing_of_others() -> None:
    cache, _ = lines()
    cache.put(line(version=3))
    cache.keep("elsewhere", set(), version=10)
    assert len(cache) == 1


def test_children__are_found_by_their_line() -> None:
    cache, changed = jobs()
    cache.put(job("b-r1-0", line="b"))
    cache.put(job("cards-r2-0", version=2))
    cache.put(job("cards-r1-0"))
    assert [view.name for view in cache.of(CARDS)] == ["cards-r1-0", "cards-r2-0"]
    assert cache.of(("default", "nobody")) == ()
    assert changed == [("default", "b"), CARDS, CARDS]


def test_children__nobody_is_woken_by_a_change_that_the_view_does_not_show() -> None:
    cache, changed = jobs()
    cache.put(job(version=1))
    cache.put(job(version=2))
    cache.put(job(version=3, active=1))
    assert changed == [CARDS, CARDS]


def test_children__dropped_and_unlisted_ones_go() -> None:
    cache, changed = jobs()
    cache.put(job("cards-r1-0", version=1))
    cache.put(job("cards-r2-0", version=2))
    cache.drop(job("cards-r1-0", version=3))
    cache.keep("", set(), version=4)
    assert len(cache) == 0
    assert changed == [CARDS] * 4


def test_lines__what_a_user_does_is_told_apart_from_a_status() -> None:
    asked, changed = list[Key](), list[Key]()
    lines = LineCache(asked.append, changed.append)
    raw = line(version=1)
    key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
    lines.put(raw)
    lines.put(line(version=2) | {"status": {"state": "Pending"}})
    assert (asked, changed) == ([key], [key])
    edited = line(version=3)
    edited["metadata"]["generation"] = 2
    lines.put(edited)
    annotated = line(version=4)
    annotated["metadata"] |= {"generation": 2, "annotations": {"treering.dev/retry": "now"}}
    lines.put(annotated)
    assert (asked, changed) == ([key, key, key], [key])
