"""kubeadm.k8s.io/v1beta3, and what its objects are in today's form; pure (upstream: .../apis/kubeadm/v1beta3/{types,conversion}.go).

Arguments were a map, one time-out stood with the API server, and the fields that have come since are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from . import types
from .types import Fields


class ControlPlaneComponent(Fields):
    extra_args: dict[str, str] = msgspec.field(default_factory=dict)
    extra_volumes: list[types.HostPathMount] = msgspec.field(default_factory=list)


class APIServer(ControlPlaneComponent):
    cert_sans: list[str] = msgspec.field(default_factory=list, name="certSANs")
    timeout_for_control_plane: str = ""


class DNS(Fields):
    image_repository: str = ""
    image_tag: str = ""


class LocalEtcd(Fields):
    image_repository: str = ""
    image_tag: str = ""
    data_dir: str = ""
    extra_args: dict[str, str] = msgspec.field(default_factory=dict)
    server_cert_sans: list[str] = msgspec.field(default_factory=list, name="serverCertSANs")
    peer_cert_sans: list[str] = msgspec.field(default_factory=list, name="peerCertSANs")


class ExternalEtcd(Fields):
    endpoints: list[str] = msgspec.field(default_factory=list)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Etcd(Fields):
    local: LocalEtcd | None = None
    external: ExternalEtcd | None = None


class ClusterConfiguration(Fields):
    etcd: Etcd = msgspec.field(default_factory=Etcd)
    networking: types.Networking = msgspec.field(default_factory=types.Networking)
    kubernetes_version: str = ""
    control_plane_endpoint: str = ""
    api_server: APIServer = msgspec.field(default_factory=APIServer)
    controller_manager: ControlPlaneComponent = msgspec.field(default_factory=ControlPlaneComponent)
    scheduler: ControlPlaneComponent = msgspec.field(default_factory=ControlPlaneComponent)
    dns: DNS = msgspec.field(default_factory=DNS)
    certificates_dir: str = ""
    image_repository: str = ""
    feature_gates: dict[str, bool] = msgspec.field(default_factory=dict)
    cluster_name: str = ""


class NodeRegistration(Fields):
    name: str = ""
    cri_socket: str = ""
    taints: list[dict[str, Any]] | None = None
    kubelet_extra_args: dict[str, str] = msgspec.field(default_factory=dict)
    ignore_preflight_errors: list[str] = msgspec.field(default_factory=list)
    image_pull_policy: str = ""


class InitConfiguration(Fields):
    bootstrap_tokens: list[types.BootstrapToken] = msgspec.field(default_factory=list)
    node_registration: NodeRegistration = msgspec.field(default_factory=NodeRegistration)
    local_api_endpoint: types.APIEndpoint = msgspec.field(default_factory=types.APIEndpoint, name="localAPIEndpoint")
    certificate_key: str = ""
    skip_phases: list[str] = msgspec.field(default_factory=list)
    patches: types.Patches | None = None


def cluster(old: ClusterConfiguration) -> types.ClusterConfiguration:
    """The same in today's form; the API server's time-out belongs to `init` now."""
    local, external = old.etcd.local, old.etcd.external
    return types.ClusterConfiguration(
        etcd=types.Etcd(
            local=None if local is None else types.LocalEtcd(**_with_list(local)),
            external=None if external is None else types.ExternalEtcd(**msgspec.structs.asdict(external)),
        ),
        api_server=types.APIServer(
            extra_args=_arguments(old.api_server.extra_args),
            extra_volumes=old.api_server.extra_volumes,
            cert_sans=old.api_server.cert_sans,
        ),
        controller_manager=_component(old.controller_manager),
        scheduler=_component(old.scheduler),
        dns=types.DNS(**msgspec.structs.asdict(old.dns)),
        networking=old.networking,
        kubernetes_version=old.kubernetes_version,
        control_plane_endpoint=old.control_plane_endpoint,
        certificates_dir=old.certificates_dir,
        image_repository=old.image_repository,
        feature_gates=old.feature_gates,
        cluster_name=old.cluster_name,
    )


def init(old: InitConfiguration, control_plane_timeout: str = "") -> types.InitConfiguration:
    """The same in today's form, with the time-out of the ClusterConfiguration beside it."""
    timeouts = types.Timeouts(control_plane_component_health_check=control_plane_timeout)
    return types.InitConfiguration(
        bootstrap_tokens=old.bootstrap_tokens,
        node_registration=node_registration(old.node_registration),
        local_api_endpoint=old.local_api_endpoint,
        certificate_key=old.certificate_key,
        skip_phases=old.skip_phases,
        patches=old.patches,
        timeouts=timeouts if control_plane_timeout else None,
    )


def node_registration(old: NodeRegistration) -> types.NodeRegistration:
    """The same in today's form."""
    fields = msgspec.structs.asdict(old)
    fields["kubelet_extra_args"] = _arguments(old.kubelet_extra_args)
    return types.NodeRegistration(**fields)


def _component(old: ControlPlaneComponent) -> types.ControlPlaneComponent:
    return types.ControlPlaneComponent(extra_args=_arguments(old.extra_args), extra_volumes=old.extra_volumes)


def _with_list(local: LocalEtcd) -> dict[str, Any]:
    return {**msgspec.structs.asdict(local), "extra_args": _arguments(local.extra_args)}


def _arguments(given: Mapping[str, str]) -> list[types.Arg]:
    """Sorted by name, as upstream's conversion does."""
    return [types.Arg(name=name, value=value) for name, value in sorted(given.items())]
