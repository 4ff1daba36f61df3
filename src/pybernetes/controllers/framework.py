"""What every controller is made of: queue and workers, expectations, pod control, adoption (upstream: pkg/controller).

A controller is a room with a pure `plan` and a `Controller` that reads informers, calls it and does what it says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pybernetes.aio.backoff import ItemExponentialFailureRateLimiter
from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.workqueue import WorkQueue, WorkQueueShutDown
from pybernetes.api import labels
from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controller_of, controller_ref
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1
from pybernetes.client.events import EventBroadcaster, EventRecorder
from pybernetes.client.retry import AT_ONCE, retry_on_conflict
from pybernetes.client.types import Client, Informer, Informers, Object, present
from pybernetes.component.metrics import Registry
from pybernetes.component.queuemetrics import MeteredWorkQueue, QueueMetrics

from .common import Key, clone, key_of, namespace_terminating, pod_from_template
from .options import Options

log = logging.getLogger(__name__)

EXPECTATIONS_SECONDS = 300.0  # after which a creation or deletion that was never seen is no longer waited for
SYNC_POLL = 0.1  # seconds between looks at informers that have not listed yet, as upstream's WaitForCacheSync
WALL_CLOCK_CHECK_SECONDS = 60.0  # what waits for a time of day is looked at again so often
BY_CONTROLLER = "controllerUID"
IN_FLIGHT = 24  # requests of one sync: enough to keep the server busy; each costs a connection with its TLS buffers

T = TypeVar("T")
Obj = TypeVar("Obj", bound=Object)
S = TypeVar("S")


class HasStatus(Object, Protocol[S]):
    """An object of a kind with a status."""

    status: S


@dataclass(slots=True)
class Context:
    """What controllers are made from; `client_for` gives each its own credentials (--use-service-account-credentials)."""

    client: Client
    informers: Informers
    events: EventBroadcaster
    clock: Clock = field(default_factory=RealClock)
    options: Options = field(default_factory=Options)
    registry: Registry = field(default_factory=Registry)
    client_for: Callable[[str], Client] | None = None
    queue_metrics: QueueMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.queue_metrics = QueueMetrics(self.registry)

    def client_of(self, account: str | None) -> Client:
        """The client of a service account; the manager's own where there are none, or for None."""
        return self.client if account is None or self.client_for is None else self.client_for(account)


class Controller:
    """One work queue, so many workers; `sync` is called for a key until it succeeds."""

    name: ClassVar[str]  # upstream's name, "deployment-controller"
    component: ClassVar[str] = ""  # the source of its events; the name if empty
    account: ClassVar[str | None] = (
        ""  # its service account in kube-system; the name if empty, the manager's own if None
    )
    queue_name: ClassVar[str] = ""  # the label `name` of its workqueue metrics; the name if empty
    retry_delays: ClassVar[tuple[float, float]] = (
        0.005,
        1000.0,
    )  # seconds after the first failure of a key, and at most
    max_retries: ClassVar[int | None] = None  # failures in a row before a key is dropped until its next event

    def __init__(self, context: Context, workers: int = 5) -> None:
        self.context = context
        self.client = context.client_of(self.account or self.name if self.account is not None else None)
        self.now = context.clock.now  # for what is written; it may jump
        self.monotonic = context.clock.monotonic  # for what is measured
        self.workers = workers
        self.queue: WorkQueue[Any] = self.make_queue(self.queue_name or self.name)
        self.recorder: EventRecorder = context.events.recorder(self.component or self.name)
        self.pods_control = PodControl(self.client, self.recorder)
        self._informers: list[Informer[Object]] = []

    @classmethod
    def lacks(cls, options: Options) -> str:
        """What the options must give for it to run and do not; "" if it can run."""
        return ""

    def make_queue(self, name: str) -> WorkQueue[Any]:
        """A queue with metrics under this name; the constructor makes the first."""
        limiter = ItemExponentialFailureRateLimiter[Any](*self.retry_delays)
        return MeteredWorkQueue(name, self.context.queue_metrics, self.context.clock, limiter)

    def informer(self, kind: type[Obj], namespace: str = "", *, field_selector: str = "") -> Informer[Obj]:
        """A shared informer that has synced before the first call of `sync`."""
        informer = self.context.informers.informer(kind, namespace, field_selector=field_selector)
        self._informers.append(informer)
        return informer

    async def sync(self, key: Any) -> None:
        """Brings what the key names to what it should be."""
        raise NotImplementedError(f"{type(self).__name__} has a queue but no sync")

    def background(self) -> Iterable[Awaitable[None]]:
        """Loops of the controller beside its workers, started after the informers have synced."""
        return ()

    async def wait_synced(self) -> None:
        """Returns when its informers have told what there is."""
        while not all(informer.synced for informer in self._informers):
            await self.context.clock.sleep(SYNC_POLL)

    async def run(self) -> None:
        """Until cancelled; raises what a background loop raises."""
        await self.wait_synced()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
                for loop in self.background():
                    group.create_task(_awaited(loop))
        finally:
            self.queue.shut_down()

    def look_again(self, key: Any, seconds: float) -> None:
        """Queues the key for a moment of the wall clock that is so far away; the sync finds out whether it has come.

        Sooner than that where it is far: the wall clock may be put forward meanwhile, or the machine sleep, and no timer tells.
        """
        self.queue.add_after(key, min(max(0.0, seconds), WALL_CLOCK_CHECK_SECONDS))

    def enqueue(self, obj: Object) -> None:
        """Queues an object by its namespace and name."""
        self.queue.add(key_of(obj))

    def on_change(self, old: Object | None, new: Object | None) -> None:
        """The usual handler: whatever happens, look at the object."""
        self.enqueue(present(old, new))

    async def write_status(self, obj: HasStatus[S], status: S) -> None:
        """Where it is another; over the newest object where somebody else has written meanwhile."""
        if status == obj.status:
            return
        kind, meta = type(obj), obj.metadata

        async def write(newest: HasStatus[S]) -> None:
            copy = clone(newest)
            copy.status = status
            await self.client.update(copy, "status")

        await retry_on_conflict(
            write, obj, lambda: self.client.get(kind, meta.name, meta.namespace), self.context.clock, AT_ONCE
        )

    async def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work now and again after each pause; what the server refuses is logged and tried next time."""
        while True:
            try:
                await work()
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("%s: %s", self.name, error)
            await self.context.clock.sleep(seconds)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except WorkQueueShutDown:
                return
            try:
                await self.sync(key)
                self.queue.forget(key)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # one object's trouble must not end the controller
                self._failed(key, error)
            finally:
                self.queue.done(key)

    def _failed(self, key: Any, error: Exception) -> None:
        expected = isinstance(error, StatusError | ConnectionError | TimeoutError | ExceptionGroup)
        if isinstance(error, Again) or (isinstance(error, StatusError) and error.code == 409):
            log.debug("%s: %s: %s", self.name, key, error)
        else:
            log.warning("%s: %s: %s", self.name, key, error, exc_info=None if expected else error)
        if self.max_retries is not None and self.queue.num_requeues(key) >= self.max_retries:
            log.warning("%s: dropped %s after %d failures", self.name, key, self.max_retries)
            self.queue.forget(key)
            return
        self.queue.add_rate_limited(key)


class Again(Exception):
    """A sync that is not done and wants its back-off."""


async def _awaited(work: Awaitable[None]) -> None:
    await work


# --- expectations ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Expected:
    additions: int
    deletions: set[str]
    at: float


class Expectations:
    """What a controller has asked for and its informer has not shown yet (UIDTrackingControllerExpectations).

    While a key's are not satisfied its pods must not be counted: the cache lags behind.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _Expected] = {}

    def satisfied(self, key: Hashable) -> bool:
        """Whether all were seen, or nothing is known, or it has been too long."""
        entry = self._entries.get(key)
        if entry is None or (entry.additions <= 0 and not entry.deletions):
            return True
        return self._clock.monotonic() - entry.at > EXPECTATIONS_SECONDS

    def expect(self, key: Hashable, additions: int = 0, deletions: Iterable[str] = ()) -> None:
        """Sets what is expected; deletions are uids."""
        self._entries[key] = _Expected(additions, set(deletions), self._clock.monotonic())

    def created(self, key: Hashable, count: int = 1) -> None:
        """Creations were seen, or will not happen."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.additions -= count

    def deleted(self, key: Hashable, uid: str) -> None:
        """A deletion was seen, or will not happen."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.deletions.discard(uid)

    def forget(self, key: Hashable) -> None:
        """The key's object is gone: nothing is expected of it any more."""
        self._entries.pop(key, None)


# --- doing -------------------------------------------------------------------------------------


async def slow_start(count: int, work: Callable[[int], Awaitable[None]]) -> tuple[int, Exception | None]:
    """Calls work(0..count-1) in batches of 1, 2, 4, ...; stops after a batch with an error (controller.slowStartBatch).

    A quota that refuses everything then costs one request, not hundreds. Returns successes and the first error.
    """
    done, batch = 0, 1
    start = 0
    while start < count:
        numbers = range(start, min(start + batch, count))
        results = await bounded(numbers, work)
        errors = [result for result in results if result is not None]
        done += len(results) - len(errors)
        if errors:
            return done, errors[0]
        start += batch
        batch *= 2
    return done, None


async def bounded(items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> list[Exception | None]:
    """Calls work for each item, at most IN_FLIGHT at a time; what each raised, in the order of the items."""
    results: list[Exception | None] = [None] * len(items)
    numbers = iter(range(len(items)))

    async def worker() -> None:
        for number in numbers:
            try:
                await work(items[number])
            except Exception as error:
                results[number] = error

    await asyncio.gather(*(worker() for _ in range(min(IN_FLIGHT, len(items)))))
    return results


class PodControl:
    """Creates and deletes pods with the events that tell of it (controller.RealPodControl)."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client, self._recorder = client, recorder

    async def create(self, pod: core.Pod, owner: Object) -> core.Pod:
        """StatusError as the server gives it, after the event FailedCreate."""
        try:
            created = await self._client.create(pod)
        except StatusError as error:
            if not namespace_terminating(error):
                self._recorder.warning(owner, "FailedCreate", f"Error creating: {error}")
            raise
        self._recorder.normal(owner, "SuccessfulCreate", f"Created pod: {created.metadata.name}")
        return created

    async def create_from(self, template: core.PodTemplateSpec, owner: Object) -> core.Pod:
        """A pod of the template, owned."""
        return await self.create(pod_from_template(template, owner), owner)

    async def delete(self, pod: core.Pod, owner: Object) -> None:
        """StatusError 404 if it was gone; otherwise after an event."""
        if pod.metadata.deletion_timestamp is not None:
            return
        try:
            await self._client.delete(core.Pod, pod.metadata.name, pod.metadata.namespace)
        except StatusError as error:
            if error.code != 404:
                self._recorder.warning(owner, "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.normal(owner, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")


def index_by_controller(obj: Object) -> list[str]:
    """The uid of the controller, or orphan/NAMESPACE."""
    ref = controller_of(obj)
    return [ref.uid if ref is not None else f"orphan/{obj.metadata.namespace}"]


def owned_and_orphans(informer: Informer[Obj], owner: Object) -> list[Obj]:
    """What an owner may claim: its own and what nobody owns in its namespace."""
    orphans = informer.by_index(BY_CONTROLLER, f"orphan/{owner.metadata.namespace}")
    return [*informer.by_index(BY_CONTROLLER, owner.metadata.uid), *orphans]


class Claims(Generic[Obj]):
    """Adopts what matches and has no controller, releases what no longer matches (controller.BaseControllerRefManager)."""

    def __init__(self, client: Client, kind: type[Obj], owner: Object, selector: labels.Selector) -> None:
        self._client, self._kind, self._owner, self._selector = client, kind, owner, selector
        self._adoptable: bool | None = None

    async def claim(
        self, objects: Iterable[Obj], matches: Callable[[Obj], bool] = lambda _: True, finalizer: str = ""
    ) -> list[Obj]:
        """Those that are the owner's now. StatusError, or Again where the owner must not adopt."""
        mine: list[Obj] = []
        for obj in objects:
            if await self._claim(obj, matches, finalizer):
                mine.append(obj)
        return mine

    async def _claim(self, obj: Obj, matches: Callable[[Obj], bool], finalizer: str) -> bool:
        ref = controller_of(obj)
        matching = self._selector.matches(obj.metadata.labels) and matches(obj)
        if ref is not None:
            if ref.uid != self._owner.metadata.uid:
                return False
            if matching:
                return True
            if self._owner.metadata.deletion_timestamp is None:
                await self._release(obj)
            return False
        if self._owner.metadata.deletion_timestamp is not None or not matching:
            return False
        if obj.metadata.deletion_timestamp is not None or obj.metadata.namespace != self._owner.metadata.namespace:
            return False
        return await self._adopt(obj, finalizer)

    async def _adopt(self, obj: Obj, finalizer: str) -> bool:
        await self._check_owner()
        change: dict[str, Any] = {"ownerReferences": [controller_ref(self._owner)], "uid": obj.metadata.uid}
        if finalizer:
            change["finalizers"] = [*obj.metadata.finalizers, finalizer]
        return await self._patch(obj, {"metadata": change}, (404,))

    async def _release(self, obj: Obj) -> None:
        removal = [{"$patch": "delete", "uid": self._owner.metadata.uid}]
        # 422: the uid is another's, so this object is gone.
        await self._patch(obj, {"metadata": {"ownerReferences": removal, "uid": obj.metadata.uid}}, (404, 422))

    async def _patch(self, obj: Obj, patch: Any, gone: tuple[int, ...]) -> bool:
        meta = obj.metadata
        try:
            await self._client.patch(self._kind, meta.name, meta.namespace, patch, type="strategic")
        except StatusError as error:
            if error.code in gone:
                return False
            raise
        return True

    async def _check_owner(self) -> None:
        """The cache may not have seen yet that the owner is being deleted: ask the server, once."""
        if self._adoptable:
            return
        meta = self._owner.metadata
        fresh = await self._client.get(type(self._owner), meta.name, meta.namespace)
        if fresh.metadata.uid != meta.uid:
            raise Again(
                f"original {self._owner.kind} {meta.namespace}/{meta.name} is gone: "
                f"got uid {fresh.metadata.uid}, wanted {meta.uid}"
            )
        if fresh.metadata.deletion_timestamp is not None:
            raise Again(f"{meta.namespace}/{meta.name} has just been deleted at {fresh.metadata.deletion_timestamp}")
        self._adoptable = True


def resolve(informer: Informer[Obj], ref: meta_v1.OwnerReference | None, namespace: str, kind: str) -> Obj | None:
    """The owner that a controller reference means, None if it is another's or has another uid."""
    if ref is None or ref.kind != kind:
        return None
    owner = informer.get(ref.name, namespace)
    return owner if owner is not None and owner.metadata.uid == ref.uid else None


__all__ = [
    "BY_CONTROLLER",
    "Again",
    "Claims",
    "Context",
    "Controller",
    "Expectations",
    "Key",
    "PodControl",
    "bounded",
    "index_by_controller",
    "owned_and_orphans",
    "resolve",
    "slow_start",
]
