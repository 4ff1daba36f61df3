"""Deletes pods from nodes with NoExecute taints that they do not tolerate (upstream: pkg/controller/tainteviction)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from ..common import Key, key_of
from ..framework import Context, Controller
from ..indexers import BY_NODE, by_node
from .plan import Eviction, disruption, no_execute, plan

WORKERS = 8


class TaintEvictionController(Controller):
    """One queue of pods that are on tainted nodes or were to go."""

    name = "taint-eviction-controller"
    account = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, WORKERS)
        self._coming: dict[Key, Eviction] = {}
        self._told: set[Key] = set()  # pods whose deletion was announced and is being tried
        self._nodes = self.informer(core.Node)
        self._pods = self.informer(core.Pod)
        self._pods.add_index(BY_NODE, by_node)
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        if new is not None and no_execute(old) != no_execute(new):
            for pod in self._pods.by_index(BY_NODE, new.metadata.name):
                self.enqueue(pod)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        if key_of(pod) not in self._coming and not no_execute(self._nodes.get(pod.spec.node_name)):
            return  # nearly always
        if old is None or new is None or old.spec != new.spec:
            self.enqueue(pod)

    async def sync(self, key: Key) -> None:
        """Decides anew; deletes when it is time."""
        pod = self._pods.get(key[1], key[0])
        if pod is None:
            self._cancel(key)
            self._told.discard(key)
            return
        if not pod.spec.node_name or pod.metadata.deletion_timestamp is not None:
            self._coming.pop(key, None)
            return
        scheduled, now = self._coming.get(key), self.monotonic()
        eviction = plan(no_execute(self._nodes.get(pod.spec.node_name)), pod.spec.tolerations, scheduled, now)
        if eviction is None:
            self._cancel(key)
        elif eviction.at > now:
            self._coming[key] = eviction
            self.queue.add_after(key, eviction.at - now)
        else:
            if scheduled is not None and scheduled.at > now:
                self._cancel(key)  # sooner than was announced
            self._coming.pop(key, None)
            await self._evict(pod)

    def _cancel(self, key: Key) -> None:
        if self._coming.pop(key, None) is not None:
            self._event(key, f"Cancelling deletion of Pod {key[0]}/{key[1]}")

    def _event(self, key: Key, message: str) -> None:
        about = core.ObjectReference(api_version="v1", kind="Pod", namespace=key[0], name=key[1])
        self.recorder.normal(about, "TaintManagerEviction", message)

    async def _evict(self, pod: core.Pod) -> None:
        key = key_of(pod)
        if key not in self._told:
            self._event(key, f"Marking for deletion Pod {key[0]}/{key[1]}")
            self._told.add(key)
        try:
            patch = disruption(pod, self.now())
            await self.client.patch(core.Pod, key[1], key[0], patch, type="strategic", subresource="status")
            await self.client.delete(core.Pod, key[1], key[0], uid=pod.metadata.uid)
        except StatusError as error:
            if error.code != 404:
                raise
        self._told.discard(key)
