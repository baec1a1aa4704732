"""The pod of one round, rollback or look: restricted by Kubernetes' pod security, on a root that nobody writes to."""

from __future__ import annotations

from typing import Any

from treering_api import seconds
from treering_operator.resources.environment import NODE_RANK, RENDEZVOUS_PORT, environment, environment_from
from treering_operator.resources.labels import work_labels
from treering_operator.resources.placement import placement
from treering_operator.resources.requests import requests
from treering_operator.resources.volumes import CACHE_PATH, PLAN_PATH, certificate_file, mounts, volumes
from treering_operator.resources.work import Work

CONTAINER = "trainer"
USER_ID = 65532
PROGRESS_PORT = 9464

_GRACE_S = 120
_OVERTIME_S = 300
_SMALL_DEADLINE_S = 3600
_RESULT = "/dev/termination-log"


def pod_template(work: Work) -> dict[str, Any]:
    """The Job's pod template."""
    return {
        "metadata": {"labels": work_labels(work)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_S,  # time for a checkpoint
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(work)],
            "volumes": volumes(work),
        }
        | _deadline(work)
        | _identity(work)
        | placement(work.spec.compute),
    }


def _container(work: Work) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": work.spec.compute.image or work.settings.trainer_image,
        "imagePullPolicy": work.settings.image_pull_policy,
        "command": _command(work),
        "env": environment(work),
        "envFrom": environment_from(work),
        "resources": requests(work),
        "volumeMounts": mounts(work),
        "terminationMessagePath": _RESULT,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # of a pod killed before its result: its last lines
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    } | _ports(work)


def _command(work: Work) -> list[str]:
    """The program of the pod."""
    verb = {"round": "round", "rollback": "rollback", "discovery": "discover"}[work.kind]
    command = ["treering", verb, PLAN_PATH, "--result", _RESULT]
    if work.is_round:
        command += ["--listen", f"0.0.0.0:{PROGRESS_PORT}", "--workdir", _work_folder(work)]
    authority = certificate_file(work)
    if authority:
        command += ["--certificate-authority", authority]
    return [*command, "--json"]


def _work_folder(work: Work) -> str:
    """A folder of the line's own, and of each node's own: one claim may serve many of both."""
    folder = f"{CACHE_PATH}/{work.line_uid}"
    return folder if work.nodes == 1 else f"{folder}/node-$({NODE_RANK})"


def _ports(work: Work) -> dict[str, Any]:
    if not work.is_round:
        return {}
    ports = [{"name": "http", "containerPort": PROGRESS_PORT, "protocol": "TCP"}]
    if work.nodes > 1:
        ports.append({"name": "rendezvous", "containerPort": RENDEZVOUS_PORT, "protocol": "TCP"})
    return {"ports": ports}


def _deadline(work: Work) -> dict[str, int]:
    """The trainer stops itself at the deadline and keeps what it has; this one is for a pod that hangs."""
    given = seconds(work.spec.deadline) + _OVERTIME_S if work.spec.deadline else None
    if not work.is_round:
        given = min(given or _SMALL_DEADLINE_S, _SMALL_DEADLINE_S)
    return {} if given is None else {"activeDeadlineSeconds": given}


def _identity(work: Work) -> dict[str, Any]:
    """Who the pod is in the cluster: its account, its pull secrets, its name among several nodes."""
    fields: dict[str, Any] = {}
    if work.spec.store.service_account:
        fields["serviceAccountName"] = work.spec.store.service_account
    if work.spec.compute.image_pull_secrets:
        fields["imagePullSecrets"] = [{"name": name} for name in work.spec.compute.image_pull_secrets]
    if work.nodes > 1:
        fields["subdomain"] = work.subdomain
    return fields
