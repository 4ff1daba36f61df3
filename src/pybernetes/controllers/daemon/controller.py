"""Keeps one pod on each node that a DaemonSet is for (upstream: pkg/controller/daemon). What should be is in plan.py."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.aio.backoff import Backoff
from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controller_of
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL

from .. import history, revisions
from ..common import Key, key_of, namespace_terminating, pod_from_template, template_hash
from ..framework import (
    BY_CONTROLLER,
    Again,
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
from . import plan

BURST_REPLICAS = 250
FAILED_BACKOFF = (1.0, 15 * 60.0)  # seconds between deletions of failed pods on one node: the kubelet may refuse each
BATCH_SECONDS = 0.05  # changes of pods are gathered, since every sync looks at all nodes ...
SECONDS_PER_NODE = 1e-4  # ... with 5,000 of them twice a second


class DaemonSetsController(Controller):
    """One queue of daemon sets; pods, nodes and revisions lead to theirs."""

    name = "daemonset-controller"
    account = "daemon-set-controller"
    queue_name = "daemonset"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_daemonset_syncs)
        self._expected = Expectations(context.clock)
        self._backoff: Backoff[tuple[str, int, str]] = Backoff(*FAILED_BACKOFF, context.clock)
        self._sets = self.informer(apps.DaemonSet)
        self._pods = self.informer(core.Pod)
        self._nodes = self.informer(core.Node)
        self._revisions = self.informer(apps.ControllerRevision)
        for informer in (self._pods, self._revisions):
            informer.add_index(BY_CONTROLLER, index_by_controller)
        self._node_count = 0  # at the last sync
        self._sets.add_handler(self._on_set)
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)
        self._revisions.add_handler(self._on_revision)

    # --- what happens

    def _on_set(self, old: apps.DaemonSet | None, new: apps.DaemonSet | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._expected.forget(key_of(old))
        self.on_change(old, new)

    def _owner(self, obj: core.Pod | apps.ControllerRevision) -> apps.DaemonSet | None:
        owner: apps.DaemonSet | None = resolve(self._sets, controller_of(obj), obj.metadata.namespace, "DaemonSet")
        return owner

    def _later(self, key: Key) -> None:
        self.queue.add_after(key, max(BATCH_SECONDS, self._node_count * SECONDS_PER_NODE))

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        owner = self._owner(pod)
        if owner is not None:
            key = key_of(owner)
            if new is None or new.metadata.deletion_timestamp is not None:
                self._expected.deleted(key, pod.metadata.uid)
            elif old is None:
                self._expected.created(key)
            self._later(key)
        former = self._owner(old) if old is not None and new is not None else None
        if former is not None and former is not owner:
            self._later(key_of(former))
        if new is not None and controller_of(new) is None and (old is None or old.metadata != new.metadata):
            for ds in self._sets.list(new.metadata.namespace):
                if as_selector(ds.spec.selector).matches(new.metadata.labels):
                    self.enqueue(ds)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        """Only what decides where daemons run counts; status comes every few seconds."""
        if new is None or (old is not None and (old.metadata.labels, old.spec) == (new.metadata.labels, new.spec)):
            return
        for ds in self._sets.list():
            check = plan.runs_on(ds)
            if check(new) != (check(old) if old is not None else (False, False)):
                self._later(key_of(ds))

    def _on_revision(self, old: apps.ControllerRevision | None, new: apps.ControllerRevision | None) -> None:
        for revision in (old, new):
            owner = self._owner(revision) if revision is not None else None
            if owner is not None:
                self.enqueue(owner)

    # --- what is done

    async def sync(self, key: Key) -> None:
        """Revisions, pods by node, rolling update, status."""
        ds = self._sets.get(key[1], key[0])
        if ds is None:
            self._expected.forget(key)
            return
        selector = as_selector(ds.spec.selector)
        if selector.empty():
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self.recorder.warning(ds, "SelectingAll", text)
            return
        if ds.metadata.deletion_timestamp is not None:
            return
        current, old = await self._history(ds)
        hashed = current.metadata.labels[CONTROLLER_REVISION_HASH_LABEL]
        check = plan.runs_on(ds)
        verdicts = {node.metadata.name: check(node) for node in self._nodes.list()}
        self._node_count = len(verdicts)
        satisfied = self._expected.satisfied(key)
        error = None
        if satisfied:
            error = await self._act(key, ds, verdicts, hashed)
            await self._clean_up(ds, old)
        pods = plan.by_node(await self._claimed(ds))
        status = plan.status_of(ds, verdicts, pods, hashed, self.now(), satisfied)
        await self.write_status(ds, status)
        if error is not None:
            raise error
        if ds.spec.min_ready_seconds > 0 and status.number_ready != status.number_available:
            self.look_again(key, ds.spec.min_ready_seconds)

    async def _claimed(self, ds: apps.DaemonSet) -> list[core.Pod]:
        claims = Claims(self.client, core.Pod, ds, as_selector(ds.spec.selector))
        return await claims.claim(owned_and_orphans(self._pods, ds))

    async def _act(self, key: Key, ds: apps.DaemonSet, verdicts: plan.Verdicts, hashed: str) -> Exception | None:
        pods = plan.by_node(await self._claimed(ds))
        step = plan.manage(ds, verdicts, pods, hashed, self.now())
        self._delete_failed(key, ds, step)
        for type, reason, text in step.events:
            self.recorder.event(ds, type, reason, text)
        error = await self._do(key, ds, step, hashed)
        if error is None and self._expected.satisfied(key) and ds.spec.update_strategy.type == "RollingUpdate":
            pods = plan.by_node(await self._claimed(ds))
            error = await self._do(key, ds, plan.roll(ds, verdicts, pods, hashed, self.now()), hashed)
        return error

    def _delete_failed(self, key: Key, ds: apps.DaemonSet, step: plan.Step) -> None:
        """Failed pods are deleted with a back-off by node."""
        now = self.context.clock.monotonic()
        for node, pod in step.failed:
            item = (ds.metadata.uid, ds.status.observed_generation, node)
            if self._backoff.in_backoff_since_update(item, now):
                self.queue.add_after(key, self._backoff.get(item))
                continue
            self._backoff.next(item, now)
            step.events.append(plan.failed_event(node, pod))
            step.delete.append(pod)

    async def _do(self, key: Key, ds: apps.DaemonSet, step: plan.Step, hashed: str) -> Exception | None:
        nodes, doomed = step.create[:BURST_REPLICAS], step.delete[:BURST_REPLICAS]
        if not nodes and not doomed:
            return None
        self._expected.expect(key, len(nodes), [pod.metadata.uid for pod in doomed])
        error = await self._create(key, ds, nodes, hashed)
        errors = await bounded(doomed, lambda pod: self._delete(key, ds, pod))
        return error or next((e for e in errors if e is not None), None)

    async def _create(self, key: Key, ds: apps.DaemonSet, nodes: Sequence[str], hashed: str) -> Exception | None:
        template = plan.template_of(ds, hashed)
        attempted = 0

        async def create(number: int) -> None:
            nonlocal attempted
            attempted += 1
            created = False
            try:
                await self.pods_control.create(pod_from_template(plan.for_node(template, nodes[number]), ds), ds)
                created = True
            except StatusError as error:
                if not namespace_terminating(error):
                    raise
            finally:
                if not created:
                    self._expected.created(key)

        _, error = await slow_start(len(nodes), create)
        self._expected.created(key, len(nodes) - attempted)
        return error

    async def _delete(self, key: Key, ds: apps.DaemonSet, pod: core.Pod) -> None:
        try:
            await self.pods_control.delete(pod, ds)
        except Exception as error:
            self._expected.deleted(key, pod.metadata.uid)
            if not isinstance(error, StatusError) or error.code != 404:
                raise

    # --- history

    async def _history(self, ds: apps.DaemonSet) -> tuple[apps.ControllerRevision, list[apps.ControllerRevision]]:
        """The revision of the present template, made where there is none, and all others."""
        claims = Claims(self.client, apps.ControllerRevision, ds, as_selector(ds.spec.selector))
        claimed = revisions.by_number(await claims.claim(owned_and_orphans(self._revisions, ds)))
        labelled = [revision for revision in claimed if CONTROLLER_REVISION_HASH_LABEL in revision.metadata.labels]
        same = [revision for revision in labelled if revisions.holds(revision, ds.spec.template)]
        old = [revision for revision in labelled if revision not in same]
        number = max((revision.revision for revision in old), default=0) + 1
        if not same:
            return await self._make_revision(ds, number), old
        current = same[-1]
        if current.revision < number:
            current = await history.renumber(self.client, current, number, self.context.clock)
        return current, old

    async def _make_revision(self, ds: apps.DaemonSet, number: int) -> apps.ControllerRevision:
        hashed = template_hash(ds.spec.template, ds.status.collision_count)
        revision = revisions.new_revision(ds, CONTROLLER_REVISION_HASH_LABEL, hashed, number)
        try:
            return await history.create(self.client, revision, ds)
        except history.Collision as collision:
            fresh = await self.client.get(apps.DaemonSet, ds.metadata.name, ds.metadata.namespace)
            fresh.status.collision_count = (fresh.status.collision_count or 0) + 1
            await self.client.update(fresh, "status")
            raise Again(f"the revision's name {collision} is taken: another hash is tried") from collision

    async def _clean_up(self, ds: apps.DaemonSet, old: Sequence[apps.ControllerRevision]) -> None:
        """Deletes the oldest beyond the limit that no pod is of."""
        limit = ds.spec.revision_history_limit
        surplus = len(old) - (limit if limit is not None else 10)
        if surplus <= 0:
            return
        live = {
            pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL)
            for pod in self._pods.by_index(BY_CONTROLLER, ds.metadata.uid)
        }
        unused = [revision for revision in old if revision.metadata.labels[CONTROLLER_REVISION_HASH_LABEL] not in live]
        for revision in unused[:surplus]:
            await self.client.delete(apps.ControllerRevision, revision.metadata.name, revision.metadata.namespace)
