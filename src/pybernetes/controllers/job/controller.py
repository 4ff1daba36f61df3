"""Runs pods to completion (upstream: pkg/controller/job). What a sync decides is in plan.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controller_of
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from ..common import Key, key_of, namespace_terminating, pod_from_template
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
from . import pods as jobpods
from . import util
from .backoff import Backoff
from .plan import Changes, Round

BATCH_SECONDS = 0.1  # changes of pods and of the status are gathered before a sync (upstream: 1 s)
ORPHAN = "orphan"  # first part of the keys of pods that may have to lose the finalizer


class JobController(Controller):
    """One queue of jobs, and of pods without a job whose finalizer has to go."""

    name = "job-controller"
    queue_name = "job"
    retry_delays = (1.0, 60.0)  # a quota that refuses its pods is asked once a second at most

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_job_syncs)
        self._expected = Expectations(context.clock)
        self._released: dict[Key, set[str]] = {}  # uids whose finalizer was removed and is still in the cache
        self._backoffs: dict[Key, Backoff] = {}
        self._jobs = self.informer(batch.Job)
        self._pods = self.informer(core.Pod)
        self._pods.add_index(BY_CONTROLLER, index_by_controller)
        self._jobs.add_handler(self._on_job)
        self._pods.add_handler(self._on_pod)

    # --- what happens

    def _on_job(self, old: batch.Job | None, new: batch.Job | None) -> None:
        if new is None:
            assert old is not None
            self.enqueue(old)
            for pod in self._pods.by_index(BY_CONTROLLER, old.metadata.uid):
                self._maybe_orphan(pod)
            return
        same_spec = old is not None and old.metadata.generation == new.metadata.generation
        self.queue.add_after(key_of(new), BATCH_SECONDS if same_spec else 0)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if new is None or (old is None and new.metadata.deletion_timestamp is not None):
            pod = new or old
            assert pod is not None
            self._gone(pod, final=new is None)
        elif old is None:
            self._added(new)
        else:
            self._updated(old, new)

    def _owner(self, pod: core.Pod) -> batch.Job | None:
        owner: batch.Job | None = resolve(self._jobs, controller_of(pod), pod.metadata.namespace, "Job")
        return owner

    def _later(self, job: batch.Job) -> None:
        self.queue.add_after(key_of(job), BATCH_SECONDS)

    def _added(self, pod: core.Pod) -> None:
        owner = self._owner(pod)
        if owner is not None:
            self._expected.created(key_of(owner))
            self._later(owner)
        elif controller_of(pod) is None:
            self._maybe_orphan(pod)
            self._tell_matching(pod)
        else:
            self._maybe_orphan(pod)

    def _updated(self, old: core.Pod, new: core.Pod) -> None:
        if new.metadata.deletion_timestamp is not None:
            self._gone(new, final=False)
            return
        owner, former = self._owner(new), self._owner(old)
        if former is not None and former is not owner:
            self._later(former)
        if owner is not None:
            if util.has_finalizer(old) and not util.has_finalizer(new):
                self._forget_release(owner, new)
            self._later(owner)
            return
        self._maybe_orphan(new)
        if controller_of(new) is None and (
            old.metadata.labels != new.metadata.labels or controller_of(old) is not None
        ):
            self._tell_matching(new)

    def _gone(self, pod: core.Pod, final: bool) -> None:
        owner = self._owner(pod)
        if owner is None:
            if not final:
                self._maybe_orphan(pod)
            return
        self._expected.deleted(key_of(owner), pod.metadata.uid)
        if final or not util.has_finalizer(pod):
            self._forget_release(owner, pod)
        self._later(owner)

    def _forget_release(self, job: batch.Job, pod: core.Pod) -> None:
        self._released.get(key_of(job), set()).discard(pod.metadata.uid)

    def _tell_matching(self, pod: core.Pod) -> None:
        for job in self._jobs.list(pod.metadata.namespace):
            if as_selector(job.spec.selector).matches(pod.metadata.labels):
                self._later(job)

    def _maybe_orphan(self, pod: core.Pod) -> None:
        if util.has_finalizer(pod):
            self.queue.add((ORPHAN, pod.metadata.namespace, pod.metadata.name))

    # --- what is done

    async def sync(self, key: Any) -> None:
        """A job, or a pod that lost its job."""
        if len(key) == 3:
            await self._sync_orphan(key[1], key[2])
            return
        job = self._jobs.get(key[1], key[0])
        if job is None:
            self._expected.forget(key)
            self._released.pop(key, None)
            self._backoffs.pop(key, None)
            return
        if job.spec.managed_by not in (None, "kubernetes.io/job-controller"):
            return
        if util.finished_condition(job) is not None:
            self._backoffs.pop(key, None)
            await self._release_leftovers(key, job)
            return
        await self._sync_job(key, job)

    async def _release_leftovers(self, key: Key, job: batch.Job) -> None:
        """Pods of a finished job whose finalizer was not removed, for whatever reason."""
        pods = [pod for pod in self._pods.by_index(BY_CONTROLLER, job.metadata.uid) if util.has_finalizer(pod)]
        await self._release(key, pods)

    async def _sync_job(self, key: Key, job: batch.Job) -> None:
        satisfied = self._expected.satisfied(key)
        claims = Claims(self.client, core.Pod, job, as_selector(job.spec.selector))
        pods = await claims.claim(owned_and_orphans(self._pods, job), finalizer=util.TRACKING_FINALIZER)
        released = frozenset(self._released.get(key, ()))
        current = Round(job, pods, released, self._backoffs.get(key, Backoff()), self.now())
        changes = current.decide(satisfied)
        error = await self._act(key, current, changes)
        changed = current.conclude(changes, satisfied)
        if changes.again is not None:
            self.look_again(key, changes.again)
        try:
            await self._track(key, current, changed)
        except StatusError as conflict:
            if conflict.code != 409:
                raise
            self._later(job)  # the cache is behind: no reason for a back-off
            return
        if error is not None:
            raise error

    async def _act(self, key: Key, current: Round, changes: Changes) -> Exception | None:
        if changes.delete:
            done, error = await self._delete(key, current.job, changes)
            current.deleted(done)
            return error
        if changes.create:
            created, error = await self._create(key, current, changes)
            current.active += created
            return error
        return None

    async def _delete(self, key: Key, job: batch.Job, changes: Changes) -> tuple[list[core.Pod], Exception | None]:
        """A pod of a failed job keeps its finalizer, to be counted; one too many is let go."""
        if not changes.end:
            self._expected.expect(key, deletions=[pod.metadata.uid for pod in changes.delete])
        done: list[core.Pod] = []
        errors: list[Exception] = []

        async def delete(pod: core.Pod) -> None:
            try:
                if not changes.end and util.has_finalizer(pod):
                    await self._remove_finalizer(pod)
                await self.pods_control.delete(pod, job)
                done.append(pod)
            except Exception as error:
                self._expected.deleted(key, pod.metadata.uid)
                if isinstance(error, StatusError) and error.code == 404:
                    done.append(pod)
                else:
                    errors.append(error)

        await bounded(changes.delete, delete)
        return done, errors[0] if errors else None

    async def _create(self, key: Key, current: Round, changes: Changes) -> tuple[int, Exception | None]:
        job = current.job
        template = jobpods.pod_template(job)
        self._expected.expect(key, additions=changes.create)
        attempted = 0

        def pod(number: int) -> core.Pod:
            if not changes.indexes:
                return pod_from_template(template, job)
            index = changes.indexes[number]
            of_index = jobpods.template_of_index(template, job, index, current.delayed.get(index))
            return pod_from_template(of_index, job, jobpods.name_prefix(job, index))

        async def create(number: int) -> None:
            nonlocal attempted
            attempted += 1
            created = False
            try:
                await self.pods_control.create(pod(number), job)
                created = True
            except StatusError as error:
                if not namespace_terminating(error):
                    raise
            finally:
                if not created:
                    self._expected.created(key)

        created, error = await slow_start(changes.create, create)
        self._expected.created(key, changes.create - attempted)
        return created, error

    async def _track(self, key: Key, current: Round, changed: bool) -> None:
        pods, flush, all_taken = current.track()
        if flush or changed:
            # Written before any finalizer goes: a pod that vanishes is then already counted.
            await self._write(current)
            self._backoffs[key] = current.backoff
        if pods:
            await self._release(key, pods)
        settled = current.settle({pod.metadata.uid for pod in current.tracked()} - {pod.metadata.uid for pod in pods})
        finished = all_taken and current.finish()
        if settled or finished:
            await self._write(current)
        for type, reason, message in current.events:
            self.recorder.event(current.job, type, reason, message)
        if not all_taken:
            self.queue.add(key)

    async def _write(self, current: Round) -> None:
        """The version is the server's afterwards, so that a second write in one sync is no conflict."""
        written = await self.client.update(current.job, "status")
        current.job.metadata = written.metadata

    async def _release(self, key: Key, pods: Sequence[core.Pod]) -> None:
        """Removes the finalizers; raises what went wrong first, after all were tried."""
        released = self._released.setdefault(key, set())

        async def release(pod: core.Pod) -> None:
            released.add(pod.metadata.uid)
            try:
                await self._remove_finalizer(pod)
            except Exception as error:
                if not isinstance(error, StatusError) or error.code not in (404, 422):
                    released.discard(pod.metadata.uid)
                    raise

        for error in await bounded(pods, release):
            if error is not None:
                raise error

    async def _remove_finalizer(self, pod: core.Pod) -> None:
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": [util.TRACKING_FINALIZER]}}
        await self.client.patch(core.Pod, pod.metadata.name, pod.metadata.namespace, patch, type="strategic")

    async def _sync_orphan(self, namespace: str, name: str) -> None:
        pod = self._pods.get(name, namespace)
        if pod is None or not util.has_finalizer(pod) or self._owner(pod) is not None:
            return
        try:
            await self._remove_finalizer(pod)
        except StatusError as error:
            if error.code != 404:
                raise
