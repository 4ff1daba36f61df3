"""Follows the APIServices that name a Service: leads requests through, says whether their servers answer, and what they serve.

Upstream: kube-aggregator pkg/apiserver (apiserver.go, handler_discovery.go), pkg/controllers/{status/remote,openapi,openapiv3}.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Protocol

from pybernetes.aio.backoff import ItemExponentialFailureRateLimiter
from pybernetes.aio.ending import end
from pybernetes.aio.workqueue import WorkQueue
from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import LABEL_SERVICE_NAME
from pybernetes.component.metrics import Registry

from ..documents.discovery import RemoteVersion
from ..documents.openapi import OpenAPI
from ..filters import aggregation
from ..generic.cache import Change, Lagging, ResourceCache
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..resource import Object
from ..types import Reader
from . import availability, documents
from .availability import Finding
from .delegate import Delegate, NoAnswer, ProxyClient
from .remote import available, remote

_log = logging.getLogger(__name__)

WORKERS = 5  # upstream's; one that waits for a server that does not answer holds up no other
CHECK_SECONDS = 30.0  # upstream's resync: an answer may fail without any object's change
DOCUMENTS_SECONDS = 60.0  # upstream's discoveryRefreshInterval
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 30.0  # seconds after a check that failed; upstream's
NAP_SECONDS = 3600.0
SERVICES = (("", "services"), ("discovery.k8s.io", "endpointslices"))


class Discovery(Protocol):
    """Who tells clients what there is."""

    def serve_remote(self, versions: list[RemoteVersion]) -> None:
        """These of other servers from now on."""
        ...


class Aggregator:
    """All extension API servers. `delegates` is what the chain's link looks into."""

    def __init__(
        self,
        apiservices: GenericStore,
        reader: Reader,
        shown: ProxyClient,
        delegates: MutableMapping[aggregation.GroupVersion, aggregation.Delegate],
        discovery: Discovery,
        openapi: OpenAPI,
        registry: Registry,
    ) -> None:
        """`apiservices` is where they are kept, `shown` what their servers get to see of this one."""
        self._store, self._reader, self._shown, self._table = apiservices, reader, shown, delegates
        self._discovery, self._openapi = discovery, openapi
        self._cache, self._clock = apiservices.cache, apiservices.cache.clock
        self._objects = self._cache.resource(apiservices.prefix)
        self._queue: WorkQueue[str] = WorkQueue(
            self._clock, ItemExponentialFailureRateLimiter(FIRST_PAUSE, LONGEST_PAUSE)
        )
        self._delegates: dict[str, Delegate] = {}
        self._versions: dict[str, RemoteVersion] = {}
        self._indexes: dict[str, dict[str, object]] = {}
        self._read_at: dict[str, float] = {}  # when a server's documents were read
        self._tasks: list[asyncio.Task[None]] = []
        self._random = random.Random()
        self._unavailable = registry.gauge(
            "aggregator_unavailable_apiservice",
            "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
            ("name",),
        )
        self._failures = registry.counter(
            "aggregator_unavailable_apiservice_total",
            "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
            ("name", "reason"),
        )

    async def start(self) -> None:
        """Requests are led through when it returns, to servers of which an earlier check says that they answer; then follows."""
        for stored in list(self._objects.values):
            if self._register(stored.obj):
                self._queue.add(stored.obj["metadata"]["name"])
        tell = asyncio.get_running_loop().create_task
        self._tasks.append(tell(self._follow(self._objects, self._service_changed, self._all_changed)))
        for group, name in SERVICES:
            self._tasks.append(tell(self._follow(self._cache.of(group, name), self._place_changed, self._all_changed)))
        self._tasks += [tell(self._work()) for _ in range(WORKERS)]

    async def stop(self) -> None:
        """Ends tasks and connections."""
        self._queue.shut_down()
        await end(*self._tasks)
        for name in list(self._delegates):
            await self._drop(name)

    # Following the objects.

    async def _follow(
        self, cache: ResourceCache, changed: Callable[[Change], None], all_changed: Callable[[], None]
    ) -> None:
        watcher = cache.watch(self._cache.revision)
        while True:
            try:
                for change in await watcher.batch(NAP_SECONDS):
                    changed(change)
            except Lagging:
                watcher = cache.watch(self._cache.revision)
                all_changed()
                continue
            if watcher.ended:
                return

    def _service_changed(self, change: Change) -> None:
        """Of an APIService. What this server writes itself changes nothing here."""
        stored = change.current or change.previous
        if stored is None:
            return
        if change.current is None or self._register(change.current.obj):
            self._queue.add(stored.key.rpartition("/")[2])

    def _place_changed(self, change: Change) -> None:
        """Of a Service or an EndpointSlice."""
        stored = change.current or change.previous
        if stored is None or not self._delegates:
            return
        metadata = stored.peek()["metadata"]
        names = {metadata["name"], (metadata.get("labels") or {}).get(LABEL_SERVICE_NAME)}
        for name, delegate in self._delegates.items():
            place = delegate.remote.service
            if place.namespace == metadata.get("namespace") and place.name in names:
                self._queue.add(name)

    def _all_changed(self) -> None:
        for name in {key.rpartition("/")[2] for key in self._objects.items} | self._delegates.keys():
            self._queue.add(name)

    def _get(self, name: str) -> Object | None:
        stored = self._objects.items.get(self._store.key("", name))
        return stored.obj if stored else None

    # What is led through.

    def _register(self, service: Object) -> bool:
        """Whether it leads to another place than before, or to none; requests go there from now on."""
        name = service["metadata"]["name"]
        place, standing = remote(service), self._delegates.get(name)
        if place is None:
            return standing is not None
        if standing is not None and standing.remote == place:
            return False
        delegate = Delegate(place, self._reader, self._shown, self._random)
        delegate.available = available(service) and not delegate.problem
        self._replace(name, delegate)
        return True

    def _replace(self, name: str, delegate: Delegate) -> None:
        place, standing = delegate.remote, self._delegates.get(name)
        if standing is not None:
            self._end_later(standing)
        self._delegates[name] = self._table[place.group, place.version] = delegate
        self._versions[name] = RemoteVersion(place.group, place.version, place.group_priority, place.version_priority)
        self._read_at.pop(name, None)
        self._publish()

    def _end_later(self, delegate: Delegate) -> None:
        task = asyncio.get_running_loop().create_task(delegate.close())
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _drop(self, name: str) -> None:
        delegate = self._delegates.pop(name, None)
        if delegate is None:
            return
        key = delegate.remote.group, delegate.remote.version
        if self._table.get(key) is delegate:
            del self._table[key]
        for kept in (self._versions, self._indexes, self._read_at):
            kept.pop(name, None)
        self._unavailable.samples.pop((name,), None)
        self._publish()
        await delegate.close()

    def _publish(self) -> None:
        self._discovery.serve_remote(list(self._versions.values()))
        self._openapi.serve_remote({name: item for index in self._indexes.values() for name, item in index.items()})

    # Whether they answer, and what.

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                failed = await self._sync(name)
            except StatusError as error:  # somebody else wrote, or it is gone: its change comes
                _log.log(
                    logging.INFO if error.code in (404, 409) else logging.WARNING, "APIService %s: %s", name, error
                )
                failed = True
            except Exception:  # the others need not wait for it
                _log.exception("APIService %s", name)
                failed = True
            finally:
                self._queue.done(name)
            if failed:
                self._queue.add_rate_limited(name)
                continue
            self._queue.forget(name)
            if name in self._delegates:
                self._queue.add_after(name, CHECK_SECONDS)

    async def _sync(self, name: str) -> bool:
        """Whether the server was asked and did not answer well, so that it is asked again soon."""
        service = self._get(name)
        if service is None or service["spec"].get("service") is None:
            await self._drop(name)
            return False
        delegate = self._delegates[name]
        finding, asked = await self._look(delegate)
        if self._delegates.get(name) is not delegate:
            return False  # it has been replaced meanwhile, and is in the queue
        delegate.available = finding.status == "True"
        self._unavailable.set(0.0 if delegate.available else 1.0, name)
        await self._write(name, finding)
        if not await self._read(name, delegate):
            return True
        return asked and not delegate.available

    async def _look(self, delegate: Delegate) -> tuple[Finding, bool]:
        """(what is to be said, whether the server was asked)."""
        if delegate.problem:
            return availability.failed(delegate.problem), False
        place = delegate.remote.service
        service = self._reader.get("", "services", place.namespace, place.name)
        slices = [
            one
            for one in self._reader.list("discovery.k8s.io", "endpointslices", place.namespace)
            if (one["metadata"].get("labels") or {}).get(LABEL_SERVICE_NAME) == place.name
        ]
        finding = availability.before_asking(delegate.remote, service, slices)
        if finding is not None:
            return finding, False
        try:
            await delegate.check()
        except NoAnswer as error:
            return availability.failed(str(error)), True
        return availability.PASSED, True

    async def _write(self, name: str, finding: Finding) -> None:
        """The condition, where it says something new. StatusError."""
        service = self._get(name)
        if service is None:
            return
        now = self._store.now_text()
        changed = availability.with_condition(service, finding, now)
        if changed is None:
            return
        if available(service) and finding.status != "True":
            self._failures.inc(name, finding.reason)
        _log.info("APIService %s: %s: %s", name, finding.reason, finding.message)
        await self._store.update("", name, changed, WriteOptions(admission=False), "status")

    async def _read(self, name: str, delegate: Delegate) -> bool:
        """Reads what the server serves, where that is not known or old; whether it is known now, or nobody can be asked."""
        version, now = self._versions[name], self._clock.monotonic()
        if not delegate.available:
            self._tell(name, replace(version, current=False))
            return True
        read_at = self._read_at.get(name)
        if version.current and read_at is not None and now < read_at + DOCUMENTS_SECONDS:
            return True
        try:
            resources = await self._resources(delegate)
            index = await self._index(delegate)
        except (NoAnswer, documents.Unreadable) as error:
            _log.warning("APIService %s: what it serves could not be read: %s", name, error)
            self._tell(name, replace(version, current=False))
            return False
        if self._delegates.get(name) is delegate:
            self._read_at[name], self._indexes[name] = now, index
            self._versions[name] = replace(version, resources=resources, current=True)
            self._publish()
        return True

    def _tell(self, name: str, version: RemoteVersion) -> None:
        if self._versions[name] != version:
            self._versions[name] = version
            self._publish()

    @staticmethod
    async def _resources(delegate: Delegate) -> list[dict[str, object]]:
        place = delegate.remote
        answer = await delegate.fetch("/apis", [("Accept", documents.ACCEPT_AGGREGATED)])
        if answer.status == 200 and "as=APIGroupDiscoveryList" in answer.headers.get("content-type", ""):
            return documents.told(answer.body, place.group, place.version)
        answer = await delegate.fetch(place.path, [("Accept", "application/json")])
        if answer.status != 200:
            raise NoAnswer(f"{place.path}: status {answer.status}")
        return documents.told(answer.body, place.group, place.version)

    @staticmethod
    async def _index(delegate: Delegate) -> dict[str, object]:
        """Empty where the server has no OpenAPI v3."""
        answer = await delegate.fetch("/openapi/v3", [("Accept", "application/json")])
        if answer.status != 200:
            return {}
        return dict(documents.index(answer.body, delegate.remote.group, delegate.remote.version))
