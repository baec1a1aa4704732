"""The node itself: a restricted pod with our operator's image runs, reaches the API server, and tells how it ended."""

from __future__ import annotations

from tests.plugins.programs import wait_until
from tests.plugins.real_node import RealNode
from tests.plugins.stopwatch import timed

PROGRAM = """
import os, ssl, urllib.request
address = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}/readyz"
trust = ssl.create_default_context(cafile='/var/run/secrets/kubernetes.io/serviceaccount/ca.crt')
print(urllib.request.urlopen(address, context=trust, timeout=10).read().decode())
open('/dev/termination-log', 'w').write(f'I am {os.getuid()}')
"""


def test_pod__restricted_runs_and_reaches_the_api_server(real_node: RealNode) -> None:
    server = real_node.server
    namespace = server.make_namespace()
    container = {
        "name": "main",
        "image": "localhost/treering/operator:dev",
        "command": ["python", "-c", PROGRAM],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    with timed("a first pod"):
        server.request("POST", path, {"metadata": {"name": "first"}, "spec": spec})
        wait_until(
            "the pod is done", lambda: phase(server.request("GET", f"{path}/first")) in ("Succeeded", "Failed"), 120
        )
    ended = server.request("GET", f"{path}/first")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "I am 65532"), server.kubectl("logs", "-n", namespace, "first")
    assert server.kubectl("logs", "-n", namespace, "first") == "ok\n"


def phase(pod: dict[str, dict[str, str]]) -> str:
    return pod["status"].get("phase", "Pending")
