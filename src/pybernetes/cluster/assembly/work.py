"""What the phases share: the cluster and this host as data, who runs its daemons, how the API is asked."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import endpoints, layout, objects
from pybernetes.deploy.configuration import KUBERNETES_DIR, Configuration
from pybernetes.deploy.daemons.model import BALANCER, ETCD, MASTER, WORKER, Check, Cluster, Daemon, Host
from pybernetes.deploy.layout import ClusterLayout

from ..apply import Manifest, apply
from . import hoststate, staticpods
from .hoststate import HostState
from .runner import LOGS, Runner

T = TypeVar("T")

ADMIN, SUPER_ADMIN = Path(f"{KUBERNETES_DIR}/admin.conf"), Path(f"{KUBERNETES_DIR}/super-admin.conf")
POLL_SECONDS = 0.1
API_SECONDS = 60.0  # kubeadm's kubernetesAPICall
CONTROL_PLANE_SECONDS = 240.0  # kubeadm's controlPlaneComponentHealthCheck
KUBELET_SECONDS = 240.0  # kubeadm's kubeletHealthCheck, and tlsBootstrap
GLANCE_SECONDS = 2.0  # for one look at a daemon's health
PASSING = (500, 503, 504, 429)  # codes of servers that are coming up


@dataclass
class Work:
    """One run of init or join. `documents`: the user's own KubeletConfiguration and KubeProxyConfiguration, by kind."""

    configuration: Configuration
    layout: ClusterLayout
    host: Host
    runner: Runner
    state: HostState
    tell: Callable[[str], None]
    documents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def cluster(self, masters: Sequence[Host] = ()) -> Cluster:
        """This host and the others that are known."""
        others = [host for host in masters if host.name != self.host.name]
        mine = (self.host,) if not masters or self.host.name not in [host.name for host in masters] else ()
        ordered = (
            (*others, *mine) if mine else tuple(self.host if host.name == self.host.name else host for host in masters)
        )
        balancer = layout.balancer_of(self.layout, self.configuration.cluster)
        return Cluster(self.configuration, ordered, balancer, layout.network_of(self.layout), self.layout.addons)

    def choose_runner(self) -> None:
        """Where the control plane is to be in static pods, `runner` is for the rest alone from now on."""
        if self.state.static_pods:
            self.runner = staticpods.StaticPods(
                self.runner, self.cluster, self.host, staticpods.give_image, staticpods.newest
            )

    def run(self, *daemons: Daemon) -> None:
        """Has them run, and remembers that for `reset`. Failure, OSError."""
        names = [daemon.name for daemon in daemons]
        self.state.daemons = list(dict.fromkeys([*self.state.daemons, *names]))
        hoststate.save(self.state)
        self.runner.put(daemons)

    def well(self, phase: str, daemon: Daemon, seconds: float) -> None:
        """Returns when a daemon is. Failure with where its log is."""
        if daemon.check is None:
            return
        started, end = time.monotonic(), time.monotonic() + seconds
        while problem := unwell(daemon.check):
            if time.monotonic() > end:
                raise Failure(
                    f"{daemon.name} is not healthy after {seconds:.0f} s: {problem}; see {self._log(daemon.name)}"
                )
            time.sleep(POLL_SECONDS)
        self.tell(f"[{phase}] {daemon.name} is healthy after {(time.monotonic() - started) * 1000:.6f}ms")

    def _log(self, name: str) -> str:
        """Where to look."""
        if self.state.static_pods and name in staticpods.IN_PODS:
            return staticpods.LOGS.format(name)
        return f"journalctl -u {name}" if self.state.run_with == "systemd" else f"{LOGS}/{name}.log"

    def asked(self, work: Callable[[RESTClient], Awaitable[T]]) -> T:
        """What this host's own API server answers the administrator. Failure."""
        path = SUPER_ADMIN if SUPER_ADMIN.exists() else ADMIN
        try:
            config = load(path)
        except ConfigError as error:
            raise Failure(f"{error}: run `pybernetes init phase kubeconfig all` first") from error
        config.server = endpoints.local(self.configuration)
        return asyncio.run(answered(config, work))

    def apply(self, manifests: Sequence[Manifest]) -> None:
        """Brings objects to what they should be. Failure."""
        self.asked(functools.partial(apply, manifests=manifests))

    def masters(self) -> Sequence[Host]:
        """The control-plane hosts by their Nodes. Failure."""
        return self.asked(masters)


async def masters(client: RESTClient) -> Sequence[Host]:
    """The control-plane hosts by their Nodes, those that there are longest first."""
    nodes = await client.list(core_v1.Node, label_selector=objects.LABEL_CONTROL_PLANE)
    return hosts_of(nodes.items)


def hosts_of(nodes: Sequence[core_v1.Node]) -> Sequence[Host]:
    """As hosts; what has no address cannot be reached and is none."""
    ordered = sorted(nodes, key=lambda node: (str(node.metadata.creation_timestamp), node.metadata.name))
    addresses = {node.metadata.name: internal_address(node) for node in ordered}
    return [Host(name, address, (ETCD, MASTER, BALANCER)) for name, address in addresses.items() if address]


def internal_address(node: core_v1.Node) -> str:
    """Its first InternalIP."""
    return next((one.address for one in node.status.addresses if one.type == "InternalIP"), "")


async def answered(config: Config, work: Callable[[RESTClient], Awaitable[T]], seconds: float = API_SECONDS) -> T:
    """What a cluster answers, while it is coming up in some later try. Failure in words."""
    try:
        client = RESTClient(config, "pybernetes", timeout=min(seconds, 30.0))
    except ConfigError as error:
        raise Failure(str(error)) from error
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        while True:
            try:
                return await work(client)
            except (StatusError, ConnectionError, TimeoutError, ConfigError) as error:
                refused = isinstance(error, StatusError) and error.code not in PASSING
                if refused or isinstance(error, ConfigError) or loop.time() > end:
                    raise Failure(f"{config.server}: {error or type(error).__name__}") from error
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await client.close()


def unwell(check: Check) -> str:
    """Why a daemon is not well, "" where it is."""
    import socket

    if check.address:
        host, _, port = check.address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), GLANCE_SECONDS):
                return ""
        except OSError as error:
            return f"{check.address}: {error.strerror or error}"
    context = ssl.create_default_context(cafile=check.authority or None)
    if not check.authority:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(check.url, timeout=GLANCE_SECONDS, context=context) as answer:
            return "" if answer.status == 200 else f"{check.url}: {answer.status}"
    except urllib.error.URLError as error:
        return f"{check.url}: {error.reason}"
    except OSError as error:
        return f"{check.url}: {error.strerror or error}"


def this_host(name: str, address: str, interface: str, control_plane: bool) -> Host:
    """Masters have all of it, workers run pods."""
    return Host(name, address, (ETCD, MASTER, BALANCER) if control_plane else (WORKER,), interface)
