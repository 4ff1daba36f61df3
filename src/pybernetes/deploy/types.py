"""kubeadm's configuration objects, in the newest form: kubeadm.k8s.io/v1beta4 (upstream: cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go).

Fields that a file leaves out have Go's zero values; `configuration.py` fills in the defaults. Durations are Go's text, times RFC 3339.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Fields(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """What all of them are made of."""


class Arg(Fields):
    """A flag without its dashes; the same may come several times."""

    name: str = ""
    value: str = ""


class HostPathMount(Fields):
    """A directory of the host in a component's pod."""

    name: str = ""
    host_path: str = ""
    mount_path: str = ""
    read_only: bool = False
    path_type: str = ""


class ControlPlaneComponent(Fields):
    """What is added to a component's command line; `extra_envs` are core/v1 EnvVars."""

    extra_args: list[Arg] = []
    extra_volumes: list[HostPathMount] = []
    extra_envs: list[dict[str, Any]] = []


class APIServer(ControlPlaneComponent):
    """`cert_sans`: further names of the serving certificate."""

    cert_sans: list[str] = msgspec.field(default_factory=list, name="certSANs")


class DNS(Fields):
    """The DNS add-on."""

    image_repository: str = ""
    image_tag: str = ""
    disabled: bool = False


class Proxy(Fields):
    """The kube-proxy add-on."""

    disabled: bool = False


class LocalEtcd(Fields):
    """A member on each control-plane host."""

    image_repository: str = ""
    image_tag: str = ""
    data_dir: str = ""
    extra_args: list[Arg] = []
    extra_envs: list[dict[str, Any]] = []
    server_cert_sans: list[str] = msgspec.field(default_factory=list, name="serverCertSANs")
    peer_cert_sans: list[str] = msgspec.field(default_factory=list, name="peerCertSANs")


class ExternalEtcd(Fields):
    """etcd that somebody else runs."""

    endpoints: list[str] = []
    http_endpoints: list[str] = []
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Etcd(Fields):
    """One of the two."""

    local: LocalEtcd | None = None
    external: ExternalEtcd | None = None


class Networking(Fields):
    """Ranges are CIDRs, two with a comma between for dual-stack."""

    service_subnet: str = ""
    pod_subnet: str = ""
    dns_domain: str = ""


class ClusterConfiguration(Fields):
    """What holds for the whole cluster; it is kept in kube-system/kubeadm-config."""

    etcd: Etcd = msgspec.field(default_factory=Etcd)
    networking: Networking = msgspec.field(default_factory=Networking)
    kubernetes_version: str = ""
    control_plane_endpoint: str = ""
    api_server: APIServer = msgspec.field(default_factory=APIServer)
    controller_manager: ControlPlaneComponent = msgspec.field(default_factory=ControlPlaneComponent)
    scheduler: ControlPlaneComponent = msgspec.field(default_factory=ControlPlaneComponent)
    dns: DNS = msgspec.field(default_factory=DNS)
    proxy: Proxy = msgspec.field(default_factory=Proxy)
    certificates_dir: str = ""
    image_repository: str = ""
    feature_gates: dict[str, bool] = {}
    cluster_name: str = ""
    encryption_algorithm: str = ""
    certificate_validity_period: str = ""
    ca_certificate_validity_period: str = ""


class BootstrapToken(Fields):
    """Without `usages` and `groups` those of kubeadm; `ttl` and `expires` exclude each other."""

    token: str = ""
    description: str = ""
    ttl: str = ""
    expires: str = ""
    usages: list[str] | None = None
    groups: list[str] | None = None


class APIEndpoint(Fields):
    """Where this host's API server is reached."""

    advertise_address: str = ""
    bind_port: int = 0


class NodeRegistration(Fields):
    """This host as a node; `taints` are core/v1 Taints, None for the usual one of control-plane hosts."""

    name: str = ""
    cri_socket: str = ""
    taints: list[dict[str, Any]] | None = None
    kubelet_extra_args: list[Arg] = []
    ignore_preflight_errors: list[str] = []
    image_pull_policy: str = ""
    image_pull_serial: bool | None = None


class Patches(Fields):
    """A folder of patches for what is deployed."""

    directory: str = ""


class Timeouts(Fields):
    """How long kubeadm's commands wait."""

    control_plane_component_health_check: str = ""
    kubelet_health_check: str = ""
    kubernetes_api_call: str = msgspec.field(default="", name="kubernetesAPICall")
    etcd_api_call: str = msgspec.field(default="", name="etcdAPICall")
    tls_bootstrap: str = ""
    discovery: str = ""
    upgrade_manifests: str = ""


class InitConfiguration(Fields):
    """What concerns the first host only, and is kept nowhere."""

    bootstrap_tokens: list[BootstrapToken] = []
    dry_run: bool = False
    node_registration: NodeRegistration = msgspec.field(default_factory=NodeRegistration)
    local_api_endpoint: APIEndpoint = msgspec.field(default_factory=APIEndpoint, name="localAPIEndpoint")
    certificate_key: str = ""
    skip_phases: list[str] = []
    patches: Patches | None = None
    timeouts: Timeouts | None = None
