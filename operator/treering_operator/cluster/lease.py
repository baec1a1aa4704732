"""Who acts: one replica holds a Lease and renews it, the others wait for it.

The official client has an election, too, but it neither hands the Lease back when it stops nor counts its changes of
hand, and writes local time as UTC. Run by `service`. Times written by others are never compared with our clock: a
Lease is free once it has not changed *here* for as long as it says. Whoever loses it stops before another may act.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from datetime import UTC, datetime
from typing import Any

from treering_operator.cluster.api import JSON, Api
from treering_operator.cluster.errors import ApiError, NotFoundError
from treering_operator.cluster.places import LEASES

log = logging.getLogger(__name__)
DURATION_S = 15.0
"""How long a Lease counts after it was renewed."""
DEADLINE_S = 10.0
"""How long its holder tries to renew it before it gives up: less than the duration, by the clocks' drift."""
RETRY_S = 2.0


class LeaseLostError(Exception):
    """Another replica may act from now on: this process must end."""


class Lease:
    """One replica's part in the election.

    Args:
        api: the session.
        namespace: where the Lease lies.
        name: its name.
        identity: this replica, unlike every other.
    """

    def __init__(self, api: Api, namespace: str, name: str, identity: str) -> None:
        self.held = asyncio.Event()
        self._api, self._namespace, self._name, self._identity = api, namespace, name, identity
        self._seen: JSON = {}
        self._seen_time = 0.0
        self._renewed = 0.0

    async def run(self) -> None:
        """Take part until cancelled.

        Raises:
            LeaseLostError: it was held and could not be renewed in time.
        """
        while True:
            asked = time.monotonic()
            try:
                mine = await asyncio.wait_for(self._take_or_renew(), min(DEADLINE_S / 2, self._left_s()))
            except (ApiError, TimeoutError) as error:
                log.warning("lease %s/%s: %s", self._namespace, self._name, str(error) or "no answer in time")
                mine = False
            if mine:
                self._renewed = asked
                if not self.held.is_set():
                    log.info("%s holds the lease %s/%s and acts", self._identity, self._namespace, self._name)
                    self.held.set()
            elif self.held.is_set() and (self._is_anothers() or self._left_s() <= 0):
                raise LeaseLostError(f"the lease {self._namespace}/{self._name} was lost")
            await asyncio.sleep(min(RETRY_S * random.uniform(0.8, 1.2), max(0.0, self._left_s())))

    async def release(self) -> None:
        """Give it back if it is ours, so that another replica acts at once."""
        if not self.held.is_set():
            return
        self.held.clear()
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._api.replace(LEASES, self._namespace, self._name, lease)
        except ApiError as error:
            log.warning("lease %s/%s was not given back: %s", self._namespace, self._name, error)

    async def _take_or_renew(self) -> bool:
        """Whether it is ours now."""
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            metadata = {"name": self._name, "namespace": self._namespace}
            body = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": metadata, "spec": self._spec({})}
            self._see(await self._api.create(LEASES, self._namespace, body))
            return True
        self._see(lease)
        if self._is_anothers() and not self._has_run_out():
            return False
        lease["spec"] = self._spec(lease.get("spec", {}))
        self._see(await self._api.replace(LEASES, self._namespace, self._name, lease))
        return True

    def _left_s(self) -> float:
        """Time left to renew it; without end where it is not held."""
        return self._renewed + DEADLINE_S - time.monotonic() if self.held.is_set() else math.inf

    def _see(self, lease: JSON) -> None:
        spec = lease.get("spec", {})
        if spec != self._seen:
            self._seen, self._seen_time = spec, time.monotonic()

    def _is_anothers(self) -> bool:
        return self._seen.get("holderIdentity", "") not in ("", self._identity)

    def _has_run_out(self) -> bool:
        return time.monotonic() - self._seen_time > float(self._seen.get("leaseDurationSeconds") or DURATION_S)

    def _spec(self, before: JSON) -> dict[str, Any]:
        """The Lease's spec when it is ours from now on."""
        now = _now()
        if before.get("holderIdentity") == self._identity:
            return {**before, "renewTime": now}
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(DURATION_S),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + 1 if before else 0,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
