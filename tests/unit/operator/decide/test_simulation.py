"""Random lives of a line: whatever users, pods, the cluster and lost writes do, every increment is learned once.

The store's lineage is the truth; the operator never sees it but through pods' last words.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.operator.decide.world import World, line_resource
from treering_api import Mirror, Status

OUTCOMES = ("publish", "reject", "bad data", "crash", "out of memory", "lost word", "nothing said")


class LineLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.seen: list[dict[str, Any]] = []
        self.appended = 0

    @initialize(on_reject=st.sampled_from(("keep", "hold", "retrainFull")), discovers=st.booleans())
    def new_line(self, on_reject: str, discovers: bool) -> None:
        more: dict[str, Any] = {"discover": {"uri": "s3://drop/cards", "minImages": 15}} if discovers else {}
        self.world.slow = True
        self.world.resource = line_resource(evaluation={"gate": {"onReject": on_reject}}, historyLimit=3, **more)

    # The operator

    @rule()
    def reconciles(self) -> None:
        self.seen.append(copy.deepcopy(self.world.resource))
        self.world.step()

    @rule(done=st.integers(0, 2))
    def dies_between_two_writes(self, done: int) -> None:
        self.world.step(done=done)

    @precondition(lambda self: self.seen)
    @rule(back=st.integers(1, 5))
    def sees_an_old_line(self, back: int) -> None:
        self.world.step(stale=copy.deepcopy(self.seen[-min(back, len(self.seen))]))

    # The cluster

    @rule(minutes=st.sampled_from((1, 20)))
    def time_passes(self, minutes: int) -> None:
        self.world.tick(minutes=minutes)

    @precondition(lambda self: self.world.going())
    @rule(outcome=st.sampled_from(OUTCOMES), which=st.integers(0, 3))
    def a_job_ends(self, outcome: Any, which: int) -> None:
        jobs = [job for job in self.world.going() if not job.suspended]
        if jobs:
            self.world.run(jobs[which % len(jobs)].name, outcome)

    @precondition(lambda self: self.world.going())
    @rule()
    def a_pod_fails_and_another_starts(self) -> None:
        job = self.world.going()[0]
        if not job.suspended:
            self.world.end_pod(self.world.start(job.name), 75, "torn")
            self.world.start(job.name)

    @precondition(lambda self: self.world.jobs)
    @rule(which=st.integers(0, 9))
    def a_job_is_deleted(self, which: int) -> None:
        names = sorted(self.world.jobs)
        self.world.remove(names[which % len(names)])

    @precondition(lambda self: self.world.pods)
    @rule()
    def a_pod_is_swept_away(self) -> None:
        self.world.pods.pop(0)

    @precondition(lambda self: "queue" in self.world.resource["spec"])
    @rule()
    def kueue_admits(self) -> None:
        for job in self.world.going("round"):
            self.world.jobs[job.name] = type(job)(**{**_fields(job), "suspended": False})

    @rule()
    def deletions_finish(self) -> None:
        self.world.finish_deletions()

    # People

    @precondition(lambda self: self.appended < 3)
    @rule()
    def appends(self) -> None:
        self.appended += 1
        self.world.append(f"a{self.appended}")

    @rule(patience=st.integers(1, 99))
    def changes_how_to_learn(self, patience: int) -> None:
        self.world.edit(training={"patience": patience})

    @rule(suspend=st.booleans())
    def suspends(self, suspend: bool) -> None:
        self.world.edit(suspend=suspend)

    @rule(queue=st.sampled_from((None, "gpus")))
    def changes_the_queue(self, queue: str | None) -> None:
        self.world.edit(queue=queue)

    @rule(to=st.sampled_from((None, None, 1, 2, 9)))
    def goes_back(self, to: int | None) -> None:
        self.world.edit(rollbackTo=to)

    @rule()
    def asks_again(self) -> None:
        self.world.ask_again()

    @rule(name=st.sampled_from(("d1", "d2", "d3")))
    def delivers(self, name: str) -> None:
        if name not in {item.increment.name for item in self.world.lineage.settled}:
            self.world.deliver(name)

    @rule()
    def breaks_the_spec(self) -> None:
        self.world.edit(retries="many")

    @rule()
    def loses_the_status(self) -> None:
        self.world.resource.pop("status", None)

    @rule(part=st.sampled_from(("mirror", "discovery", "conditions", "rounds", "state", "harvested")))
    def spoils_the_status(self, part: str) -> None:
        if "status" in self.world.resource:
            self.world.resource["status"][part] = "by hand"

    # What always holds

    @invariant()
    def never_two_rounds(self) -> None:
        assert len(self.world.going("round", "rollback")) <= 1

    @invariant()
    def nothing_is_learned_twice(self) -> None:
        names = [item.increment.name for item in self.world.lineage.settled]
        assert len(set(names)) == len(names)
        assert len(set(self.world.published)) == len(self.world.published)

    @invariant()
    def status_is_one_that_can_be_read(self) -> None:
        data = self.world.decide().status.data()
        assert Status.model_validate(json.loads(json.dumps(data))).data() == data

    def teardown(self) -> None:
        """Once people and the cluster behave, everything is learned, in order, and the status says what is so."""
        if "spec" not in self.world.resource:
            return
        world = self.world
        world.slow = False
        world.edit(suspend=None, rollbackTo=None, retries=None, queue=None)
        for _ in range(8):
            world.ask_again()
            for job in world.going():
                world.jobs[job.name] = type(job)(**{**_fields(job), "suspended": False, "queue": ""})
            world.tick(days=8)
            world.grow()
        status = world.status()
        assert status.state == "UpToDate", (status.state, status.message)
        assert status.mirror == Mirror.of(world.lineage)
        wanted = [item["name"] for item in world.resource["spec"]["increments"]]
        own = [item.increment.name for item in world.lineage.settled if not item.discovered]
        assert own == wanted
        assert [item.name for item in status.settled] == wanted
        assert (status.learned, status.skipped) == (_own(world, "learned"), _own(world, "skipped"))
        if "discover" in world.resource["spec"]:
            found = {item.increment.name for item in world.lineage.settled if item.discovered}
            assert found == set(world.folder)
        model = world.lineage.current
        assert (status.model.digest if status.model else None) == (model.digest if model else None)
        assert not world.step().actions


def _own(world: World, outcome: str) -> tuple[str, ...]:
    settled = world.lineage.settled
    return tuple(item.increment.name for item in settled if not item.discovered and item.outcome == outcome)


def _fields(job: Any) -> dict[str, Any]:
    return {name: getattr(job, name) for name in job.__slots__}


TestLineLife = LineLife.TestCase
TestLineLife.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
