"""What the controllers are told at their start, and kube-controller-manager's flags (upstream: cmd/kube-controller-manager/app/options).

A plain field of `Options` is a line of `TABLE`: the flag has its name, with dashes, and its default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pybernetes.component import command, flags, formerflags
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import UsageError, read_file
from pybernetes.component.flags import Flag, Values, boolean, duration, integer, number, string
from pybernetes.component.leaderflags import leader_flags
from pybernetes.component.servingflags import serving_flags

_log = logging.getLogger(__name__)

NAME = "kube-controller-manager"
SIGNERS = ("kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown")


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds; certificates and keys in PEM."""

    controllers: tuple[str, ...] = ("*",)
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
    root_ca_file: str = ""  # whose content that was: it is followed
    service_account_private_key: bytes = field(default=b"", repr=False)
    token_secrets: bool = False  # each account gets one, as until 1.24
    cluster_signing_cert: bytes = field(default=b"", repr=False)
    cluster_signing_key: bytes = field(default=b"", repr=False)
    cluster_signing_duration: float = 365 * 24 * 3600.0
    # by "kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown": certificate and key of that signer alone
    signers: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    # by the same names: the files that a signer's certificate and key are in, which it follows; they win over what is above
    signer_files: Mapping[str, tuple[Path, Path]] = field(default_factory=dict)
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
    resource_quota_sync_period: float = 300.0
    enable_garbage_collector: bool = True
    pvclaimbinder_sync_period: float = 15.0
    attach_detach_reconcile_sync_period: float = 60.0


_WORKERS = "How many are synced at a time."
TABLE: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("allocate_node_cidrs", boolean, "Give nodes ranges of --cluster-cidr for their pods."),
    ("cidr_allocator_type", string, "Only RangeAllocator."),
    ("cluster_cidr", string, "The pods' range; one of each family with a comma between."),
    ("service_cluster_ip_range", string, "The services' range, which nodes are given no part of."),
    ("node_cidr_mask_size", integer, "The prefix of a node's range; 0: that of its family."),
    ("node_cidr_mask_size_ipv4", integer, "The prefix of a node's IPv4 range."),
    ("node_cidr_mask_size_ipv6", integer, "The prefix of a node's IPv6 range."),
    ("node_monitor_period", duration, "How often nodes are looked at."),
    ("node_monitor_grace_period", duration, "How long a node may be silent before it is not ready."),
    ("node_startup_grace_period", duration, "How long a node may be silent that has just started."),
    ("node_eviction_rate", number, "Nodes a second whose pods are evicted in a healthy zone."),
    ("secondary_node_eviction_rate", number, "The same in an unhealthy zone that is large."),
    ("large_cluster_size_threshold", integer, "Of how many nodes on a zone is large."),
    ("unhealthy_zone_threshold", number, "Which part of a zone's nodes must be not ready for it to be unhealthy."),
    ("terminated_pod_gc_threshold", integer, "How many pods that have ended are kept; 0: all."),
    ("cluster_signing_duration", duration, "The longest life of a certificate that is signed."),
    ("concurrent_deployment_syncs", integer, _WORKERS),
    ("concurrent_endpoint_syncs", integer, _WORKERS),
    ("concurrent_service_endpoint_syncs", integer, _WORKERS),
    ("concurrent_ephemeralvolume_syncs", integer, _WORKERS),
    ("concurrent_gc_syncs", integer, _WORKERS),
    ("concurrent_horizontal_pod_autoscaler_syncs", integer, _WORKERS),
    ("concurrent_namespace_syncs", integer, _WORKERS),
    ("concurrent_replicaset_syncs", integer, _WORKERS),
    ("concurrent_rc_syncs", integer, _WORKERS),
    ("concurrent_statefulset_syncs", integer, _WORKERS),
    ("concurrent_daemonset_syncs", integer, _WORKERS),
    ("concurrent_job_syncs", integer, _WORKERS),
    ("concurrent_cron_job_syncs", integer, _WORKERS),
    ("concurrent_resource_quota_syncs", integer, _WORKERS),
    ("concurrent_serviceaccount_token_syncs", integer, _WORKERS),
    ("concurrent_ttl_after_finished_syncs", integer, _WORKERS),
    ("mirroring_concurrent_service_endpoint_syncs", integer, _WORKERS),
    ("max_endpoints_per_slice", integer, "How many endpoints an EndpointSlice holds."),
    ("mirroring_max_endpoints_per_subset", integer, "How many endpoints of a subset are mirrored."),
    ("endpoint_updates_batch_period", duration, "How long changes of pods are gathered for Endpoints."),
    ("endpointslice_updates_batch_period", duration, "How long changes of pods are gathered for EndpointSlices."),
    ("mirroring_endpointslice_updates_batch_period", duration, "How long changes of Endpoints are gathered."),
    ("horizontal_pod_autoscaler_sync_period", duration, "How often metrics are looked at."),
    ("horizontal_pod_autoscaler_downscale_stabilization", duration, "How long the highest count of before holds."),
    ("horizontal_pod_autoscaler_tolerance", number, "Up to which part a metric may be off without a change."),
    ("horizontal_pod_autoscaler_cpu_initialization_period", duration, "How long the CPU of a new pod says little."),
    ("horizontal_pod_autoscaler_initial_readiness_delay", duration, "How long a new pod is not yet unready."),
    ("resource_quota_sync_period", duration, "How often quotas are worked out anew."),
    ("enable_garbage_collector", boolean, "Delete what has lost its owners."),
    ("pvclaimbinder_sync_period", duration, "How often volumes and claims are looked at again."),
    ("attach_detach_reconcile_sync_period", duration, "How often attached volumes are compared with the nodes'."),
)
_CERTIFICATES = "Certificates"
GENERIC = (
    *client_flags(burst=30),
    Flag("controllers", flags.strings, ["*"], "'*' all that are on by default, 'foo' that one, '-foo' not that one."),
    Flag("use-service-account-credentials", boolean, False, "Each controller with its own service account."),
    command.VERBOSITY,
)
FILES = (
    Flag("root-ca-file", string, "", "The CA that pods get to know the API server by.", _CERTIFICATES),
    Flag("service-account-private-key-file", string, "", "Signs tokens of service accounts.", _CERTIFICATES),
    Flag("cluster-signing-cert-file", string, "", "The CA that signs certificate requests.", _CERTIFICATES),
    Flag("cluster-signing-key-file", string, "", "Its key.", _CERTIFICATES),
    *(
        Flag(f"cluster-signing-{signer}-{part}-file", string, "", f"For kubernetes.io/{signer} alone.", _CERTIFICATES)
        for signer in SIGNERS
        for part in ("cert", "key")
    ),
)
_DEFAULTS = {option.name: option.default for option in fields(Options)}
PLAIN = tuple(
    Flag(name.replace("_", "-"), parser, _DEFAULTS[name], help, "Controllers") for name, parser, help in TABLE
)
# Of upstream's command line, now or once: unit files that have them should start, and be told.
WITHOUT_EFFECT: dict[Callable[[str], Any], str] = {
    boolean: "alsologtostderr configure-cloud-routes contention-profiling disable-attach-detach-reconcile-sync "
    "enable-dynamic-provisioning enable-hostpath-provisioner enable-leader-migration external-cloud-volume-plugin "
    "horizontal-pod-autoscaler-use-rest-clients logtostderr permit-address-sharing permit-port-sharing profiling",
    string: "authorization-always-allow-paths cloud-config cloud-provider cluster-name emulated-version "
    "flex-volume-plugin-dir kube-api-content-type log-dir log-file logging-format requestheader-allowed-names "
    "requestheader-extra-headers-prefix requestheader-group-headers requestheader-uid-headers "
    "requestheader-username-headers show-hidden-metrics-for-version vmodule",
    duration: "authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl "
    "authorization-webhook-cache-unauthorized-ttl deployment-controller-sync-period "
    "legacy-service-account-token-clean-up-period log-flush-frequency "
    "min-resync-period namespace-sync-period node-sync-period pod-eviction-timeout route-reconciliation-period",
    integer: "concurrent-service-syncs concurrent-validating-admission-policy-status-syncs "
    "http2-max-streams-per-connection",
}
TOKEN_SECRETS = "LegacyServiceAccountTokenNoAutoGeneration"  # the gate of it, which is false where they are made
IGNORED = tuple(flags.ignored(name, kind) for kind, names in WITHOUT_EFFECT.items() for name in names.split())
GATES = Flag(
    "feature-gates",
    flags.switches,
    {},
    f"{TOKEN_SECRETS}=false makes a token secret for each service account; others have no effect here.",
)
OLD_DURATION = "experimental-cluster-signing-duration"  # until 1.25
OLD = Flag(
    OLD_DURATION, duration, _DEFAULTS["cluster_signing_duration"], "As --cluster-signing-duration.", _CERTIFICATES
)
OWN = (*GENERIC, GATES, OLD, *leader_flags(NAME), *serving_flags(10257), *FILES, *PLAIN, *IGNORED)
FLAGS = formerflags.beside(OWN, formerflags.CONTROLLER_MANAGER)


def options_from(values: Values) -> Options:
    """UsageError where a file cannot be read or a controller is not known."""
    from . import selected

    try:
        selected(values["controllers"])
    except ValueError as error:
        raise UsageError(f"--controllers: {error}") from error
    given = {flag.name.replace("-", "_"): values[flag.name] for flag in PLAIN}
    if OLD_DURATION in values.given and "cluster-signing-duration" not in values.given:
        given["cluster_signing_duration"] = values[OLD_DURATION]
    signers = {
        signer: (
            read_file(values, f"cluster-signing-{signer}-cert-file"),
            read_file(values, f"cluster-signing-{signer}-key-file"),
        )
        for signer in SIGNERS
    }
    gates = values["feature-gates"]
    if others := sorted(gates.keys() - {TOKEN_SECRETS}):
        _log.warning("--feature-gates: %s: no effect here", ", ".join(others))
    return Options(
        token_secrets=not gates.get(TOKEN_SECRETS, True),
        controllers=tuple(values["controllers"]),
        root_ca=read_file(values, "root-ca-file"),
        root_ca_file=values["root-ca-file"],
        service_account_private_key=read_file(values, "service-account-private-key-file"),
        cluster_signing_cert=read_file(values, "cluster-signing-cert-file"),
        cluster_signing_key=read_file(values, "cluster-signing-key-file"),
        signers={signer: pair for signer, pair in signers.items() if all(pair)},
        signer_files=_signer_files(values),
        **given,
    )


def _signer_files(values: Values) -> dict[str, tuple[Path, Path]]:
    """Each signer's own, or those of --cluster-signing-cert-file; none for a signer without."""
    files = {}
    for signer in SIGNERS:
        for prefix in (f"cluster-signing-{signer}", "cluster-signing"):
            certificate, key = values[f"{prefix}-cert-file"], values[f"{prefix}-key-file"]
            if certificate and key:
                files[signer] = Path(certificate), Path(key)
                break
    return files
