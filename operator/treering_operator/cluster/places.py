"""Where the API server keeps the kinds of objects that the operator deals with."""

from __future__ import annotations

from dataclasses import dataclass

from treering_api import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of objects: its group, version and plural name."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """Group and version as an object's `apiVersion` has them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of all objects, of a namespace's, of one, or of a part of one."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        parts += ["namespaces", namespace] if namespace else []
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


LINES = Place(GROUP, VERSION, "incrementaltrains")
JOBS = Place("batch", "v1", "jobs")
PODS = Place("", "v1", "pods")
CONFIG_MAPS = Place("", "v1", "configmaps")
SERVICES = Place("", "v1", "services")
NETWORK_POLICIES = Place("networking.k8s.io", "v1", "networkpolicies")
EVENTS = Place("", "v1", "events")
LEASES = Place("coordination.k8s.io", "v1", "leases")
ACCESS_REVIEWS = Place("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
