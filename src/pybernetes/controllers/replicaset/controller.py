"""Keeps the number of pods that a ReplicaSet or a ReplicationController asks for (upstream: pkg/controller/replicaset).

A ReplicationController is looked at as a ReplicaSet, as upstream does; only its status is written in its own type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controller_of
from pybernetes.api.pods import is_active, is_terminating, next_availability
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.client.retry import AT_ONCE, retry_on_conflict

from ..common import Key, clone, key_of, namespace_terminating
from ..framework import (
    BY_CONTROLLER,
    Claims,
    Context,
    Controller,
    Expectations,
    bounded,
    index_by_controller,
    owned_and_orphans,
    resolve,
    slow_start,
)
from .plan import Create, Delete, plan, status_of

SECONDS_PER_POD = 2e-5  # a set of 5,000 pods that change is looked at ten times a second, not for each of them

W = TypeVar("W", bound=apps.ReplicaSet | core.ReplicationController)


class SetController(Controller, Generic[W]):
    """One queue of workloads that are a number of pods alike; pods lead to theirs."""

    def __init__(self, context: Context, kind: type[W], workers: int) -> None:
        super().__init__(context, workers)
        self.kind: type[W] = kind
        self._expected = Expectations(context.clock)
        self._sizes: dict[Key, int] = {}  # pods at the last sync
        self._sets = self.informer(self.kind)
        self._pods = self.informer(core.Pod)
        self._sets.add_index(BY_CONTROLLER, index_by_controller)
        self._pods.add_index(BY_CONTROLLER, index_by_controller)
        self._sets.add_handler(self._on_set)
        self._pods.add_handler(self._on_pod)

    # --- differences of the two kinds

    def view(self, obj: W) -> apps.ReplicaSet:
        """The object as the plan reads it: a ReplicaSet with the same meta, selector, template and counts."""
        raise NotImplementedError(f"{type(self).__name__} has no view")

    def with_status(self, obj: W, status: apps.ReplicaSetStatus) -> W | None:
        """A copy of the object with the status; None if it has it."""
        raise NotImplementedError(f"{type(self).__name__} has no status")

    # --- what happens

    def _on_set(self, old: W | None, new: W | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._expected.forget(key_of(old))
        self.on_change(old, new)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if new is None or (new.metadata.deletion_timestamp is not None and old is None):
            pod = new or old
            assert pod is not None
            self._gone(pod)
        elif old is None:
            self._added(new)
        else:
            self._updated(old, new)

    def _owner(self, pod: core.Pod) -> W | None:
        return resolve(self._sets, controller_of(pod), pod.metadata.namespace, self.kind().kind)

    def _gone(self, pod: core.Pod) -> None:
        owner = self._owner(pod)
        if owner is not None:
            self._expected.deleted(key_of(owner), pod.metadata.uid)
            self.enqueue(owner)

    def _added(self, pod: core.Pod) -> None:
        if controller_of(pod) is None:
            self._tell_matching(pod)
            return
        owner = self._owner(pod)
        if owner is not None:
            key = key_of(owner)
            self._expected.created(key)
            if self._expected.satisfied(key):
                self.queue.add(key)
            else:
                self._later(owner)

    def _updated(self, old: core.Pod, new: core.Pod) -> None:
        relabelled = old.metadata.labels != new.metadata.labels
        if new.metadata.deletion_timestamp is not None:
            # A graceful deletion shows as an update first: a replacement must not wait for its end.
            self._gone(new)
            if relabelled:
                self._gone(old)
            return
        reowned = controller_of(old) != controller_of(new)
        if reowned:
            former = self._owner(old)
            if former is not None:
                self.enqueue(former)
        if controller_of(new) is not None:
            owner = self._owner(new)
            if owner is not None:
                self._later(owner)
        elif relabelled or reowned:
            self._tell_matching(new)

    def _later(self, owner: W) -> None:
        key = key_of(owner)
        self.queue.add_after(key, self._sizes.get(key, 0) * SECONDS_PER_POD)

    def _tell_matching(self, pod: core.Pod) -> None:
        for obj in self._sets.list(pod.metadata.namespace):
            if as_selector(self.view(obj).spec.selector).matches(pod.metadata.labels):
                self.enqueue(obj)

    # --- what is done

    async def sync(self, key: Key) -> None:
        """Claims pods, creates or deletes, writes the status."""
        obj = self._sets.get(key[1], key[0])
        if obj is None:
            self._expected.forget(key)
            self._sizes.pop(key, None)
            return
        ready = self._expected.satisfied(key)
        rs = self.view(obj)
        selector = as_selector(rs.spec.selector)
        candidates = owned_and_orphans(self._pods, obj)
        claims = Claims(self.client, core.Pod, obj, selector)
        pods = await claims.claim([pod for pod in candidates if is_active(pod)])
        self._sizes[key] = len(pods)
        error: Exception | None = None
        if ready and rs.metadata.deletion_timestamp is None:
            error = await self._act(obj, plan(rs, pods, self._related(rs, pods), self.now()))
        terminating = sum(
            is_terminating(pod) and controller_of(pod) is not None and selector.matches(pod.metadata.labels)
            for pod in candidates
        )
        failure = None
        if error is not None:
            failure = ("FailedCreate" if len(pods) < (rs.spec.replicas or 0) else "FailedDelete", str(error))
        now = self.now()
        await self._write_status(obj, status_of(rs, pods, terminating, failure, now))
        if error is not None:
            raise error
        if rs.spec.min_ready_seconds > 0:
            wait = next_availability(pods, rs.spec.min_ready_seconds, now)
            if wait is not None:
                self.look_again(key, wait)

    def _related(self, rs: apps.ReplicaSet, pods: Sequence[core.Pod]) -> Sequence[core.Pod]:
        ref = controller_of(rs)
        if ref is None or len(pods) <= (rs.spec.replicas or 0):
            return pods
        return [
            pod
            for sibling in self._sets.by_index(BY_CONTROLLER, ref.uid)
            for pod in self._pods.by_index(BY_CONTROLLER, sibling.metadata.uid)
        ]

    async def _act(self, obj: W, action: Create | Delete | None) -> Exception | None:
        if isinstance(action, Create):
            return await self._create(obj, action.count)
        if isinstance(action, Delete):
            return await self._delete(obj, action.pods)
        return None

    async def _create(self, obj: W, count: int) -> Exception | None:
        key, template = key_of(obj), self.view(obj).spec.template
        self._expected.expect(key, additions=count)
        attempted = 0

        async def create(_: int) -> None:
            nonlocal attempted
            attempted += 1
            created = False
            try:
                await self.pods_control.create_from(template, obj)
                created = True
            except StatusError as error:
                if not namespace_terminating(error):  # nothing can be made there any more
                    raise
            finally:
                if not created:
                    self._expected.created(key)

        _, error = await slow_start(count, create)
        self._expected.created(key, count - attempted)
        return error

    async def _delete(self, obj: W, pods: Sequence[core.Pod]) -> Exception | None:
        key = key_of(obj)
        self._expected.expect(key, deletions=[pod.metadata.uid for pod in pods])
        errors: list[Exception] = []

        async def delete(pod: core.Pod) -> None:
            try:
                await self.pods_control.delete(pod, obj)
            except Exception as error:
                self._expected.deleted(key, pod.metadata.uid)
                if not isinstance(error, StatusError) or error.code != 404:
                    errors.append(error)

        await bounded(pods, delete)
        return errors[0] if errors else None

    async def _write_status(self, obj: W, status: apps.ReplicaSetStatus) -> None:

        async def write(current: W) -> None:
            desired = self.with_status(current, status)
            if desired is not None:
                await self.client.update(desired, "status")

        meta = obj.metadata
        await retry_on_conflict(
            write, obj, lambda: self.client.get(self.kind, meta.name, meta.namespace), self.context.clock, AT_ONCE
        )


class ReplicaSetController(SetController[apps.ReplicaSet]):
    """Replica sets as they are: `view` is the object itself."""

    name = "replicaset-controller"
    queue_name = "replicaset"

    def __init__(self, context: Context) -> None:
        super().__init__(context, apps.ReplicaSet, context.options.concurrent_replicaset_syncs)

    def view(self, obj: apps.ReplicaSet) -> apps.ReplicaSet:
        """The object itself; replication controllers give a ReplicaSet that asks for the same."""
        return obj

    def with_status(self, obj: apps.ReplicaSet, status: apps.ReplicaSetStatus) -> apps.ReplicaSet | None:
        """A copy of the object with the status; None if it has it."""
        if obj.status == status:
            return None
        copy = clone(obj)
        copy.status = status
        return copy
