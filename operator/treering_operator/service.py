"""The operator as a whole: what runs, in which order it starts, and how it stops. Called by `__main__`.

Every replica keeps its caches full; the one that holds the Lease works. Whatever ends unasked ends the process, with an
error that names it: a restart is cheap, an operator that lives on without a part of itself is not.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any

import kopf

from treering_api import TreeringError
from treering_operator.act import Actor
from treering_operator.cluster.api import Api
from treering_operator.cluster.cache import ChildCache, Key, LineCache
from treering_operator.cluster.errors import ApiError
from treering_operator.cluster.lease import Lease, LeaseLostError
from treering_operator.cluster.login import Login, login
from treering_operator.cluster.permissions import check
from treering_operator.cluster.places import JOBS, LINES, PODS, Place
from treering_operator.cluster.pod_progress import PodProgress
from treering_operator.cluster.views import job_view, pod_view
from treering_operator.cluster.watch import Sink, Watch, fill
from treering_operator.handlers import Hooks, registry
from treering_operator.health import Ear, Health, Pulse
from treering_operator.metrics import Metrics, Sources
from treering_operator.observe import Caches, Progress
from treering_operator.queue import WorkQueue
from treering_operator.reconcile import Reconciler
from treering_operator.resources.names import LINE_LABEL
from treering_operator.server import Server
from treering_operator.settings import Settings

log = logging.getLogger(__name__)
_STOP_S = 15.0
_END_S = 8.0
_RETRY_S = 2.0
_GATHER_S = 0.2


class ServiceError(TreeringError):
    """The operator can't go on."""


async def run(settings: Settings) -> None:
    """Run the operator until it is told to stop (SIGTERM, SIGINT).

    Raises:
        TreeringError: it can't start, or a part of it ended unasked.
    """
    way = await login(settings.kubeconfig)
    async with Api(way) as api, PodProgress(settings.progress_port) as reader:
        try:
            await check(api, settings)
        except ApiError as error:
            raise ServiceError(
                way.server, f"the API server does not answer as it should: {error}", "Check its address and its health"
            ) from None
        await _Operator(settings, way, api, reader).run()


class _Operator:
    """All parts of one operator, put together."""

    def __init__(self, settings: Settings, way: Login, api: Api, reader: PodProgress) -> None:
        self._settings, self._login, self._api = settings, way, api
        self._queue: WorkQueue[Key] = WorkQueue()
        again = self._gather
        self._caches = Caches(
            LineCache(lambda key: self._queue.add(key, urgent=True), again),
            ChildCache(job_view, again),
            ChildCache(pod_view, again),
        )
        self._synced, self._leads, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ear = Ear(self._namespaces)
        sinks: tuple[tuple[Place, Sink], ...] = ((JOBS, self._caches.jobs), (PODS, self._caches.pods))
        self._watches = [
            Watch(api, place, namespace, LINE_LABEL, sink, settings.heartbeat_s)
            for namespace in self._namespaces
            for place, sink in sinks
        ]
        self._lease = Lease(api, settings.lease_namespace, settings.lease_name, settings.identity)
        self._progress = Progress(self._caches.pods, reader, settings.progress_interval_s, again)
        self._health = Health(self._pulses(), settings.heartbeat_s)
        self._metrics = Metrics(self._sources(), version("treering"))
        self._server = Server(settings.listen, self._metrics.text, self._health.dead, self._unready)
        self._reconcile = Reconciler(
            api,
            self._caches,
            self._progress,
            Actor(api, self._caches.jobs, settings, lambda: len(self._queue) > settings.workers),
            self._queue,
            self._metrics,
            settings,
        )

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            TreeringError: a part of it ended unasked.
        """
        try:
            await self._server.start()
        except OSError as error:
            raise ServiceError(
                "--listen", f"{self._settings.listen} can't be listened on: {error}", "Choose a free address"
            ) from None
        count = self._settings.workers
        workers = [self._start(self._work(), f"worker {place}") for place in range(count)]
        workers += [self._start(self._work(only_urgent=True), f"urgent worker {place}") for place in range(count)]
        parts = [self._start(watch.run(), f"watch of {watch.name}") for watch in self._watches]
        parts += [
            self._start(self._resync(), "resync"),
            self._start(self._lead(), "lead"),
            self._start(self._progress.run(), "progress"),
        ]
        lease = self._start(self._lease.run(), "lease") if self._settings.leader_election else None
        stop_kopf = asyncio.Event()
        parts.append(await self._start_kopf(stop_kopf))
        try:
            await self._until_stopped([*workers, *parts, *([lease] if lease else [])])
        finally:
            await self._stop(workers, lease)
            stop_kopf.set()
            await _end(parts)
            await self._server.close()

    @property
    def _namespaces(self) -> tuple[str, ...]:
        return self._settings.namespaces or ("",)

    def _pulses(self) -> tuple[Pulse, ...]:
        watches = [
            Pulse(watch.name, f"in {watch.namespace or 'all namespaces'}", lambda watch=watch: watch.heard)  # type: ignore[misc]
            for watch in self._watches
        ]
        return (*(self._ear.pulse(LINES.plural, namespace) for namespace in self._namespaces), *watches)

    def _sources(self) -> Sources:
        return Sources(
            lines=lambda: self._caches.lines,
            ages_s=self._health.ages_s,
            depth=lambda: len(self._queue),
            leads=self._leads.is_set,
        )

    def _unready(self) -> list[str]:
        waiting = [
            f"the watch of {watch.name} has not listed yet" for watch in self._watches if not watch.synced.is_set()
        ]
        return waiting + ([] if self._synced.is_set() else ["the lines are not listed yet"])

    def _start(self, part: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(part, name=name)

    async def _start_kopf(self, stop: asyncio.Event) -> asyncio.Task[None]:
        """Start kopf beside us, and take back the signals that it takes for itself."""
        ours = asyncio.all_tasks()
        hooks = Hooks(
            put=self._caches.lines.put,
            drop=self._caches.lines.drop,
            login=self._log_in,
            heartbeat_s=self._settings.heartbeat_s,
        )
        tasks = await kopf.spawn_tasks(
            registry=registry(hooks),
            settings=kopf.OperatorSettings(),
            standalone=True,
            clusterwide=not self._settings.namespaces,
            namespaces=self._settings.namespaces,
            stop_flag=stop,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        return self._start(kopf.run_tasks(tasks, ignored=ours), "kopf")

    def _log_in(self) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=self._login.server, aiohttp_session=self._login.session(self._ear.hear))

    async def _resync(self) -> None:
        """List the lines at the start and ever again: finds what kopf was never told of, and looks at all of them."""
        while True:
            try:
                for namespace in self._namespaces:
                    await fill(self._api, LINES, namespace, "", self._caches.lines)
            except ApiError as error:
                log.warning("the lines could not be listed: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            self._synced.set()
            for key in self._caches.lines.known() if self._leads.is_set() else ():
                self._queue.add(key)
            await asyncio.sleep(self._settings.resync_s)

    async def _lead(self) -> None:
        """Begin to work once the caches are full and the Lease is ours."""
        for ready in (self._synced, *(watch.synced for watch in self._watches)):
            await ready.wait()
        log.info("knows %d lines, %d Jobs and %d pods", *(len(one) for one in vars(self._caches).values()))
        gc.collect()
        gc.freeze()  # what the caches hold by now stays: collections need not look at it again and again
        if self._settings.leader_election:
            await self._lease.held.wait()
        for key in self._caches.lines.known():
            self._queue.add(key)
        self._leads.set()
        await self._stopping.wait()

    def _gather(self, key: Key) -> None:
        """Look at a line in a moment: its Job, its pod and its status tend to change together."""
        self._queue.add_after(key, _GATHER_S)

    async def _work(self, *, only_urgent: bool = False) -> None:
        await self._leads.wait()
        while True:
            try:
                key = await self._queue.get(only_urgent=only_urgent)
            except asyncio.QueueEmpty:
                return
            self._health.began(key)
            try:
                await self._reconcile(key)
            finally:
                self._health.ended(key)
                self._queue.done(key)

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            log.info("stopping")
            return
        stopping.cancel()
        part = next(iter(done))
        error = None if part.cancelled() else part.exception()
        raise ServiceError(
            part.get_name(),
            f"ended unasked: {error or 'without an error'}",
            "The operator ends with it, to be started again; report it if it comes back",
        ) from (error if not isinstance(error, LeaseLostError) else None)

    async def _stop(self, workers: list[asyncio.Task[None]], lease: asyncio.Task[None] | None) -> None:
        """Finish what is being done, then let another replica act at once."""
        lost = lease is not None and lease.done()
        self._queue.close()
        if not lost and self._leads.is_set():
            await asyncio.wait(workers, timeout=_STOP_S)
        self._leads.clear()
        await _end([*workers, *([lease] if lease else [])])
        if lease is not None and not lost:
            await self._lease.release()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_END_S)
