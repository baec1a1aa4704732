"""What a user asks of a line while it lives, on a real API server: back, again, pause, another list, deliveries found.

Each test also waits a moment where nothing may happen: a round that nobody asked for would be learned in it.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.conftest import World
from tests.plugins.api_server import LINES, Refusal
from tests.plugins.operators import Starter
from treering_api import RETRY_ANNOTATION, Delivery

SETTLE_S = 1.5
HOLDING = {"gate": {"onReject": "hold"}}
FOLDER = "s3://inbox"


def await_state(world: World, state: str) -> None:
    """Play until the line says so, and then let time pass: what comes after it counts, too."""
    world.player.play_until(lambda: world.status().get("state") == state)
    end_s = time.monotonic() + SETTLE_S
    while time.monotonic() < end_s:
        world.player.play()
        time.sleep(0.1)
    assert world.status()["state"] == state, world.status()


def ask_again(world: World, word: str) -> None:
    """Annotate the line as `kubectl annotate` would."""
    path = f"{LINES}/namespaces/{world.namespace}/incrementaltrains/cards"
    world.server.request("PATCH", path, {"metadata": {"annotations": {RETRY_ANNOTATION: word}}})


def story(world: World) -> list[tuple[int, tuple[str, ...], str]]:
    """The rounds as the store has them."""
    return [(one.round, one.increments, one.verdict) for one in world.trainer.lineage("cards").rounds]


def told(world: World) -> list[tuple[int, list[str], str]]:
    """The rounds as the status has them."""
    return [(one["round"], one["increments"], one["verdict"]) for one in world.status()["rounds"]]


def condition(world: World, kind: str) -> str:
    return str(next(one["status"] for one in world.status()["conditions"] if one["type"] == kind))


# Back to an earlier round


def test_rollback__to_an_earlier_round_and_on_from_there(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", "second")
    world.play_until_learned(2)
    world.apply("cards", "first", "second", "third", rollbackTo=1)
    await_state(world, "RolledBack")
    status, current = world.status(), world.trainer.lineage("cards").current
    assert current is not None
    assert (current.round, status["model"]["round"], status["model"]["digest"]) == (1, 1, current.digest)
    assert (status["learned"], status["outstanding"]) == (["first"], 2)
    assert "remove spec.rollbackTo" in status["message"]
    assert condition(world, "Ready") == "True"
    assert len(story(world)) == 2, "nothing is learned while it stands there"

    world.apply("cards", "first", "second", "third")
    world.play_until_learned(3)
    assert story(world)[2:] == [(3, ("second",), "published"), (4, ("third",), "published")]
    parents = [one.parent for one in world.trainer.lineage("cards").rounds]
    assert parents == [0, 1, 1, 3], "it grows from the model that it went back to"


def test_rollback__to_a_round_that_published_nothing_is_refused(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first")
    world.play_until_learned(1)
    world.apply("cards", "first", rollbackTo=7)
    await_state(world, "Stalled")
    assert world.status()["message"].startswith("spec.rollbackTo: round 7 published no model")
    assert world.status()["model"]["round"] == 1
    world.apply("cards", "first", "second")
    world.play_until_learned(2)


# Again, on a person's word


def test_retry__bad_data_is_learned_once_it_is_mended_and_asked_for(world: World, operators: Starter) -> None:
    operators()
    world.trainer.unreadable.add("first")
    world.apply("cards", "first", "second")
    await_state(world, "Stalled")
    status = world.status()
    assert "s3://data/first/labels/7.txt: line 3 has four numbers" in status["message"]
    assert RETRY_ANNOTATION in status["message"]
    assert status["failure"]["reason"] == "BadData"
    assert told(world) == [(1, ["first"], "failed")]

    ask_again(world, "once")  # and nothing was mended
    world.player.play_until(lambda: world.trainer.attempts["cards", 1] == 2)
    await_state(world, "Stalled")
    world.trainer.unreadable.clear()
    time.sleep(SETTLE_S)
    world.player.play()
    assert world.trainer.attempts == {("cards", 1): 2}, "one try for each word, and none for a mended delivery alone"

    ask_again(world, "twice")
    world.play_until_learned(2)
    assert world.trainer.attempts == {("cards", 1): 3, ("cards", 2): 1}
    assert told(world) == [(1, ["first"], "published"), (2, ["second"], "published")]
    assert "failure" not in world.status()


def test_retry__held_line_tries_its_round_again(world: World, operators: Starter) -> None:
    operators()
    world.trainer.rejected.add("second")
    world.apply("cards", "first", "second", "third", evaluation=HOLDING)
    await_state(world, "Held")
    status = world.status()
    assert "Round 2 was rejected and onReject is hold: worse than before" in status["message"]
    assert RETRY_ANNOTATION in status["message"]
    assert condition(world, "Stalled") == "True"
    assert (status["learned"], status["model"]["round"]) == (["first"], 1)

    world.trainer.rejected.clear()
    ask_again(world, "better lamps")
    world.play_until_learned(3)
    assert story(world) == [
        (1, ("first",), "published"),
        (2, ("second",), "rejected"),
        (3, ("second",), "published"),
        (4, ("third",), "published"),
    ]


# A pause


def test_suspend__running_round_stops_and_goes_on_in_its_job(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", "second")
    world.wait("a Job", lambda: bool(world.jobs()))
    (job,) = world.jobs()
    kubelet = world.player.kubelet
    pod = kubelet.await_pod(job["metadata"]["name"])
    kubelet.running(pod)
    world.wait("training", lambda: world.status().get("state") == "Training")

    world.apply("cards", "first", "second", suspend=True)
    world.wait("its pod is asked to end", lambda: is_ending(world, pod))
    kubelet.ended(pod, 75)
    await_state(world, "Suspended")
    assert "round 1 goes on" in world.status()["message"]
    assert [one["spec"]["suspend"] for one in world.jobs()] == [True]
    assert (kubelet.pods(), world.trainer.attempts) == ([], {})

    world.apply("cards", "first", "second", suspend=False)
    world.play_until_learned(2)
    first = next(one for one in world.jobs() if one["metadata"]["labels"]["treering.dev/number"] == "1")
    assert first["metadata"]["uid"] == job["metadata"]["uid"], "the same Job all along"
    assert world.trainer.attempts == {("cards", 1): 1, ("cards", 2): 1}


def test_suspend__line_at_rest_begins_nothing(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", suspend=True)
    await_state(world, "Suspended")
    assert (world.jobs(), world.status()["outstanding"]) == ([], 1)
    world.apply("cards", "first")
    world.play_until_learned(1)


def is_ending(world: World, pod: str) -> bool:
    return any(
        "deletionTimestamp" in one["metadata"] for one in world.player.kubelet.pods() if one["metadata"]["name"] == pod
    )


# Another list


@pytest.mark.parametrize("listed", [("second", "third"), ("second", "first", "third")], ids=["removed", "reordered"])
def test_increments__trained_one_is_refused_at_the_door(
    world: World, operators: Starter, listed: tuple[str, ...]
) -> None:
    operators()
    world.apply("cards", "first", "second")
    world.play_until_learned(2)
    with pytest.raises(Refusal, match=r"spec\.increments.*removed, reordered"):
        world.apply("cards", *listed)
    world.apply("cards", "first", "second", "third")
    world.play_until_learned(3)


@pytest.mark.parametrize(
    ("listed", "where", "found"),
    [
        (("other",), "spec.increments: ", "increment 'first' was learned in round 1, but is gone"),
        (("other", "first"), "spec.increments[0]: ", "found 'other' where 'first' was learned in round 1"),
    ],
    ids=["removed", "reordered"],
)
def test_increments__trained_one_stalls_a_line_that_was_made_anew(
    world: World, operators: Starter, listed: tuple[str, ...], where: str, found: str
) -> None:
    operators()
    world.apply("cards", "first")
    world.play_until_learned(1)
    world.delete()
    world.wait("no Job any more", lambda: not world.jobs())
    world.apply("cards", *listed)  # with no status, nobody but the store knows better
    await_state(world, "Stalled")
    assert world.status()["message"].startswith(where + found), world.status()["message"]
    assert condition(world, "Stalled") == "True"
    assert story(world) == [(1, ("first",), "published")]
    world.apply("cards", "first", "other")
    world.play_until_learned(2)


def test_increments__untrained_ones_may_change_places_and_go(world: World, operators: Starter) -> None:
    operators()
    world.apply("cards", "first", "second", "third", "fourth")
    world.player.play_until(lambda: bool(story(world)))
    world.wait("a Job of round 2", lambda: coming(world) == ["second"])
    world.apply("cards", "first", "third", "second", "fourth")
    world.wait("a Job that learns another one", lambda: coming(world) == ["third"])
    kubelet = world.player.kubelet
    pod = kubelet.await_pod(next(job["metadata"]["name"] for job in world.jobs() if learns(job) == "third"))
    kubelet.running(pod)
    world.wait("training", lambda: world.status().get("state") == "Training")

    world.apply("cards", "first", "second", "fourth")
    world.wait("its pod is asked to end", lambda: is_ending(world, pod))
    kubelet.ended(pod, 75)
    world.play_until_learned(3)
    assert [names for _, names, _ in story(world)] == [("first",), ("second",), ("fourth",)]
    assert world.status()["learned"] == ["first", "second", "fourth"]


def learns(job: dict[str, Any]) -> str:
    return str(job["metadata"]["annotations"]["treering.dev/increments"])


def coming(world: World) -> list[str]:
    """What the Jobs of round 2 learn."""
    jobs = [job for job in world.jobs() if job["metadata"]["labels"]["treering.dev/number"] == "2"]
    return [learns(job) for job in jobs if "deletionTimestamp" not in job["metadata"]]


# Deliveries that are found


def look(world: World, number: int, *found: Delivery) -> dict[str, Any]:
    """Play one look, which finds these; what the status says after it."""
    world.trainer.deliveries["cards"] = found
    world.wait(f"look {number} runs", lambda: world.player.play() == 1)
    world.wait(f"look {number} is told", lambda: discovery(world).get("looks") == number)
    return discovery(world)


def discovery(world: World) -> dict[str, Any]:
    return dict(world.status().get("discovery", {}))


def looking(**settings: Any) -> dict[str, Any]:
    return {"discover": {"uri": FOLDER, "interval": "1s", **settings}}


def seen(found: dict[str, Any]) -> list[tuple[str, int, bool]]:
    return [(one["name"], one["images"], one["complete"]) for one in found["deliveries"]]


def test_discover__deliveries_that_stand_still_become_one_round(world: World, operators: Starter) -> None:
    operators("--resync", "1")
    world.apply("cards", **looking(minImages=150))
    half, whole = Delivery(name="w1", images=40, digest="a1"), Delivery(name="w1", images=100, digest="a2")
    found = look(world, 1, half)
    assert seen(found) == [("w1", 40, False)]
    assert found["waitingFor"] == "to be seen unchanged by one more look: w1"
    assert seen(look(world, 2, whole)) == [("w1", 100, False)], "it grew between two looks"

    found = look(world, 3, whole)
    assert (seen(found), found["images"]) == ([("w1", 100, True)], 100)
    assert found["waitingFor"].startswith("100 images in 1 delivery here, 50 more needed (minImages), or waits until ")
    status = world.status()
    assert (status["state"], story(world)) == ("Waiting", [])
    assert found["waitingFor"] in status["message"]

    second = Delivery(name="w2", images=60, digest="b1")
    found = look(world, 4, whole, second)
    assert found["waitingFor"].endswith("; to be seen unchanged by one more look: w2")
    assert story(world) == []
    look(world, 5, whole, second)
    world.player.play_until(lambda: bool(story(world)))
    await_state(world, "UpToDate")
    assert story(world) == [(1, ("w1", "w2"), "published")]
    assert told(world) == [(1, ["w1", "w2"], "published")]
    assert world.status()["message"] == "Up to date: 2 deliveries found and dealt with."
    assert condition(world, "Ready") == "True"
    after = discovery(world)
    assert (after.get("deliveries", []), after["images"], after["waitingFor"]) == ([], 0, "")


def test_discover__next_look_comes_after_the_interval(world: World, operators: Starter) -> None:
    operators("--resync", "1")
    world.apply("cards", **looking(interval="1h"))
    delivery = Delivery(name="w1", images=10, digest="a1")
    look(world, 1, delivery)
    time.sleep(2 * SETTLE_S)
    assert (world.player.play(), discovery(world)["begun"]) == (0, 1), "an hour is not over"
    world.apply("cards", **looking())
    look(world, 2, delivery)
    await_state(world, "UpToDate")
    assert story(world) == [(1, ("w1",), "published")]


def test_discover__increments_of_the_spec_come_first(world: World, operators: Starter) -> None:
    operators("--resync", "1")
    world.apply("cards", "first", **looking())
    same = Delivery(name="first", images=10, digest="a1")
    world.trainer.deliveries["cards"] = (same, Delivery(name="w1", images=10, digest="b1"))
    world.player.play_until(lambda: len(story(world)) == 2)
    assert story(world) == [(1, ("first",), "published"), (2, ("w1",), "published")]
    await_state(world, "UpToDate")
    assert world.status()["learned"] == ["first"], "those of the spec; what was found is told by the rounds"
    assert world.status()["message"] == "Up to date: 1 increment learned; 1 delivery found and dealt with."
