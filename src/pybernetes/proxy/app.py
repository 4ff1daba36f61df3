"""The running proxy: informers in, rules out (upstream: cmd/kube-proxy/app/server.go, pkg/proxy/iptables/proxier.go)."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pybernetes.aio.clock import Clock
from pybernetes.api.times import parse_time
from pybernetes.api.types import core_v1, discovery_v1, networking_v1
from pybernetes.api.wellknown import IS_HEADLESS_SERVICE, LABEL_SERVICE_PROXY_NAME, LABEL_TOPOLOGY_ZONE
from pybernetes.client.events import EventRecorder
from pybernetes.client.sliminformer import Kept
from pybernetes.client.types import Handler, Object, present
from pybernetes.net import links

from .backends import IPVS_DEVICE, Backend, Change, Closing, Options
from .health import Problem, ProxyHealth, ServiceHealth, eligible
from .metrics import Metrics
from .model import (
    HealthPorts,
    ServiceKey,
    ServicePort,
    SlimService,
    SlimSlice,
    Where,
    health_ports,
    ports_of,
    slim_service,
    slim_slice,
)
from .options import KubeProxyConfiguration

_log = logging.getLogger(__name__)

MOST_TRIGGERS = 10_000  # changes whose latency is still to be told: they wait as long as the kernel refuses the rules
SLOW_SECONDS = 5.0  # a sync that takes longer is told while it lasts
BURST = 2  # upstream's BoundedFrequencyRunner: a service and its endpoints are both written at once
SELECTOR = f"!{LABEL_SERVICE_PROXY_NAME},!{IS_HEADLESS_SERVICE}"


T = TypeVar("T")
Obj = TypeVar("Obj", bound=Object)


class Watcher(Protocol):
    """What the proxy needs of `SlimInformers`."""

    def watch(
        self,
        kind: type[Obj],
        transform: Callable[[Obj], T],
        handler: Handler[Kept[T]],
        label_selector: str = "",
        field_selector: str = "",
    ) -> None: ...

    async def wait_synced(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SlimNode:
    """As much of the proxy's own Node as it reads."""

    zone: str
    internal_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    eligible: bool  # see `health.eligible`


def slim_node(node: core_v1.Node) -> SlimNode:
    """Heartbeats are none of it."""
    return SlimNode(
        node.metadata.labels.get(LABEL_TOPOLOGY_ZONE, ""),
        tuple(a.address for a in node.status.addresses if a.type == "InternalIP"),
        tuple(node.spec.pod_cidrs),
        eligible(node),
    )


def slim_cidrs(ranges: networking_v1.ServiceCIDR) -> tuple[str, ...]:
    """The ranges themselves."""
    return tuple(ranges.spec.cidrs)


@dataclass(slots=True)
class Pace:
    """How long a sync must wait: a token each `period` seconds, at most BURST at once."""

    period: float
    tokens: float = BURST
    last: float = 0.0

    def delay(self, now: float) -> float:
        """0 and a token is taken, or the seconds until there is one."""
        if self.period <= 0:
            return 0.0
        self.tokens = min(BURST, self.tokens + (now - self.last) / self.period)
        self.last = now
        if self.tokens >= 1 - 1e-9:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) * self.period


class ProxyServer:
    """Keeps the rules of all families as Services and EndpointSlices say."""

    def __init__(
        self,
        settings: KubeProxyConfiguration,
        informers: Watcher,
        backends: Sequence[Backend],
        metrics: Metrics,
        health: ProxyHealth,
        clock: Clock,
        local_addresses: Callable[[], Iterable[str]],
        recorder: EventRecorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._settings, self._backends, self._metrics, self.health = settings, backends, metrics, health
        self._clock, self._local_addresses = clock, local_addresses
        self._informers = informers
        self._services: dict[ServiceKey, SlimService] = {}
        self._slices: dict[ServiceKey, dict[str, SlimSlice]] = {}  # by owner, then by their own name
        self._node: SlimNode | None = None
        self._service_cidrs: dict[str, tuple[str, ...]] = {}
        self._dirty: set[ServiceKey] = set()
        self._services_of: dict[str, dict[ServiceKey, list[ServicePort]]] = {b.family: {} for b in backends}
        self._changes: dict[str, dict[ServiceKey, Change]] = {b.family: {} for b in backends}
        self._health_ports: dict[str, dict[ServiceKey, HealthPorts]] = {b.family: {} for b in backends}
        self._changed = asyncio.Event()
        self._triggers: deque[datetime] = deque(maxlen=MOST_TRIGGERS)
        self._started = clock.now()
        self._where = Where(settings.node)
        informers.watch(core_v1.Service, slim_service, self._on_service, SELECTOR)
        of_node = functools.partial(slim_slice, node=settings.node)
        informers.watch(discovery_v1.EndpointSlice, of_node, self._on_slice, SELECTOR)
        informers.watch(core_v1.Node, slim_node, self._on_node, field_selector=f"metadata.name={settings.node}")
        addresses = ["0.0.0.0"]
        if settings.node_port_addresses and settings.node_port_addresses != ("primary",):
            addresses = self._node_port_addresses("IPv4") or addresses
        self._service_health = ServiceHealth(addresses, lambda: health.healthy(clock.now()))

    def follow_service_cidrs(self) -> None:
        """The options tell backends of them from now on. Before `run`; the server must have the kind."""
        self._informers.watch(networking_v1.ServiceCIDR, slim_cidrs, self._on_cidrs)

    def _on_cidrs(self, old: Kept[tuple[str, ...]] | None, new: Kept[tuple[str, ...]] | None) -> None:
        name = present(old, new).metadata.name
        if new is not None:
            self._service_cidrs[name] = new.value
        else:
            self._service_cidrs.pop(name, None)
        self._changed.set()

    def _on_service(self, old: Kept[SlimService | None] | None, new: Kept[SlimService | None] | None) -> None:
        meta = present(old, new).metadata
        key = (meta.namespace, meta.name)
        if new is not None and new.value is not None:
            self._services[key] = new.value
        else:
            self._services.pop(key, None)
        self._touch(key)
        self._count(self._metrics.services_total.inc, self._metrics.services_pending.inc)

    def _on_slice(self, old: Kept[SlimSlice] | None, new: Kept[SlimSlice] | None) -> None:
        name = present(old, new).metadata.name
        if old is not None and old.value.service:
            owner = (old.value.namespace, old.value.service)
            own = self._slices.get(owner, {})
            own.pop(name, None)
            if not own:
                self._slices.pop(owner, None)
            self._touch(owner)
        if new is not None and new.value.service:
            owner = (new.value.namespace, new.value.service)
            self._slices.setdefault(owner, {})[name] = new.value
            self._touch(owner)
        if new is not None and new.value.trigger:
            moment = parse_time(new.value.trigger)
            if moment >= self._started:  # what changed before the proxy ran says nothing about it
                self._triggers.append(moment)
        self._count(self._metrics.endpoints_total.inc, self._metrics.endpoints_pending.inc)

    def _count(self, *counters: Callable[[str], None]) -> None:
        for backend in self._backends:
            for count in counters:
                count(backend.family)

    def _on_node(self, old: Kept[SlimNode] | None, new: Kept[SlimNode] | None) -> None:
        before, self._node = self._node, new.value if new is not None else None
        self.health.node_eligible = self._node is not None and self._node.eligible
        if before == self._node:
            return  # heartbeats
        where = Where(self._settings.node, self._node.zone if self._node is not None else "")
        if where != self._where:
            self._where = where
            self._dirty.update(key for services in self._services_of.values() for key in services)
        self._changed.set()

    def _touch(self, key: ServiceKey) -> None:
        self._dirty.add(key)
        now = self._clock.now()
        for backend in self._backends:
            self.health.queue(backend.family, now)
            self._metrics.queued.set(now.timestamp(), backend.family)
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. The informers are run by the caller; rules stay in the kernel."""
        pace = Pace(self._settings.min_sync_period)
        await self._informers.wait_synced()
        if self._recorder is not None:  # not before: a server that is not there yet would never hear of it
            self._recorder.normal(node_reference(self._settings.node), "Starting", "")
        reread = True
        try:
            while True:
                delay = pace.delay(self._clock.monotonic())
                if delay:
                    await self._clock.sleep(delay)
                    continue
                self._changed.clear()
                good = await self.sync(reread)
                reread = await self._idle(good)
        finally:
            await self._service_health.close()
            for backend in self._backends:
                if isinstance(backend, Closing):
                    await backend.close()

    async def _idle(self, good: bool) -> bool:
        """Waits for a change or the end of the sync period; whether the kernel's rules are to be read again."""
        try:
            async with self._clock.timeout(self._settings.sync_period):
                await self._changed.wait()
        except TimeoutError:
            return True
        return not good

    async def sync(self, reread: bool) -> bool:
        """One round over all families."""
        self._refresh()
        good = True
        for backend in self._backends:
            family = backend.family
            changes, services = self._changes[family], self._services_of[family]
            if await self._watched(backend, backend.sync(changes, services, self._options(family), reread=reread)):
                self._changes[family] = {}
                self._done(family)
            else:
                good = False  # its changes are kept, and told again with what comes
        for problem in await self._service_health.sync(self._all_health_ports()):
            self._tell(problem)
        if good:
            self._triggers.clear()
        return good

    async def _watched(self, backend: Backend, work: Awaitable[bool]) -> bool:
        """Its result; one that takes long is told, and how long it took."""
        started, slow = self._clock.monotonic(), f"Syncing {backend.family} rules"
        warning = self._clock.call_later(
            SLOW_SECONDS, lambda: _log.warning("%s has been taking more than %.0f s", slow, SLOW_SECONDS)
        )
        try:
            result = await work
        finally:
            warning.cancel()
        seconds = self._clock.monotonic() - started
        if seconds >= SLOW_SECONDS:
            services = len(self._services_of[backend.family])
            _log.warning("%s of %d services took %.1f s", slow, services, seconds)
        return result

    def _tell(self, problem: Problem) -> None:
        text = f"node {self._settings.node} {problem.text}"
        _log.error("%s", text)
        if self._recorder is not None:
            uid = f"{problem.namespace}/{problem.service}"
            about = core_v1.ObjectReference(kind="Service", namespace=problem.namespace, name=problem.service, uid=uid)
            self._recorder.warning(about, "FailedToStartServiceHealthcheck", text)

    def _refresh(self) -> None:
        """Ports of the services that changed."""
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            service, slices = self._services.get(key), self._slices.get(key, {}).values()
            for family, services in self._services_of.items():
                own = ports_of(service, slices, self._where, family) if service is not None else []
                self._change(family, key, services.get(key, []), own)
                if own:
                    services[key] = own
                else:
                    services.pop(key, None)
                ports = health_ports(own)
                if ports:
                    self._health_ports[family][key] = ports
                else:
                    self._health_ports[family].pop(key, None)

    def _change(self, family: str, key: ServiceKey, before: list[ServicePort], after: list[ServicePort]) -> None:
        """Kept until the backend has taken it; what changes back meanwhile is none."""
        pending = self._changes[family]
        earlier = pending.pop(key, None)
        first = earlier.before if earlier is not None else before
        if list(first) != after:
            pending[key] = Change(first, after)

    def _all_health_ports(self) -> HealthPorts:
        """A port answers for both families: for the one that has more here."""
        told = [item for of_family in self._health_ports.values() for own in of_family.values() for item in own.items()]
        return dict(sorted(told, key=lambda item: item[1][2]))

    def _done(self, family: str) -> None:
        now = self._clock.now()
        self.health.update(family, now)
        self._metrics.last.set(now.timestamp(), family)
        self._metrics.services_pending.set(0, family)
        self._metrics.endpoints_pending.set(0, family)
        for trigger in self._triggers:
            self._metrics.programming.observe((now - trigger).total_seconds(), family)

    def _options(self, family: str) -> Options:
        settings = self._settings
        cidr = settings.cluster_cidr(family) if settings.detect_local_mode == "ClusterCIDR" else ""
        if settings.detect_local_mode == "NodeCIDR" and self._node is not None:
            cidr = next((c for c in self._node.pod_cidrs if (":" in c) == (family == "IPv6")), "")
        localhost = family == "IPv4" and settings.node_ports_on_loopback
        addresses = self._node_port_addresses(family)
        return Options(
            cluster_cidr=cidr,
            masquerade_all=settings.masquerade_all,
            masquerade_bit=settings.masquerade_bit,
            node_port_addresses=None
            if addresses is None
            else tuple(a for a in addresses if localhost or not ipaddress.ip_address(a).is_loopback),
            pod_interface=settings.pod_interface,
            localhost_node_ports=localhost,
            node_ip=next(iter(self._internal_addresses(family)), ""),
            service_cidrs=self._cidrs(family),
            ipvs=settings.ipvs,
            userspace=settings.userspace,
        )

    def _cidrs(self, family: str) -> tuple[str, ...]:
        """Of all ServiceCIDRs."""
        cidrs = {cidr for own in self._service_cidrs.values() for cidr in own}
        return tuple(sorted(cidr for cidr in cidrs if (":" in cidr) == (family == "IPv6")))

    def _internal_addresses(self, family: str) -> list[str]:
        """Of the Node."""
        addresses = self._node.internal_ips if self._node is not None else ()
        return [address for address in addresses if (":" in address) == (family == "IPv6")]

    def _node_port_addresses(self, family: str) -> list[str] | None:
        """This node's addresses for node ports; None for all of them."""
        given = self._settings.node_port_addresses
        if not given:
            return None
        if given == ("primary",):
            return sorted(self._internal_addresses(family))
        networks: list[Any] = [ipaddress.ip_network(cidr) for cidr in given]
        if any(network.prefixlen == 0 and (network.version == 6) == (family == "IPv6") for network in networks):
            return None
        local = [a for a in self._local_addresses() if any(ipaddress.ip_address(a) in n for n in networks)]
        return sorted(address for address in local if (":" in address) == (family == "IPv6"))


def node_reference(name: str) -> core_v1.ObjectReference:
    """The node as events of the proxy name it: by name in place of the uid."""
    return core_v1.ObjectReference(kind="Node", name=name, uid=name)


def local_addresses() -> list[str]:
    """Addresses of this machine's interfaces, but for those of services. LinkError."""
    with links.pyroute2().IPRoute() as route:  # heavy, and only needed with --nodeport-addresses
        of_services = set(route.link_lookup(ifname=IPVS_DEVICE))
        return [each.get_attr("IFA_ADDRESS") for each in route.get_addr() if each["index"] not in of_services]
