"""What one kubelet is told, named as upstream's flags and KubeletConfiguration fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from pybernetes.api.types import core_v1 as core

from .runtime.images import CollectionPolicy

EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
}


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    """See upstream's documentation of the flag of the same name."""

    hostname_override: str
    node_ip: tuple[str, ...] = ("127.0.0.1",)
    node_labels: dict[str, str] = field(default_factory=dict)
    register_with_taints: tuple[core.Taint, ...] = ()
    register_node: bool = True
    root_dir: str = "/var/lib/kubelet"
    pod_logs_dir: str = "/var/log/pods"
    max_pods: int = 110
    port: int = 10250
    pod_cidr: str = ""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    pod_manifest_path: str = ""
    status_seconds: float = 10.0  # between two looks at what the node's status tells of
    file_check_seconds: float = 1.0  # upstream watches the directory; a look at its times costs next to nothing
    sync_seconds: float = 60.0
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    eviction_hard: dict[str, str] = field(default_factory=lambda: dict(EVICTION_HARD))
    image_gc: CollectionPolicy = field(default_factory=CollectionPolicy)
