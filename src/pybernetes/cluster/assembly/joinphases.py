"""The phases of `join` by kubeadm's names, in their order (upstream: cmd/kubeadm/app/cmd/phases/join).

What is there is looked at and kept: a second run goes on where the first was cut off. etcd's member comes before the control plane that asks it,
and all of that before the kubelet, whose first certificate this host's own API server then hands out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pybernetes.api.conditions import is_true
from pybernetes.api.durations import parse_duration
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.api.version import KUBERNETES
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import (
    certificates,
    clusterinfo,
    configuration,
    endpoints,
    kubeconfigfile,
    kubeconfigs,
    layout,
    phases,
    sealed,
    types,
    upgradeplan,
)
from pybernetes.deploy.configuration import KUBERNETES_DIR, Configuration
from pybernetes.deploy.daemons import balancer as nodebalancer
from pybernetes.deploy.daemons import controlplane, etcd, node
from pybernetes.deploy.daemons.model import Balancer, Host
from pybernetes.deploy.joinconfiguration import JoinConfiguration
from pybernetes.files import make_private_directory
from pybernetes.pki.files import write

from . import addons, discovery, etcdmember, facts, nodesteps
from .clusterconfig import Fetched, fetched
from .discovery import Discovered
from .work import CONTROL_PLANE_SECONDS, KUBELET_SECONDS, POLL_SECONDS, Work, answered

T = TypeVar("T")

UPLOAD = "run `pybernetes init phase upload-certs --upload-certs` on a control-plane host, and give the key that it prints with --certificate-key"
CONTROL_PLANE = (controlplane.API_SERVER, controlplane.CONTROLLER_MANAGER, controlplane.SCHEDULER)
ASK_SECONDS = 10.0  # for what one who joins asks at first: a cluster that is there answers at once


@dataclass
class Join(Work):
    """And what only `join` is told. `configuration` and `layout` are the cluster's once `learn` has been called."""

    join: JoinConfiguration = field(default_factory=JoinConfiguration)
    ignored_checks: Collection[str] = ()

    @property
    def control_plane(self) -> bool:
        """Whether this host becomes a control-plane host."""
        return self.join.control_plane is not None

    @cached_property
    def discovered(self) -> Discovered:
        """The cluster. Failure."""
        given = self.join.timeouts.discovery if self.join.timeouts is not None else self.join.discovery.timeout
        cluster_info = asyncio.run(
            discovery.discover(self.join.discovery, parse_duration(given) if given else discovery.SECONDS)
        )
        self.tell(f"[discovery] The cluster at {cluster_info.server} is the one that was meant")
        return cluster_info

    @cached_property
    def fetched(self) -> Fetched:
        """What it says of itself. Failure."""
        _ = self.discovered
        self.tell('[preflight] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...')
        return self.bootstrap(self._fetch)

    def bootstrap(self, work: Callable[[RESTClient], Awaitable[T]], seconds: float = ASK_SECONDS) -> T:
        """What the cluster answers to the token. Failure."""
        cluster_info = self.discovered
        config = Config(
            cluster_info.server, ca_data=cluster_info.authorities, token=self.join.discovery.tls_bootstrap_token
        )
        try:
            return asyncio.run(answered(config, work, seconds))
        except Failure as error:
            if isinstance(error.__cause__, StatusError) and error.__cause__.code == 401:
                text = f"the cluster does not let the token in: it has ended, or may not be used for authentication; {clusterinfo.ANOTHER_TOKEN}"
                raise Failure(text) from error
            raise

    def learn(self) -> None:
        """Goes by what the cluster says. Failure."""
        configuration = self.fetched
        self.configuration, self.layout = configuration.configuration, configuration.layout

    async def _fetch(self, client: RESTClient) -> Fetched:
        control = self.join.control_plane
        init = types.InitConfiguration(
            node_registration=self.join.node_registration,
            local_api_endpoint=control.local_api_endpoint if control is not None else types.APIEndpoint(),
        )
        return await fetched(client, init, self.host)


def preflight(work: Join) -> None:
    """The host, then the cluster, then what speaks against the two of them. Failure."""
    work.tell("[preflight] Running pre-flight checks")
    bare = Work(_no_cluster(work), layout.FOREIGN, work.host, work.runner, work.state, work.tell)
    nodesteps.judge(facts.collect(bare.cluster(), work.host, False), work.ignored_checks, work.tell)
    work.learn()
    _same_cluster(work)
    if work.control_plane and not work.configuration.cluster.control_plane_endpoint:
        raise Failure(
            "the cluster was made without --control-plane-endpoint, an address that would outlive a master: it takes no further one"
        )
    if work.control_plane:
        _may_stand_beside(work.configuration.cluster.kubernetes_version)
    seen = facts.collect(work.cluster(), work.host, work.control_plane)
    nodesteps.judge(seen, work.ignored_checks, work.tell)
    work.bootstrap(lambda client: _name_is_free(client, work))
    if work.control_plane and not _have_certificates(work):
        work.bootstrap(lambda client: _sealed(client, work))


def download_certs(work: Join) -> None:
    """What control-plane hosts share, with the certificate key. Failure, OSError."""
    if _have_certificates(work):
        work.tell("[download-certs] Using the certificates that are there")
        return
    work.tell(
        f'[download-certs] Downloading the certificates in Secret "{sealed.SECRET}" in the "kube-system" Namespace'
    )
    contents = work.bootstrap(lambda client: _sealed(client, work))
    folder = phases.folder(work.configuration)
    make_private_directory(folder, 0o755)
    # The authorities' certificates come last: without them the next run does not take the rest for whole.
    for file, content in sorted(contents.items(), key=lambda item: item[0].endswith(".crt")):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content, 0o644 if file.endswith(".crt") else 0o600)


def certs(work: Join) -> None:
    """This host's own certificates."""
    work.tell(f'[certs] Using certificateDir folder "{work.configuration.cluster.certificates_dir}"')
    for certificate in certificates.CERTIFICATES:
        phases.make_certificate(work.configuration, certificate, datetime.now(UTC), work.tell)
    phases.make_service_account_key(work.configuration, work.tell)


def kubeconfig(work: Join) -> None:
    """Of the administrator and the control plane."""
    work.tell(f'[kubeconfig] Using kubeconfig folder "{KUBERNETES_DIR}"')
    for name in ("admin", "controller-manager", "scheduler"):
        one = kubeconfigs.BY_NAME[name]
        phases.make_kubeconfig(work.configuration, one, Path(KUBERNETES_DIR), datetime.now(UTC), work.tell)


def etcd_join(work: Join) -> None:
    """This host's member: a learner first, a voter when it has caught up."""
    local = work.configuration.cluster.etcd.local
    if local is None:
        work.tell("[etcd] External etcd mode: Skipping the member on this host")
        return
    others, folder = _others(work), phases.folder(work.configuration)
    work.tell("[etcd] Announced new etcd member joining to the existing etcd cluster")
    members = etcdmember.joined(work.host, others, folder, Path(local.data_dir))
    daemon = etcd.etcd(work.cluster(others), work.host, members, etcd.EXISTING)
    work.run(daemon)
    work.tell("[etcd] Waiting for the new member to catch up, then it gets its vote")
    etcdmember.promoted(work.host, others, folder)
    work.well("etcd", daemon, CONTROL_PLANE_SECONDS)


def control_plane(work: Join) -> None:
    """The API server, the controller manager and the scheduler."""
    nodesteps.start_control_plane(work, CONTROL_PLANE, _others(work))
    work.well("control-plane", controlplane.api_server(work.cluster(), work.host), CONTROL_PLANE_SECONDS)


def balancer_on_node(work: Join) -> None:
    """Where each host has one for itself, before the kubelet that goes by it. It knows one API server, and the others when its watcher may ask."""
    chosen = _on_node(work)
    if chosen is None:
        return
    server = work.discovered.server.removeprefix("https://")
    work.tell(
        f"[balancer] Starting {chosen.kind} at {work.configuration.cluster.control_plane_endpoint}, before {server}"
    )
    daemon = nodebalancer.on_node(work.cluster(), chosen, [server])
    if daemon.name not in work.state.daemons:  # a second run: its watcher may have written others by now
        work.run(daemon)
    work.well("balancer", daemon, KUBELET_SECONDS)


def _on_node(work: Join) -> Balancer | None:
    chosen = work.cluster().balancer
    return chosen if chosen is not None and chosen.on_nodes else None


def kubelet_start(work: Join) -> None:
    """It asks for its certificate with the token, and makes its Node."""
    configuration, authorities = work.fetched, work.discovered.authorities
    path = Path(work.join.ca_cert_path)
    if not path.exists():
        make_private_directory(path.parent, 0o755)
        write(path, authorities, 0o644)
    bootstrap, mine = Path(node.BOOTSTRAP_KUBECONFIG), Path(node.KUBECONFIG)
    if not mine.exists():
        server = work.discovered.server
        if work.control_plane and not work.state.static_pods:
            server = endpoints.local(work.configuration)
        elif _on_node(work) is not None:
            server = endpoints.control_plane(work.configuration)
        name = work.configuration.cluster.cluster_name
        token = work.join.discovery.tls_bootstrap_token
        document = kubeconfigfile.with_token(server, authorities, name, "tls-bootstrap-token-user", token)
        write(bootstrap, kubeconfigfile.text(document).encode())
    nodesteps.start_kubelet(work, configuration.kubelet)
    work.tell("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap")
    work.well("kubelet-start", node.kubelet(work.cluster(), work.host), KUBELET_SECONDS)
    asyncio.run(_bootstrapped(mine))
    bootstrap.unlink(missing_ok=True)
    work.bootstrap(lambda client: nodesteps.registered(client, work.host.name), KUBELET_SECONDS)


def mark_control_plane(work: Join) -> None:
    """Labels and taints of this host's Node."""
    nodesteps.mark_control_plane(work)


def node_daemons(work: Join) -> None:
    """kube-proxy, flanneld, kube-network-policies and the images of add-ons, where these do not come in pods."""
    cluster = work.cluster()
    if work.fetched.proxy and not work.configuration.cluster.proxy.disabled:
        nodesteps.start_proxy(work, work.fetched.proxy)
    if cluster.network.backend:
        work.run(node.flannel(cluster, work.host))
    if cluster.network.policies:
        work.run(node.network_policies(cluster, work.host))
    for contents in addons.images(work.configuration, work.layout):
        addons.give_image(contents)


def balancer(work: Join) -> None:
    """Last of all: the others' balancers know this host by its label by now, so that no two hold the virtual address."""
    chosen = _on_node(work)
    if work.control_plane:
        nodesteps.start_balancer(work, work.masters())
    elif chosen is not None:
        work.run(nodebalancer.watcher(work.cluster(), chosen, work.host))


def wait_control_plane(work: Join) -> None:
    """Returns when all of it is well."""
    cluster = work.cluster()
    for make in (controlplane.api_server, controlplane.controller_manager, controlplane.scheduler):
        work.well("wait-control-plane", make(cluster, work.host), CONTROL_PLANE_SECONDS)


def _others(work: Join) -> Sequence[Host]:
    """The control-plane hosts beside this one."""
    path = Path(KUBERNETES_DIR) / "admin.conf"
    masters = asyncio.run(answered(_admin(path, work), _masters))
    return [host for host in masters if host.name != work.host.name]


async def _masters(client: RESTClient) -> Sequence[Host]:
    from .work import masters

    return await masters(client)


def _admin(path: Path, work: Join) -> Config:
    """At the cluster's endpoint: this host's own API server may not run yet."""
    from pybernetes.client.kubeconfig import load

    config = load(path)
    config.server = work.discovered.server
    return config


async def _name_is_free(client: RESTClient, work: Join) -> None:
    name = work.host.name
    if Path(node.KUBECONFIG).exists():
        return  # a join that was cut off: the node is this host's own
    try:
        present = await client.get(core_v1.Node, name)
    except StatusError as error:
        if error.code == 404:
            return
        raise
    ready = is_true(present.status.conditions, "Ready")
    if ready:
        text = "You must delete the existing Node (`kubectl delete node`) or change the name of this new joining Node (--node-name)"
        raise Failure(f'a Node with name "{name}" and status "Ready" already exists in the cluster. {text}')


async def _sealed(client: RESTClient, work: Join) -> dict[str, bytes]:
    """File -> content of the certificates that control-plane hosts share. Failure."""
    control = work.join.control_plane
    if control is None or not control.certificate_key:
        raise Failure(f"a control-plane host needs the certificates that all of them share: {UPLOAD}")
    try:
        key = sealed.key_of(control.certificate_key)
        secret = await client.get(core_v1.Secret, sealed.SECRET, sealed.NAMESPACE)
        return sealed.opened(secret.data, key, sealed.files(work.configuration))
    except sealed.SealError as error:
        raise Failure(str(error)) from error
    except StatusError as error:
        if error.code not in (403, 404):
            raise
        raise Failure(
            f"the cluster keeps no certificates for further masters (any more: after two hours they are gone): {UPLOAD}"
        ) from error


def _have_certificates(work: Join) -> bool:
    """Whether all that would be downloaded is there."""
    folder = phases.folder(work.configuration)
    return all((folder / file).exists() for file in sealed.files(work.configuration).values())


def _same_cluster(work: Join) -> None:
    """That what a first run has left is of this cluster. Failure."""
    path = Path(work.join.ca_cert_path)
    if path.exists() and path.read_bytes().strip() not in work.discovered.authorities:
        raise Failure(f"{path} is of another cluster: `pybernetes reset` cleans the host")


def _may_stand_beside(version: str) -> None:
    """That API servers of the cluster's version and ours may be mixed. Failure."""
    try:
        objection = upgradeplan.joining_objection(version, upgradeplan.parse(KUBERNETES))
    except upgradeplan.VersionError as error:
        raise Failure(f"the cluster's version: {error}") from error
    if objection:
        raise Failure(f"{objection}: workers may join it")


def _no_cluster(work: Join) -> Configuration:
    """What can be said of the host before the cluster is known."""
    control = work.join.control_plane
    endpoint = control.local_api_endpoint if control is not None else types.APIEndpoint()
    init = types.InitConfiguration(node_registration=work.join.node_registration, local_api_endpoint=endpoint)
    return configuration.defaulted(Configuration(init, types.ClusterConfiguration()), work.host.name, work.host.address)


async def _bootstrapped(path: Path) -> None:
    end = asyncio.get_running_loop().time() + KUBELET_SECONDS
    while not path.exists():
        if asyncio.get_running_loop().time() > end:
            raise Failure(
                f"the kubelet got no certificate in {KUBELET_SECONDS:.0f} s: see its log, and `kubectl get csr`"
            )
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Phase:
    """See that of init; `control_plane`: only there."""

    name: str
    summary: str
    run: Callable[[Join], None]
    control_plane: bool = False


PHASES: Sequence[Phase] = (
    Phase("preflight", "Run join pre-flight checks", preflight),
    Phase(
        "control-plane-prepare/download-certs",
        "Download certificates shared among control-plane nodes",
        download_certs,
        True,
    ),
    Phase("control-plane-prepare/certs", "Generate the certificates for the new control plane components", certs, True),
    Phase(
        "control-plane-prepare/kubeconfig",
        "Generate the kubeconfig for the new control plane components",
        kubeconfig,
        True,
    ),
    Phase("etcd-join", "Join etcd for control plane nodes", etcd_join, True),
    Phase("control-plane-prepare/control-plane", "Start the new control plane components", control_plane, True),
    Phase("balancer-on-node", "Start this host's own balancer, where hosts have one (ours)", balancer_on_node),
    Phase("kubelet-start", "Write kubelet settings, certificates and (re)start the kubelet", kubelet_start),
    Phase("control-plane-join/mark-control-plane", "Mark a node as a control-plane", mark_control_plane, True),
    Phase("node-daemons", "Start kube-proxy, flanneld and kube-network-policies on this host (ours)", node_daemons),
    Phase("balancer", "Start the balancer before the API servers, and who keeps its list (ours)", balancer),
    Phase("wait-control-plane", "Wait for the control plane to start", wait_control_plane, True),
)
KUBELET_PHASES = ("balancer-on-node", "kubelet-start")


def in_order(static_pods: bool) -> Sequence[Phase]:
    """All phases. Static pods want their kubelet first, which another host's API server then gives its certificate."""
    if not static_pods:
        return PHASES
    first = [phase for phase in PHASES if phase.name in KUBELET_PHASES]
    rest = [phase for phase in PHASES if phase.name not in KUBELET_PHASES]
    place = next(index for index, phase in enumerate(rest) if phase.name == "etcd-join")
    return (*rest[:place], *first, *rest[place:])
