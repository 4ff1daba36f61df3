"""Thousands of nodes in one process, whose pods run without containers (upstream: cmd/kubemark)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client, Handler, Informer, Informers, present

from .app import Kubelet, whole_seconds
from .hollow import (
    HollowAddresses,
    HollowCgroups,
    HollowImages,
    HollowNetwork,
    HollowProber,
    HollowVolumes,
    as_scripted,
)
from .interfaces import PodNetwork
from .machine import node as n
from .machinery import Machinery
from .options import KubeletOptions
from .runtime.hollow import ExecHandler, HollowRuntime, container_ids

T = TypeVar("T")


class Shared(Generic[T]):
    """One informer for what many nodes watch: each is told of its own, as `seen` shows it. `key`: the name of an object's node."""

    def __init__(self, informer: Informer[T], key: Callable[[T], str], seen: Callable[[T], T] | None = None) -> None:
        self._informer, self._key, self._seen = informer, key, seen
        self._handlers: dict[str, list[Handler[T]]] = {}
        informer.add_index("node", lambda about: [key(about)])
        informer.add_handler(self._dispatch)

    def _dispatch(self, old: T | None, new: T | None) -> None:
        handlers = self._handlers.get(self._key(present(old, new)), ())
        if self._seen is not None and handlers:
            old, new = (None if about is None else self._seen(about) for about in (old, new))
        for handler in handlers:
            handler(old, new)

    def of(self, name: str) -> Share[T]:
        return Share(self, name)

    def add_handler(self, name: str, handler: Handler[T]) -> None:
        self._handlers.setdefault(name, []).append(handler)
        for about in self._informer.by_index("node", name):
            handler(None, about if self._seen is None else self._seen(about))

    @property
    def synced(self) -> bool:
        return self._informer.synced


class Share(Generic[T]):
    """One node's part of what is shared; a Notifier."""

    def __init__(self, shared: Shared[T], name: str) -> None:
        self._shared, self._name = shared, name

    def add_handler(self, handler: Handler[T]) -> None:
        self._shared.add_handler(self._name, handler)

    @property
    def synced(self) -> bool:
        return self._shared.synced


def hollow_machine(cpus: int = 32, memory_bytes: int = 256 << 30) -> n.Machine:
    return n.Machine(cpus, memory_bytes, 1 << 40, kernel="hollow", os_image="hollow")


def hollow_machinery(
    pod_cidr: str = "10.244.0.0/14",
    network: PodNetwork | None = None,
    clock: Clock | None = None,
    ids: Iterator[str] | None = None,
    handlers: Mapping[str, ExecHandler] | None = None,
) -> Machinery:
    """Parts without processes; nodes of one process share addresses and ids, so that those of their pods and containers differ."""
    clock = clock or RealClock()
    return Machinery(
        HollowRuntime(whole_seconds(clock), clock, ids, handlers),
        network or HollowNetwork(HollowAddresses(pod_cidr)),
        HollowVolumes(),
        HollowProber(),
        HollowCgroups(),
        "hollow",
        HollowImages(),
        on_host=False,
    )


def hollow_kubelets(
    client: Client,
    informers: Informers,
    names: Sequence[str],
    *,
    machine: n.Machine | None = None,
    pod_cidr: str = "10.244.0.0/14",
    max_pods: int = 110,
    clock: Clock | None = None,
    addresses: Sequence[str] = ("127.0.0.1",),
    port: int = 0,
    seen: Callable[[core.Pod], core.Pod] = as_scripted,
    handlers: Mapping[str, ExecHandler] | None = None,
) -> list[Kubelet]:
    """Nodes without processes, to be run: one watch for all their pods. The caller runs the informers.

    `addresses` and `port`: where a HollowServer answers for them, 0 for none. `seen`: how the nodes see a pod; `handlers` as HollowRuntime has them.
    """
    # A single one asks for no more than the Node authorizer lets a node see.
    own = f"={names[0]}" if len(names) == 1 else ""
    pods = Shared(
        informers.informer(core.Pod, field_selector=f"spec.nodeName{own or '!='}"),
        lambda pod: pod.spec.node_name,
        seen,
    )
    nodes = Shared(
        informers.informer(core.Node, field_selector=own and f"metadata.name{own}"), lambda node: node.metadata.name
    )
    addresses_of_pods, shape, ids = HollowAddresses(pod_cidr), machine or hollow_machine(), container_ids()
    kubelets = []
    for name in names:
        network = HollowNetwork(addresses_of_pods)
        own_node = nodes.of(name)
        own_node.add_handler(partial(_follow_range, network))
        options = KubeletOptions(name, tuple(addresses), max_pods=max_pods, resolv_conf="", port=port)
        parts = hollow_machinery(network=network, clock=clock, ids=ids, handlers=handlers)
        kubelets.append(
            Kubelet(options, client, pods.of(name), own_node, None, machinery=parts, machine=shape, clock=clock)
        )
    return kubelets


def _follow_range(network: HollowNetwork, old: core.Node | None, new: core.Node | None) -> None:
    """Pods get addresses of the range that the node-ipam-controller gives the node."""
    if new is not None:
        network.set_range(new.spec.pod_cidr)


async def run_all(kubelets: Sequence[Kubelet]) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as group:
        for kubelet in kubelets:
            group.create_task(kubelet.run())
