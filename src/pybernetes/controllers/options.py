"""What the controllers are told at their start; names and defaults are those of kube-controller-manager's flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds; certificates and keys in PEM."""

    controllers: tuple[str, ...] = ("*",)
    cluster_name: str = "kubernetes"
    # node IPAM
    allocate_node_cidrs: bool = False
    cidr_allocator_type: str = "RangeAllocator"
    cluster_cidr: str = ""
    service_cluster_ip_range: str = ""
    node_cidr_mask_size: int = 0  # 0: those of the families
    node_cidr_mask_size_ipv4: int = 24
    node_cidr_mask_size_ipv6: int = 64
    # node lifecycle
    node_monitor_period: float = 5.0
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    large_cluster_size_threshold: int = 50
    unhealthy_zone_threshold: float = 0.55
    # pod garbage collector
    terminated_pod_gc_threshold: int = 12500
    # certificates
    root_ca: bytes = b""
    service_account_private_key: bytes = field(default=b"", repr=False)
    cluster_signing_cert: bytes = field(default=b"", repr=False)
    cluster_signing_key: bytes = field(default=b"", repr=False)
    cluster_signing_duration: float = 365 * 24 * 3600.0
    # by "kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown": certificate and key of that signer alone
    signers: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    legacy_service_account_token_clean_up_period: float = 365 * 24 * 3600.0
    # workers
    concurrent_deployment_syncs: int = 5
    concurrent_endpoint_syncs: int = 5
    concurrent_service_endpoint_syncs: int = 5
    concurrent_ephemeralvolume_syncs: int = 5
    concurrent_gc_syncs: int = 20
    concurrent_horizontal_pod_autoscaler_syncs: int = 5
    concurrent_namespace_syncs: int = 10
    concurrent_replicaset_syncs: int = 5
    concurrent_rc_syncs: int = 5
    concurrent_statefulset_syncs: int = 5
    concurrent_daemonset_syncs: int = 2
    concurrent_job_syncs: int = 5
    concurrent_cron_job_syncs: int = 5
    concurrent_resource_quota_syncs: int = 5
    concurrent_serviceaccount_token_syncs: int = 5
    concurrent_ttl_after_finished_syncs: int = 5
    mirroring_concurrent_service_endpoint_syncs: int = 5
    # endpoints
    max_endpoints_per_slice: int = 100
    mirroring_max_endpoints_per_subset: int = 1000
    endpoint_updates_batch_period: float = 0.0
    endpointslice_updates_batch_period: float = 0.0
    mirroring_endpointslice_updates_batch_period: float = 0.0
    # horizontal pod autoscaler
    horizontal_pod_autoscaler_sync_period: float = 15.0
    horizontal_pod_autoscaler_downscale_stabilization: float = 300.0
    horizontal_pod_autoscaler_tolerance: float = 0.1
    horizontal_pod_autoscaler_cpu_initialization_period: float = 300.0
    horizontal_pod_autoscaler_initial_readiness_delay: float = 30.0
    # others
    namespace_sync_period: float = 300.0
    resource_quota_sync_period: float = 300.0
    enable_garbage_collector: bool = True
    pvclaimbinder_sync_period: float = 15.0
    attach_detach_reconcile_sync_period: float = 60.0
    disable_attach_detach_reconcile_sync: bool = False
