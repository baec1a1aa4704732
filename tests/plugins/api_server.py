"""A real API server with our CRD, and the controllers for Jobs, owners and namespaces; no node.

Ask for `api_server` (one for the session, ready in seconds) and for `namespace` (a fresh one for the test, which lets
only restricted pods in). Pods there are played by the test: `tests/plugins/pods.py`. Needs Debian's etcd-server and
Go; without them the tests fail and name what is missing. Logs stay in pytest's folder of the session.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.control_plane import CONTROLLERS, ControlPlane, running_api_server, start_controllers
from tests.plugins.programs import ROOT, wait_until

CRD = ROOT / "crds" / "treering.dev_incrementaltrains.yaml"
LINES = "/apis/treering.dev/v1alpha1"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SERVICE_ACCOUNT = "system:serviceaccount:"
PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
    "strategic": "application/strategic-merge-patch+json",
}
TIMEOUT_S = 60


class Refusal(RuntimeError):  # noqa: N818 - a refusal is what the tests want
    """What the API server or kubectl said instead of doing it; `code` is HTTP's, 0 where kubectl gave none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ApiServer:
    """A running API server, and ways to talk to it as anybody."""

    plane: ControlPlane

    @property
    def url(self) -> str:
        """Its address."""
        return self.plane.url

    @property
    def ca(self) -> Path:
        """File with the certificate to trust."""
        return self.plane.ca

    @property
    def token(self) -> str:
        """Token of somebody who may do everything."""
        return self.plane.tokens["admin"]

    @property
    def folder(self) -> Path:
        """Where its logs and files are."""
        return self.plane.folder

    def kubeconfig(self, user: str = "admin") -> Path:
        """For `admin` (may do everything), `nobody` (nothing) or `system:serviceaccount:NAMESPACE:NAME`."""
        if not user.startswith(SERVICE_ACCOUNT):
            return self.plane.kubeconfig(user)
        namespace, name = user.removeprefix(SERVICE_ACCOUNT).split(":")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return self.plane.kubeconfig(user, self.request("POST", path, request)["status"]["token"])

    def kubectl(self, *arguments: str | Path, input: str | None = None, user: str = "admin") -> str:
        """What kubectl prints; a `Refusal` with what it complains about if it fails."""
        command = [self.plane.binaries / "kubectl", "--cache-dir", self.folder / "kubectl-cache", *arguments]
        answer = subprocess.run(
            command,
            input=input,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig(user))},
        )
        if answer.returncode != 0:
            raise Refusal(answer.stderr + answer.stdout)
        return answer.stdout

    def request(
        self, method: str, path: str, body: object = None, *, patch: str = "merge", token: str | None = None
    ) -> Any:
        """One call of the API, JSON in and out; `patch` is the kind of a PATCH. A `Refusal` if it is refused."""
        kind = PATCHES[patch] if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token or self.token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, context=self._trust, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None

    def make_namespace(self, labels: Mapping[str, str] = RESTRICTED) -> str:
        """Name of a fresh one, ready for pods."""
        name = f"t-{uuid.uuid4().hex[:10]}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
        accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
        wait_until(f"{name} has its service account", lambda: bool(self.request("GET", accounts)["items"]), TIMEOUT_S)
        return name

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_cluster(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    name = api_server.make_namespace()
    yield name
    api_server.request("DELETE", f"/api/v1/namespaces/{name}")


@contextmanager
def running_cluster(folder: Path) -> Iterator[ApiServer]:
    """API server and controllers with the CRD, on loopback."""
    with running_api_server(folder) as (plane, stack):
        server = ApiServer(plane)
        server.kubectl("apply", "--server-side", "-f", CRD)
        wait_until("lines are served", lambda: _served(server), TIMEOUT_S)
        stack.callback(start_controllers(plane, CONTROLLERS).kill)
        yield server


def _served(server: ApiServer) -> bool:
    try:
        return bool(server.request("GET", f"{LINES}/incrementaltrains"))
    except Refusal:
        return False


def _refusal(error: urllib.error.HTTPError) -> Refusal:
    text = error.read().decode(errors="replace")
    try:
        return Refusal(str(json.loads(text)["message"]), error.code)
    except (ValueError, KeyError, TypeError):
        return Refusal(text, error.code)
