"""The operator as a process on a real API server: replicas, signals, permissions, and a network that fails."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path

import pytest

from tests.integration.conftest import World
from tests.plugins.api_proxy import ApiProxy
from tests.plugins.operators import OperatorProcess, Starter

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def test_replicas__one_acts_and_the_other_takes_over_at_once(world: World, operators: Starter) -> None:
    first = operators()
    world.wait("a leader", first.leads)
    second = operators()
    assert second.get("/readyz")[0] == 200, "a replica that waits is ready, too"
    assert not second.leads()
    world.apply("cards", "first")
    world.play_until_learned(1)
    assert first.stop() == 0
    began_s = time.monotonic()
    world.wait("the second one to lead", second.leads)
    assert time.monotonic() - began_s < 5
    world.apply("cards", "first", "second")
    world.play_until_learned(2)


def test_replicas__a_killed_leader_is_replaced_after_its_lease(world: World, operators: Starter) -> None:
    first = operators()
    world.wait("a leader", first.leads)
    second = operators()
    first.kill()
    time.sleep(5)
    assert not second.leads(), "before the lease has run out nobody else may act"
    world.wait("the second one to lead", second.leads, 30)


def test_replicas__leader_that_loses_its_lease_ends_with_an_error(world: World, operators: Starter) -> None:
    operator = operators()
    world.wait("a leader", operator.leads)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/treering-operator"
    world.server.request("PATCH", path, {"spec": {"holderIdentity": "somebody-else"}})
    assert operator.program.process.wait(20) == 1
    assert "lease" in operator.words()


def test_stop__is_graceful_on_sigterm(operators: Starter) -> None:
    operator = operators()
    assert operator.stop() == 0
    assert "Traceback" not in operator.words()


def test_start__missing_permissions_are_named_all(world: World, operators: Starter) -> None:
    account = f"/api/v1/namespaces/{world.namespace}/serviceaccounts"
    world.server.request("POST", account, {"metadata": {"name": "weak"}})
    user = f"system:serviceaccount:{world.namespace}:weak"
    operator = operators(user=user, ready=False)
    assert operator.program.process.wait(30) == 1
    words = operator.words()
    assert "get, list, watch, create, patch, delete jobs.batch" in words
    assert "patch incrementaltrains/status.treering.dev" in words
    assert "get, create, update leases.coordination.k8s.io" in words
    assert f"in namespace {world.namespace}" in words
    assert "Traceback" not in words


def test_start__required_permissions_are_enough(world: World, operators: Starter) -> None:
    from treering_operator.cluster.permissions import REQUIRED

    base = f"{RBAC}/namespaces/{world.namespace}"
    world.server.request(
        "POST", f"/api/v1/namespaces/{world.namespace}/serviceaccounts", {"metadata": {"name": "least"}}
    )
    rules = [{"apiGroups": [one.group], "resources": [one.resource], "verbs": list(one.verbs)} for one in REQUIRED]
    world.server.request("POST", f"{base}/roles", {"metadata": {"name": "least"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "least", "namespace": world.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "least"}
    binding = {"metadata": {"name": "least"}, "subjects": [subject], "roleRef": role}
    world.server.request("POST", f"{base}/rolebindings", binding)
    operator = operators(user=f"system:serviceaccount:{world.namespace}:least")
    world.apply("cards", "first")
    world.play_until_learned(1)
    assert "orbidden" not in operator.words()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--workers", "0"), 2, "1 to 64"),
        (("--listen", "8080"), 2, "HOST:PORT"),
        (("--kubeconfig", "/nowhere"), 1, "there is no such file"),
        (("--unknown",), 2, "unrecognized"),
    ],
    ids=["workers", "listen", "kubeconfig", "unknown"],
)
def test_start__bad_flags_are_told_in_words(tmp_path: Path, flags: tuple[str, ...], code: int, said: str) -> None:
    operator = OperatorProcess.start(tmp_path, Path("/nowhere"), *flags, ready=False)
    assert operator.program.process.wait(30) == code
    assert said in operator.words()
    assert "Traceback" not in operator.words()


def test_watches__silence_is_told_by_healthz_and_mended_by_itself(
    world: World, operators: Starter, api_proxy: ApiProxy
) -> None:
    operator = operators("--heartbeat", "2", "--no-leader-election", kubeconfig=api_proxy.kubeconfig())
    assert operator.get("/healthz")[0] == 200
    api_proxy.silent.set()
    world.wait("dead", lambda: operator.get("/healthz")[0] == 503)
    for resource in ("incrementaltrains", "jobs", "pods"):
        silence = re.compile(rf"the watch of {resource} .*was last heard")
        world.wait(f"{resource} dead", partial(_says, operator, silence))
    world.apply("cards", "first")
    api_proxy.mend()
    world.wait("alive", lambda: operator.get("/healthz")[0] == 200, 60)
    world.play_until_learned(1)


def _says(operator: OperatorProcess, words: re.Pattern[str]) -> bool:
    return words.search(operator.get("/healthz")[1]) is not None


def test_watches__broken_connections_are_taken_up_again(world: World, operators: Starter, api_proxy: ApiProxy) -> None:
    operator = operators("--heartbeat", "5", "--no-leader-election", kubeconfig=api_proxy.kubeconfig())
    world.apply("cards", "first")
    for _ in range(3):
        api_proxy.cut.set()
        time.sleep(0.5)
        api_proxy.mend()
        time.sleep(0.5)
    world.play_until_learned(1)
    assert operator.program.process.poll() is None
