"""The fake node: KWOK's configuration, in which a Job's pods run for a while and then end as a trainer's pods would.

A pod that needs a ConfigMap starts once that is there, as on a real node; KWOK can't look at other objects, so `mounts`
starts these. A pod of Treering leaves the termination message of a published round, made from its labels; so a line's
rounds go on one after the other as they do with a real trainer.
"""

from __future__ import annotations

from typing import Any

import yaml

NAME = "fake"
_JOB = {"key": ".metadata.ownerReferences.[].kind", "operator": "In", "values": ["Job"]}
_ALIVE = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}

_READY = """
{{ $now := Now }}
conditions:
{{ range list "Initialized" "Ready" "ContainersReady" }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, ready: true, restartCount: 0, started: true,
   state: {running: {startedAt: {{ $now | Quote }}}}}
{{ end }}
hostIP: 127.0.0.1
podIP: 127.0.0.1
phase: Running
startTime: {{ $now | Quote }}
"""

_ENDED = """
{{ $now := Now }}
{{ $root := . }}
{{ $labels := .metadata.labels }}
{{ $message := "" }}
{{ if hasKey $labels "treering.dev/line" }}
{{ $number := index $labels "treering.dev/number" | atoi }}
{{ $line := index $labels "treering.dev/line" }}
{{ $uri := printf "s3://lines/%s/rounds/%04d" $line $number }}
{{ $digest := printf "%s/%d" $line $number | sha256sum }}
{{ $model := dict "round" $number "attempt" 1 "uri" $uri "digest" $digest "map50" 0.9 }}
{{ $mirror := dict "round" $number "settled" $number "model" $model }}
{{ $increments := list (printf "delivery-%d" $number) }}
{{ $message = dict "exitCode" 0 "line" $line "round" $number "attempt" 1 "increments" $increments
   "verdict" "published" "strategy" "incremental" "strategyReason" "played by the bench" "message" "better"
   "map50" 0.9 "map50Before" 0.89 "forgetting" 0.01 "gain" 0.8 "uri" $uri "digest" $digest "classCount" 3
   "classes" (list "ace" "king" "queen") "started" $root.status.startTime "finished" $now "images" 100
   "mirror" $mirror | toJson }}
{{ end }}
conditions:
{{ range list "Ready" "ContainersReady" }}
- {type: {{ . }}, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: 0
  started: false
  state:
    terminated: {exitCode: 0, reason: Completed, startedAt: {{ $root.status.startTime | Quote }},
                 finishedAt: {{ $now | Quote }}, message: {{ $message | Quote }}}
{{ end }}
phase: Succeeded
"""


def configuration(run_s: float) -> str:
    """KWOK's configuration file; each pod of a Job runs for `run_s`."""
    new = [{"key": key, "operator": "DoesNotExist"} for key in (".status.podIP", ".spec.volumes.[].configMap.name")]
    ready = _stage("ready", [_ALIVE, *new], _READY)
    running = {"key": ".status.phase", "operator": "In", "values": ["Running"]}
    ended = _stage("ended", [_ALIVE, running, _JOB], _ENDED)
    ended["spec"]["delay"] = {"durationMilliseconds": round(run_s * 1000)}
    gone = _stage("gone", [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}], None)
    gone["spec"]["next"] = {"finalizers": {"empty": True}, "delete": True}
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {"manageAllNodes": True, "podPlayStageParallelism": 16},
    }
    return yaml.safe_dump_all([options, ready, ended, gone])


def node() -> dict[str, Any]:
    """The node: room for every pod."""
    room = {"cpu": "100k", "memory": "1000Ti", "pods": "1M", "nvidia.com/gpu": "100k"}
    conditions = [{"type": "Ready", "status": "True", "reason": "Fake", "message": "kept by KWOK"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NAME, "labels": {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux"}},
        "status": {"allocatable": room, "capacity": room, "conditions": conditions},
    }


def _stage(name: str, conditions: list[dict[str, Any]], status: str | None) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": conditions},
            "next": {} if status is None else {"statusTemplate": status},
        },
    }
