"""The phases of `init` by kubeadm's names, in their order (upstream: cmd/kubeadm/app/cmd/phases/init).

What is there is looked at and kept, so each may be run again. Two are ours: `addon flannel` and `balancer`; kubeadm has the parts
that they start in pods, or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import (
    certificates,
    clusterinfo,
    componentconfigs,
    endpoints,
    kubeconfigs,
    objects,
    phases,
    pkifiles,
    sealed,
    tokens,
    types,
)
from pybernetes.deploy.configuration import KUBERNETES_DIR, token_defaults
from pybernetes.deploy.daemons import controlplane, etcd, node

from ..apply import apply
from ..image import ADD_ONS
from . import addons, facts, nodesteps
from .work import CONTROL_PLANE_SECONDS, Work

Run = Callable[["Init"], None]


@dataclass
class Init(Work):
    """And what only `init` is told."""

    upload_certs: bool = False
    certificate_key: str = ""
    ignored_checks: Collection[str] = ()

    @property
    def token(self) -> str:
        """The first of the tokens that are made."""
        return self.configuration.init.bootstrap_tokens[0].token


def preflight(work: Init) -> None:
    """Failure with all that is in the way."""
    work.tell("[preflight] Running pre-flight checks")
    nodesteps.judge(facts.collect(work.cluster(), work.host, True), work.ignored_checks, work.tell)


def certs(work: Init) -> None:
    """All certificates, and the key of service accounts' tokens."""
    work.tell(f'[certs] Using certificateDir folder "{work.configuration.cluster.certificates_dir}"')
    now = datetime.now(UTC)
    for certificate in certificates.CERTIFICATES:
        phases.make_certificate(work.configuration, certificate, now, work.tell)
    phases.make_service_account_key(work.configuration, work.tell)


def kubeconfig(work: Init) -> None:
    """All kubeconfigs."""
    work.tell(f'[kubeconfig] Using kubeconfig folder "{KUBERNETES_DIR}"')
    for one in kubeconfigs.KUBECONFIGS:
        phases.make_kubeconfig(work.configuration, one, Path(KUBERNETES_DIR), datetime.now(UTC), work.tell)


def etcd_local(work: Init) -> None:
    """The first member of a new cluster, which further ones join."""
    if work.configuration.cluster.etcd.external is not None:
        work.tell("[etcd] External etcd mode: Skipping the member on this host")
        return
    daemon = etcd.etcd(work.cluster(), work.host, (work.host,))
    work.tell("[etcd] Starting a local member of etcd")
    work.run(daemon)
    if not work.state.static_pods:  # the kubelet that starts those comes later
        work.well("etcd", daemon, CONTROL_PLANE_SECONDS)


def control_plane(*names: str) -> Run:
    """Those of the API server, the controller manager and the scheduler."""

    def run(work: Init) -> None:
        nodesteps.start_control_plane(work, names, ())

    return run


def kubelet_start(work: Init) -> None:
    """Its configuration and its start."""
    text = componentconfigs.kubelet(work.configuration, work.documents.get("KubeletConfiguration", {}))
    nodesteps.start_kubelet(work, text)


def wait_control_plane(work: Init) -> None:
    """Returns when all of it is well."""
    cluster = work.cluster()
    if work.state.static_pods and work.configuration.cluster.etcd.external is None:
        work.well("wait-control-plane", etcd.etcd(cluster, work.host, (work.host,)), CONTROL_PLANE_SECONDS)
    for make in (controlplane.api_server, controlplane.controller_manager, controlplane.scheduler):
        work.well("wait-control-plane", make(cluster, work.host), CONTROL_PLANE_SECONDS)
    work.apply(objects.cluster_admins())


def upload_config(*which: str) -> Run:
    """Of kubeadm and of the kubelets."""

    def run(work: Init) -> None:
        if "kubeadm" in which:
            work.tell(
                f'[upload-config] Storing the configuration used in ConfigMap "{objects.KUBEADM_CONFIG}" in the "kube-system" Namespace'
            )
            work.apply(objects.kubeadm_config(work.configuration.cluster, work.layout))
            if work.layout.network.policies:  # so that it runs on all hosts, whichever the configuration reaches first
                work.apply(objects.network_policies())
        if "kubelet" in which:
            work.tell(
                f'[kubelet] Creating a ConfigMap "{objects.KUBELET_CONFIG}" in namespace kube-system with the configuration for the kubelets'
            )
            text = componentconfigs.kubelet(work.configuration, work.documents.get("KubeletConfiguration", {}))
            work.apply(objects.kubelet_config(text, work.configuration.cluster, work.layout))

    return run


def upload_certs(work: Init) -> None:
    """Encrypted, for two hours; only where that was asked for."""
    if not work.upload_certs:
        work.tell("[upload-certs] Skipping phase. Please see --upload-certs")
        return
    work.certificate_key = work.certificate_key or secrets.token_hex(sealed.KEY_BYTES)
    work.tell(f'[upload-certs] Storing the certificates in Secret "{sealed.SECRET}" in the "kube-system" Namespace')
    folder = phases.folder(work.configuration)
    try:
        key = sealed.key_of(work.certificate_key)
        contents = {name: (folder / file).read_bytes() for name, file in sealed.files(work.configuration).items()}
    except (sealed.SealError, OSError) as error:
        raise Failure(f"error uploading certs: {error}") from error
    data = {
        name: sealed.seal(content, key, secrets.token_bytes(sealed.NONCE_BYTES)) for name, content in contents.items()
    }
    owner = sealed.owner(tokens.generate(secrets.choice), datetime.now(UTC))

    async def upload(client: RESTClient) -> None:
        await create_or_replace(client, sealed.secret(data, await client.create(owner)))
        await apply(client, objects.certificates_access())

    work.asked(upload)


def mark_control_plane(work: Init) -> None:
    """Labels and taints of this host's Node."""
    nodesteps.mark_control_plane(work)


def bootstrap_token(work: Init) -> None:
    """The tokens, who may do what with one, and what everybody may know of the cluster."""
    given = work.configuration.init.bootstrap_tokens
    work.tell("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles")
    try:
        secrets = [tokens.secret(token, datetime.now(UTC)) for token in given]
        authority = pkifiles.read_certificate(phases.folder(work.configuration), "ca")
    except (ValueError, pkifiles.FileError) as error:
        raise Failure(str(error)) from error
    info = clusterinfo.content(endpoints.control_plane(work.configuration), authority)

    async def put(client: RESTClient) -> None:
        for secret in secrets:
            await create_or_replace(client, secret)
        await apply(client, [*objects.bootstrap_rights(), *objects.cluster_info(info)])

    work.asked(put)


def kubelet_finalize(work: Init) -> None:
    """The kubelet goes over to a certificate that it renews by itself."""
    nodesteps.rotatable(work)


def addon_coredns(work: Init) -> None:
    """Cluster DNS, and its image for this host's Docker."""
    if work.configuration.cluster.dns.disabled:
        work.tell("[addons] Skipping addon: CoreDNS")
        return
    if addons.own_image(work.configuration.cluster.dns):
        addons.give_image()
    work.apply(addons.dns_manifests(work.configuration, ADD_ONS.full_name))
    work.tell("[addons] Applied essential addon: CoreDNS")


def addon_further(work: Init) -> None:
    """What the layout asks for: metrics-server, local-path-provisioner, service-load-balancer, nginx-ingress-controller."""
    for contents in addons.images(work.configuration, work.layout):
        addons.give_image(contents)
    addons.bring(work, "addons")


def addon_kube_proxy(work: Init) -> None:
    """Its configuration for all hosts; it runs beside pods on each, not in one."""
    if work.configuration.cluster.proxy.disabled:
        work.tell("[addons] Skipping addon: kube-proxy")
        return
    text = componentconfigs.proxy(work.configuration, work.documents.get("KubeProxyConfiguration", {}))
    server = endpoints.control_plane(work.configuration)
    work.apply([*objects.kube_proxy(text, server), *objects.host_daemons()])
    nodesteps.start_proxy(work, text)
    work.tell("[addons] Applied essential addon: kube-proxy")


def addon_flannel(work: Init) -> None:
    """The network between hosts' pods."""
    if not work.cluster().network.backend:
        work.tell("[addons] Skipping addon: flannel")
        return
    work.apply(objects.host_daemons())
    work.run(node.flannel(work.cluster(), work.host))
    work.tell("[addons] Applied essential addon: flannel")


def addon_network_policies(work: Init) -> None:
    """Who has NetworkPolicies hold."""
    if not work.cluster().network.policies:
        work.tell("[addons] Skipping addon: network-policies")
        return
    work.apply(objects.network_policies())
    work.run(node.network_policies(work.cluster(), work.host))
    work.tell("[addons] Applied essential addon: network-policies")


def balancer(work: Init) -> None:
    """What passes connections on to the API servers of all control-plane hosts."""
    if work.cluster().balancer is not None:
        work.apply(objects.host_daemons())  # by which the watcher of a host sees who the masters are
    nodesteps.start_balancer(work, ())


async def create_or_replace(client: RESTClient, secret: core_v1.Secret) -> None:
    """StatusError."""
    try:
        await client.create(secret)
    except StatusError as error:
        if error.reason != "AlreadyExists":
            raise
        present = await client.get(core_v1.Secret, secret.metadata.name, secret.metadata.namespace)
        secret.metadata.resource_version = present.metadata.resource_version
        await client.update(secret)


@dataclass(frozen=True, slots=True)
class Phase:
    """`name` has its group before it: `etcd/local`."""

    name: str
    summary: str
    run: Run


PHASES: Sequence[Phase] = (
    Phase("preflight", "Run pre-flight checks", preflight),
    Phase("certs", "Certificate generation", certs),
    Phase("kubeconfig", "Generate all kubeconfig files necessary to establish the control plane", kubeconfig),
    Phase("etcd/local", "Start a member of etcd on this host", etcd_local),
    Phase("control-plane/apiserver", "Start the kube-apiserver", control_plane(controlplane.API_SERVER)),
    Phase(
        "control-plane/controller-manager",
        "Start the kube-controller-manager",
        control_plane(controlplane.CONTROLLER_MANAGER),
    ),
    Phase("control-plane/scheduler", "Start the kube-scheduler", control_plane(controlplane.SCHEDULER)),
    Phase("kubelet-start", "Write kubelet settings and (re)start the kubelet", kubelet_start),
    Phase("wait-control-plane", "Wait for the control plane to start", wait_control_plane),
    Phase("upload-config/kubeadm", "Upload the kubeadm ClusterConfiguration to a ConfigMap", upload_config("kubeadm")),
    Phase("upload-config/kubelet", "Upload the kubelet configuration to a ConfigMap", upload_config("kubelet")),
    Phase("upload-certs", "Upload certificates to kubeadm-certs", upload_certs),
    Phase("mark-control-plane", "Mark a node as a control-plane", mark_control_plane),
    Phase("bootstrap-token", "Generates bootstrap tokens used to join a node to a cluster", bootstrap_token),
    Phase(
        "kubelet-finalize/enable-client-cert-rotation", "Enable kubelet client certificate rotation", kubelet_finalize
    ),
    Phase("addon/kube-proxy", "Configure kube-proxy of all hosts, and start it on this one", addon_kube_proxy),
    Phase("addon/flannel", "Start flanneld on this host (ours)", addon_flannel),
    Phase("addon/network-policies", "Start kube-network-policies on this host (ours)", addon_network_policies),
    Phase("balancer", "Start the balancer before the API servers (ours)", balancer),
    Phase("addon/coredns", "Install the CoreDNS addon to a Kubernetes cluster", addon_coredns),
    Phase(
        "addon/further",
        "Install metrics-server, local-path-provisioner, load balancer and ingress, where they are asked for (ours)",
        addon_further,
    ),
)


def with_token(configuration: types.InitConfiguration, token: str) -> types.InitConfiguration:
    """With a token where none was given."""
    given = configuration.bootstrap_tokens or [token_defaults(types.BootstrapToken())]
    filled = [one if one.token else msgspec.structs.replace(one, token=token) for one in given]
    return msgspec.structs.replace(configuration, bootstrap_tokens=filled)


def grouped() -> Mapping[str, Sequence[Phase]]:
    """The phases by what stands before the slash."""
    groups: dict[str, list[Phase]] = {}
    for phase in PHASES:
        groups.setdefault(phase.name.partition("/")[0], []).append(phase)
    return groups
