"""The running proxy: informers in, rules out (upstream: cmd/kube-proxy/app/server.go, pkg/proxy/iptables/proxier.go)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.times import parse_time
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.client.events import EventRecorder
from pybernetes.client.types import Informers

from . import conntrack
from .config import Settings
from .health import Problem, ProxyHealth, ServiceHealth
from .iptables import IPTablesError, State, Tables, has_own, outcome, parse, plan
from .metrics import Metrics
from .model import HEADLESS_LABEL, PROXY_NAME_LABEL, SERVICE_LABEL, ServicePort, Where, service_ports, sort_key
from .rules import Desired, Options, desired

_log = logging.getLogger(__name__)

BURST = 2  # upstream's BoundedFrequencyRunner: a service and its endpoints are both written at once
SELECTOR = f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}"
ZONE_LABEL = "topology.kubernetes.io/zone"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"

Key = tuple[str, str]  # namespace, name of a service


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


class Proxier:
    """Rules of one family in the kernel. What the kernel has is remembered, and read again when asked."""

    def __init__(self, family: str, tables: Tables, metrics: Metrics) -> None:
        self.family = family
        self._tables, self._metrics = tables, metrics
        self._current: State | None = None
        self._served: dict[Key, ServicePort] = {}
        self._used = family == "IPv4"  # a cluster without IPv6 services pays nothing for it

    async def sync(self, ports: list[ServicePort], options: Options, reread: bool) -> Desired | None:
        """What is in the kernel afterwards; None where iptables refused (all is read again at the next call)."""
        full = reread or self._current is None
        started = time.monotonic()
        wanted = desired(ports, options)
        try:
            if not self._used and not ports and self._current is not None:
                return wanted
            current = parse(await self._tables.save()) if full or self._current is None else self._current
            self._used = self._used or bool(ports) or has_own(current)
            if not self._used:
                self._current = current
                return wanted
            text = plan(current, wanted.tables)
            if text:
                _log.debug("%s: %d lines of changes", self.family, text.count("\n"))
                await self._tables.restore(text)
        except IPTablesError as error:
            self._current = None
            self._metrics.failures.inc(self.family)
            _log.error("Failed to sync %s rules: %s", self.family, error)
            return None
        self._current = outcome(current, wanted.tables) if text else current
        served = {sort_key(port): port for port in ports}
        await conntrack.forget(conntrack.stale_flows(self._served, served))
        self._served = served
        self._observe(ports, wanted, full, time.monotonic() - started)
        return wanted

    def _observe(self, ports: list[ServicePort], wanted: Desired, full: bool, seconds: float) -> None:
        metrics = self._metrics
        metrics.duration.observe(seconds, self.family)
        (metrics.full if full else metrics.partial).observe(seconds, self.family)
        for table, chains in wanted.tables.items():
            metrics.rules.set(sum(map(len, chains.values())), table, self.family)
        stranded = [p for p in ports if p.endpoints and not p.local_endpoints]
        metrics.no_local.set(sum(p.internal_local for p in stranded), "internal", self.family)
        metrics.no_local.set(sum(p.local_only for p in stranded), "external", self.family)


class ProxyServer:
    """Keeps the rules of all families as Services and EndpointSlices say."""

    def __init__(
        self,
        settings: Settings,
        informers: Informers,
        proxiers: list[Proxier],
        metrics: Metrics,
        health: ProxyHealth,
        now: Callable[[], datetime],
        local_addresses: Callable[[], Iterable[str]],
        random_fully: bool = True,
        recorder: EventRecorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._settings, self._proxiers, self._metrics, self.health = settings, proxiers, metrics, health
        self._now, self._local_addresses, self._random_fully = now, local_addresses, random_fully
        self._informers = informers
        self._services = informers.informer(core_v1.Service, label_selector=SELECTOR)
        self._slices = informers.informer(discovery_v1.EndpointSlice, label_selector=SELECTOR)
        self._nodes = informers.informer(core_v1.Node, field_selector=f"metadata.name={settings.node}")
        self._slices.add_index("service", _service_of)
        self._dirty: set[Key] = set()
        self._ports: dict[str, dict[Key, list[ServicePort]]] = {p.family: {} for p in proxiers}
        self._changed = asyncio.Event()
        self._triggers: list[datetime] = []
        self._started = now()
        self._where = Where(settings.node)
        self._services.add_handler(self._on_service)
        self._slices.add_handler(self._on_slice)
        self._nodes.add_handler(self._on_node)
        addresses = ["0.0.0.0"]
        if settings.node_port_addresses and settings.node_port_addresses != ("primary",):
            addresses = self._node_port_addresses("IPv4") or addresses
        self._service_health = ServiceHealth(addresses, lambda: health.healthy(now()))

    def _on_service(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]  # one of them is there
        self._touch((meta.namespace, meta.name))
        self._count(self._metrics.services_total.inc, self._metrics.services_pending.inc)

    def _on_slice(self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None) -> None:
        for each in (old, new):
            owner = each.metadata.labels.get(SERVICE_LABEL) if each is not None else None
            if each is not None and owner:
                self._touch((each.metadata.namespace, owner))
        trigger = new.metadata.annotations.get(TRIGGER_TIME) if new is not None else None
        if trigger:
            moment = parse_time(trigger)
            if moment >= self._started:  # what changed before the proxy ran says nothing about it
                self._triggers.append(moment)
        self._count(self._metrics.endpoints_total.inc, self._metrics.endpoints_pending.inc)

    def _count(self, *counters: Callable[[str], None]) -> None:
        for proxier in self._proxiers:
            for count in counters:
                count(proxier.family)

    def _on_node(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        self.health.sync_node(new)
        before = (old.metadata.labels.get(ZONE_LABEL), old.status.addresses, old.spec.pod_cidrs) if old else None
        after = (new.metadata.labels.get(ZONE_LABEL), new.status.addresses, new.spec.pod_cidrs) if new else None
        if before == after:
            return  # heartbeats
        where = Where(self._settings.node, (new.metadata.labels.get(ZONE_LABEL) or "") if new else "")
        if where != self._where:
            self._where = where
            for key in {key for ports in self._ports.values() for key in ports}:
                self._dirty.add(key)
        self._changed.set()

    def _touch(self, key: Key) -> None:
        self._dirty.add(key)
        now = self._now()
        for proxier in self._proxiers:
            self.health.queue(proxier.family, now)
            self._metrics.queued.set(now.timestamp(), proxier.family)
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
                delay = pace.delay(time.monotonic())
                if delay:
                    await asyncio.sleep(delay)
                    continue
                self._changed.clear()
                good = await self.sync(reread)
                reread = await self._idle(good)
        finally:
            await self._service_health.close()

    async def _idle(self, good: bool) -> bool:
        """Waits for a change or the end of the sync period; whether the kernel's rules are to be read again."""
        try:
            async with asyncio.timeout(self._settings.sync_period):
                await self._changed.wait()
        except TimeoutError:
            return True
        return not good

    async def sync(self, reread: bool) -> bool:
        """One round over all families."""
        self._refresh()
        good = True
        ports_of_health: dict[int, tuple[str, str, int]] = {}
        for proxier in self._proxiers:
            ports = sorted((p for own in self._ports[proxier.family].values() for p in own), key=sort_key)
            wanted = await proxier.sync(ports, self._options(proxier.family), reread)
            if wanted is None:
                good = False
                continue
            ports_of_health.update(wanted.health)
            self._done(proxier.family)
        for problem in await self._service_health.sync(ports_of_health):
            self._tell(problem)
        if good:
            self._triggers.clear()
        return good

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
            namespace, name = key
            service = self._services.get(name, namespace)
            slices = list(self._slices.by_index("service", f"{namespace}/{name}"))
            for family, ports in self._ports.items():
                own = service_ports([service], slices, self._where, family) if service is not None else []
                if own:
                    ports[key] = own
                else:
                    ports.pop(key, None)

    def _done(self, family: str) -> None:
        now = self._now()
        self.health.update(family, now)
        self._metrics.last.set(now.timestamp(), family)
        self._metrics.services_pending.set(0, family)
        self._metrics.endpoints_pending.set(0, family)
        for trigger in self._triggers:
            self._metrics.programming.observe((now - trigger).total_seconds(), family)

    def _options(self, family: str) -> Options:
        settings = self._settings
        cidr = settings.cluster_cidr(family) if settings.detect_local_mode == "ClusterCIDR" else ""
        node = self._nodes.get(settings.node)
        if settings.detect_local_mode == "NodeCIDR" and node is not None:
            cidr = next((c for c in node.spec.pod_cidrs if (":" in c) == (family == "IPv6")), "")
        return Options(
            cluster_cidr=cidr,
            masquerade_all=settings.masquerade_all,
            masquerade_bit=settings.masquerade_bit,
            node_port_addresses=tuple(self._node_port_addresses(family)),
            random_fully=self._random_fully,
            family=family,
            pod_interface=settings.pod_interface,
            localhost_node_ports=settings.localhost_node_ports and family == "IPv4",
        )

    def _node_port_addresses(self, family: str) -> list[str]:
        """This node's addresses for node ports; none: all of them."""
        wanted = self._settings.node_port_addresses
        if not wanted:
            return []
        if wanted == ("primary",):
            node = self._nodes.get(self._settings.node)
            found = [a.address for a in node.status.addresses if a.type == "InternalIP"] if node is not None else []
        else:
            networks: list[Any] = [ipaddress.ip_network(cidr) for cidr in wanted]
            if any(network.prefixlen == 0 and (network.version == 6) == (family == "IPv6") for network in networks):
                return []
            found = [a for a in self._local_addresses() if any(ipaddress.ip_address(a) in n for n in networks)]
        return sorted(address for address in found if (":" in address) == (family == "IPv6"))


def _service_of(endpoint_slice: discovery_v1.EndpointSlice) -> list[str]:
    owner = endpoint_slice.metadata.labels.get(SERVICE_LABEL)
    return [f"{endpoint_slice.metadata.namespace}/{owner}"] if owner else []


def node_reference(name: str) -> core_v1.ObjectReference:
    """The node as events of the proxy name it: by name in place of the uid."""
    return core_v1.ObjectReference(kind="Node", name=name, uid=name)


def local_addresses() -> list[str]:
    """Addresses of this machine's interfaces."""
    from pyroute2 import IPRoute  # heavy, and only needed with --nodeport-addresses

    with IPRoute() as route:
        return [message.get_attr("IFA_ADDRESS") for message in route.get_addr()]
