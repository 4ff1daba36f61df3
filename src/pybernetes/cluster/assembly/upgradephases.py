"""The phases of `upgrade apply` and `upgrade node` by kubeadm's names, in their order (upstream: cmd/kubeadm/app/cmd/phases/upgrade).

Each may be run again: a second `apply` of the same version writes what differs, and starts pybernetes' daemons anew. Nodes are not drained
here: pods run on while a kubelet starts anew, and where upstream's rule asks for it (another minor version) a master does, by `node drain`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from pybernetes.api.version import KUBERNETES
from pybernetes.client.kubeconfig import ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import (
    backup,
    componentconfigs,
    endpoints,
    objects,
    status,
    types,
    upgradeplan,
    versions,
)
from pybernetes.deploy.archive import ArchiveError
from pybernetes.deploy.configuration import BIND_PORT, KUBELET, KUBERNETES_DIR, PROXY, document
from pybernetes.deploy.daemons import balancer, controlplane, etcd, hosts, node
from pybernetes.deploy.daemons.model import Cluster, Daemon, File
from pybernetes.deploy.endpoints import split_host_port
from pybernetes.deploy.etcd.access import location
from pybernetes.deploy.etcd.snapshots import SnapshotError
from pybernetes.deploy.upgradeplan import Difference, Running, Version, VersionError
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.etcd.http2 import RPCError

from ..image import ADD_ONS
from . import addons, facts
from . import work as works
from .clusterconfig import Fetched, fetched, has_config_map
from .renewal import BACKUPS, renew
from .work import ADMIN, Work, answered

T = TypeVar("T")

ADDED_SINCE = (node.POLICIES,)  # 0.0.1 began without
CONTROL_PLANE = ("etcd", controlplane.API_SERVER, controlplane.CONTROLLER_MANAGER, controlplane.SCHEDULER)
ASK_SECONDS = 10.0  # for a cluster that runs: it answers at once
SETTLE_SECONDS, LOOK_SECONDS = 20.0, 1.0  # for a cluster that just comes to itself: longer than a lease of 15 s
THIS = upgradeplan.parse(KUBERNETES)


@dataclass
class Upgrade(Work):
    """`first`: `apply`, else `node`. `configuration` and `layout` are the cluster's once `learn` has been called; `backups` None: none is made."""

    first: bool = True
    force: bool = False
    target: Version = THIS
    backups: Path | None = BACKUPS
    seconds: float = works.CONTROL_PLANE_SECONDS
    confirm: Callable[[], None] = lambda: None
    documents: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def control_plane(self) -> bool:
        """Whether this host is a control-plane host."""
        return self.state.control_plane

    @cached_property
    def said(self) -> Fetched:
        """What the cluster says of itself. Failure."""
        registration = types.NodeRegistration(name=self.host.name, kubelet_extra_args=self.state.kubelet_extra_args)
        endpoint = types.APIEndpoint(advertise_address=self.host.address, bind_port=own_port() or BIND_PORT)
        init = types.InitConfiguration(node_registration=registration, local_api_endpoint=endpoint)
        return self.told(lambda client: fetched(client, init, self.host))

    def told(self, work: Callable[[RESTClient], Awaitable[T]], seconds: float = ASK_SECONDS) -> T:
        """What the cluster answers to this host: on masters to the administrator, elsewhere to the node. Failure."""
        path = ADMIN if self.control_plane else Path(node.KUBECONFIG)
        try:
            config = load(path)
        except ConfigError as error:
            raise Failure(str(error)) from error
        return asyncio.run(answered(config, work, seconds))

    def learn(self) -> None:
        """Goes by what the cluster says. Failure."""
        self.configuration, self.layout = self.said.configuration, self.said.layout
        for identity, text in ((KUBELET, self.said.kubelet), (PROXY, self.said.proxy)):
            self.documents[identity[1]] = (document(text, identity) if text else None) or {}
        self.choose_runner()

    @cached_property
    def etcd(self) -> Location | None:
        """How etcd is asked; None on hosts that cannot."""
        return location(self.configuration, {}) if self.control_plane else None

    @cached_property
    def running(self) -> Running:
        """Which versions there are. Failure."""
        return asyncio.run(_running(ADMIN, self.configuration.cluster.kubernetes_version, self.etcd))

    @cached_property
    def whole(self) -> Cluster:
        """The cluster with all its masters, where daemons of this host are told of these. Failure."""
        chosen = self.cluster().balancer
        concerned = self.control_plane or (chosen is not None and chosen.on_nodes)
        return self.cluster(self.told(works.masters) if concerned else ())

    def daemons(self) -> Sequence[Daemon]:
        """What this host runs, as this release describes it: what it runs already (parts that were left out at its beginning stay out), and
        what earlier releases did not know."""
        described = hosts.daemons(self.whole, self.host)
        added = () if self.said.foreign else ADDED_SINCE
        return [self._with_files(one) for one in described if one.name in (*self.state.daemons, *added)]

    def _with_files(self, daemon: Daemon) -> Daemon:
        if daemon.name == "etcd":
            return etcd.begun(daemon, self.runner.told("etcd"))
        if daemon.name in balancer.WATCHED and balancer.WATCHER in self.state.daemons:
            return replace(daemon, files=())  # the watcher's, which leaves out API servers that do not answer
        files: Sequence[File] = ()
        if daemon.name == node.KUBELET:
            files = [File(node.KUBELET_CONFIG, self.kubelet_config(), 0o600)]
        elif daemon.name == node.PROXY and self.said.proxy:
            text = componentconfigs.of_host_proxy(self.proxy_config(), node.KUBECONFIG)
            files = [File(node.PROXY_CONFIG, text, 0o600)]
        return replace(daemon, files=(*daemon.files, *files))

    def kubelet_config(self) -> str:
        """Of all kubelets: what the cluster says, and what this release has to add. Further hosts take it as it is."""
        if not self.first:
            return self.said.kubelet
        return componentconfigs.kubelet(self.configuration, self.documents[KUBELET[1]])

    def proxy_config(self) -> str:
        """Of all kube-proxies, alike."""
        if not self.first:
            return self.said.proxy
        return componentconfigs.proxy(self.configuration, self.documents[PROXY[1]])

    def differences(self) -> Sequence[Difference]:
        """What would be written on this host."""
        return self.runner.differences(self.daemons())


def own_port() -> int:
    """Of this host's API server, which the files of those beside it name; 0 where there is none."""
    try:
        server = load(Path(KUBERNETES_DIR) / "controller-manager.conf").server
        return urlsplit(server).port or 0
    except (ConfigError, ValueError):
        return 0


def preflight(work: Upgrade) -> None:
    """Versions and health. Failure with all that is in the way."""
    work.tell("[upgrade/preflight] Running pre-flight checks")
    errors, warnings = _against(work)
    errors = [*errors, *(need.text() for need in facts.missing(work.cluster(), work.control_plane))]
    for text in warnings:
        work.tell(f"\t[WARNING]: {text}")
    if errors:
        raise Failure("[preflight] Some fatal errors occurred:" + "".join(f"\n\t[ERROR]: {text}" for text in errors))
    work.confirm()


def _against(work: Upgrade) -> tuple[Sequence[str], Sequence[str]]:
    if not work.control_plane:
        server = load(Path(node.KUBECONFIG)).server
        running = Running(work.configuration.cluster.kubernetes_version, {server: work.told(versions.served)})
        old = upgradeplan.servers_apart(running, work.target)
        more = [f"kube-apiserver at {name} is {running.servers[name]}: a kubelet is never newer" for name in old]
        return [*upgradeplan.node_objections(running, work.target), *more], ()
    if work.said.foreign and work.first:
        text = "the cluster was made by kubeadm, whose `upgrade apply` knows its pods; `pybernetes upgrade node` then does this host"
        return [text], ()
    try:
        if work.first:
            versions_say = upgradeplan.objections(work.running, work.target, THIS).left(work.force)
        else:
            versions_say = upgradeplan.node_objections(work.running, work.target)
    except VersionError as error:
        raise Failure(f"the cluster's versions: {error}") from error
    unhealthy, warnings = _health(work)
    if work.force:
        unhealthy, warnings = [], [*unhealthy, *warnings]
    return [*versions_say, *unhealthy], warnings


def _health(work: Upgrade) -> tuple[Sequence[str], Sequence[str]]:
    """What is unwell, in the way and not. Looked at again for a while: after an API server was away, controllers lead again when a lease ends."""
    endpoint = work.configuration.cluster.control_plane_endpoint
    virtual = split_host_port(endpoint)[0] if endpoint and not endpoints.is_loopback(endpoint) else ""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        lines = asyncio.run(
            status.of_hosts(ADMIN, work.configuration, Path(KUBERNETES_DIR), work.etcd, virtual, datetime.now(UTC))
        )
        unhealthy, warnings = upgradeplan.health(lines, list(work.running.servers))
        if not unhealthy or work.force or time.monotonic() >= end:
            return unhealthy, warnings
        time.sleep(LOOK_SECONDS)


def make_backup(work: Upgrade) -> None:
    """This host's keys and configuration, by the first host with all objects. Failure."""
    if not work.control_plane:
        work.tell("[upgrade/backup] Skipping phase: a worker has nothing that is not made anew")
        return
    if work.backups is None:
        work.tell("[upgrade/backup] Skipping phase (--backup-dir)")
        return
    now = datetime.now(UTC)
    work.backups.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = work.backups / f"before-{work.target}-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    own = work.configuration.cluster.etcd.external is None
    try:
        asyncio.run(backup.make(path, backup.roots(), work.etcd if work.first and own else None, work.host.name, now))
    except (ArchiveError, SnapshotError, LocationError, RPCError) as error:
        raise Failure(f"no backup, so nothing is changed: {error}") from error
    work.tell(f"[upgrade/backup] Wrote {path}; to go back to it: `pybernetes restore`")


def control_plane(work: Upgrade) -> None:
    """etcd, API server, controller manager and scheduler of this host."""
    if not work.control_plane:
        work.tell("[upgrade/control-plane] Skipping phase: not a control-plane host")
        return
    mine = [daemon for daemon in work.daemons() if daemon.name in CONTROL_PLANE]

    def judge(daemon: Daemon) -> None:
        if daemon.name == controlplane.API_SERVER:
            served = upgradeplan.parse(work.asked(versions.served))
            if served != work.target:
                raise Failure(f"{daemon.name} serves {served}, not {work.target}: who else started it?")

    renew(work, "control-plane", mine, work.seconds, judge)


def upload_config(work: Upgrade) -> None:
    """The cluster's memory of how it is made: of its new version, for hosts that are upgraded or join."""
    if not work.first:
        return
    work.configuration = replace(
        work.configuration,
        cluster=msgspec.structs.replace(work.configuration.cluster, kubernetes_version=str(work.target)),
    )
    work.apply(objects.kubeadm_config(work.configuration.cluster, work.layout))
    work.apply(objects.kubelet_config(work.kubelet_config(), work.configuration.cluster, work.layout))
    work.tell(
        f'[upgrade/upload-config] Stored the configuration in ConfigMaps "{objects.KUBEADM_CONFIG}" and "{objects.KUBELET_CONFIG}" '
        "in the kube-system Namespace"
    )


def bootstrap_token(work: Upgrade) -> None:
    """Who joins, and nodes, may do what this release says."""
    if not work.first:
        return
    work.apply(
        [
            *objects.cluster_admins(),
            *objects.bootstrap_rights(),
            *objects.certificates_access(),
            *objects.host_daemons(),
            *(objects.network_policies() if work.layout.network.policies else ()),
        ]
    )
    work.tell("[upgrade/bootstrap-token] Configured RBAC Roles of nodes, and of those who join")


def node_daemons(work: Upgrade) -> None:
    """The kubelet with its configuration, and what else this host runs. Pods run on: a kubelet takes over those that it finds."""
    others = [daemon for daemon in work.daemons() if daemon.name not in CONTROL_PLANE]
    renew(work, "kubelet-config", others, work.seconds)


def addon(work: Upgrade) -> None:
    """Cluster DNS, kube-proxy's configuration and further add-ons, by whoever is the last of the masters, where they were deployed; the
    images for this host's Docker."""
    if work.said.foreign:
        work.tell("[upgrade/addon] Skipping phase: add-ons are those of kubeadm, which made the cluster")
        return
    dns, proxy = work.configuration.cluster.dns, work.configuration.cluster.proxy
    for contents in addons.images(work.configuration, work.layout):
        addons.give_image(contents)
    if not work.control_plane:
        return
    running = asyncio.run(_running(ADMIN, work.configuration.cluster.kubernetes_version, None))
    if apart := upgradeplan.servers_apart(running, work.target):
        work.tell(f"[upgrade/addon] Skipping phase: the API servers of {', '.join(apart)} are not upgraded yet")
        return
    if not dns.disabled and work.told(lambda client: has_config_map(client, "coredns")):
        work.apply(addons.dns_manifests(work.configuration, ADD_ONS.full_name))
        work.tell("[upgrade/addon] Applied essential addon: CoreDNS")
    if not proxy.disabled and work.said.proxy:
        server = endpoints.control_plane(work.configuration)
        work.apply(objects.kube_proxy(work.proxy_config(), server))
        work.tell("[upgrade/addon] Applied essential addon: kube-proxy")
    addons.bring(work, "upgrade/addon")


async def _running(kubeconfig: Path, configured: str, where: Location | None) -> Running:
    try:
        return await versions.running(kubeconfig, configured, where)
    except versions.LookError as error:
        raise Failure(str(error)) from error


@dataclass(frozen=True, slots=True)
class Phase:
    """See that of init."""

    name: str
    summary: str
    run: Callable[[Upgrade], None]


PHASES: Sequence[Phase] = (
    Phase("preflight", "Run upgrade pre-flight checks", preflight),
    Phase("backup", "Write a backup of this host and, on the first, of all objects (ours)", make_backup),
    Phase("control-plane", "Upgrade the control plane of this host", control_plane),
    Phase("upload-config", "Upload the kubeadm and kubelet configurations to ConfigMaps", upload_config),
    Phase("bootstrap-token", "Configure RBAC Roles of nodes and of those who join", bootstrap_token),
    Phase("kubelet-config", "Upgrade the kubelet and the other daemons of this host", node_daemons),
    Phase("addon", "Upgrade the default addons", addon),
)
