"""What one kubelet is told: the node's options, the flags, and their fields in KubeletConfiguration.

Upstream: cmd/kubelet/app/options, kubelet.config.k8s.io/v1beta1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pybernetes.api.durations import format_duration
from pybernetes.api.quantity import Quantity, QuantityError
from pybernetes.api.types import core_v1 as core
from pybernetes.component import flags, formerflags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.tlsflags import tls_flags

from .machine import reservation
from .machine.defaults import CRASH_MAXIMUM, USUAL, Defaults
from .machine.node import EVICTION_HARD, LEASE_SECONDS, MAX_IMAGES
from .machine.thresholds import CONDITIONS, TRANSITION_SECONDS, Threshold, thresholds
from .runtime.dockerapi import DEFAULT_ENDPOINT
from .runtime.images import CollectionPolicy


@dataclass(frozen=True, slots=True)
class Evictions:
    """When pods go for the node's sake. `most_grace`: seconds that soft thresholds leave a pod at most."""

    thresholds: tuple[Threshold, ...] = field(default_factory=lambda: thresholds(EVICTION_HARD, {}, {}, {}))
    transition: float = TRANSITION_SECONDS
    most_grace: int = 0

    @property
    def hard(self) -> dict[str, str]:
        """By signal."""
        return {threshold.signal: threshold.value for threshold in self.thresholds if not threshold.grace}


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
    pod_max_pids: int = -1  # processes of one pod; 0 or less: any number
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
    evictions: Evictions = field(default_factory=Evictions)
    image_gc: CollectionPolicy = field(default_factory=CollectionPolicy)
    reserved: Mapping[str, Quantity] = field(default_factory=dict)  # kept back for system and kubelet
    pods_per_core: int = 0  # 0: max_pods alone counts
    provider_id: str = ""
    max_images: int = MAX_IMAGES  # that the node's status names; -1: all
    lease_seconds: int = LEASE_SECONDS
    defaults: Defaults = USUAL
    parallel_pulls: int = 0  # 0: any number
    log_options: Mapping[str, str] = field(default_factory=dict)  # of Docker's json-file; {} leaves the daemon's


TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def signals(text: str) -> dict[str, str]:
    """memory.available<100Mi,nodefs.available<10%"""
    result = {}
    for part in flags.strings(text):
        name, less, value = part.partition("<")
        if not less or not value or name not in CONDITIONS:
            raise ValueError(f"invalid eviction threshold {part!r}: it looks like memory.available<100Mi")
        result[name] = value
    return result


def taints(text: str) -> list[core.Taint]:
    """key=value:Effect,key:Effect"""
    result = []
    for part in flags.strings(text):
        pair, _, effect = part.rpartition(":")
        key, _, value = pair.partition("=")
        if not key or effect not in TAINT_EFFECTS:
            raise ValueError(f"invalid taint spec: {part}")
        result.append(core.Taint(key=key, value=value, effect=effect))
    return result


NODE, NET, PORT, POD, RUN = "Node", "Network", "Serving", "Pods", "Runtime"
OWN: tuple[Flag, ...] = (
    VERBOSITY,
    Flag("config", flags.string, "", "A KubeletConfiguration file; flags given as well win."),
    Flag("kubeconfig", flags.string, "", "How the API server is reached."),
    Flag("bootstrap-kubeconfig", flags.string, "", "Gets a client certificate where --kubeconfig has no good one."),
    Flag("rotate-certificates", flags.boolean, True, "Renew the client certificate before it ends."),
    Flag("hostname-override", flags.string, "", "The node's name instead of the host's.", NODE),
    Flag("node-ip", flags.strings, [], "The node's addresses; default: that of the default route.", NODE),
    Flag("node-labels", flags.mapping, {}, "Labels to register the node with.", NODE),
    Flag("register-node", flags.boolean, True, "Make the Node object.", NODE),
    Flag("register-with-taints", taints, [], "Taints to register the node with.", NODE),
    Flag("max-pods", flags.integer, 110, "How many pods the node takes.", NODE),
    Flag("pod-max-pids", flags.integer, -1, "How many processes a pod may have (podPidsLimit); -1: any number.", NODE),
    Flag("root-dir", flags.string, "/var/lib/kubelet", "Where volumes and state lie.", NODE),
    Flag("cert-dir", flags.string, "", "Where certificates lie; default: ROOT-DIR/pki.", NODE),
    Flag("pod-logs-dir", flags.string, "/var/log/pods", "Where links to containers' logs are made (podLogsDir).", NODE),
    Flag("node-status-update-frequency", flags.duration, 10.0, "How often the node's status is worked out.", NODE),
    Flag("eviction-hard", signals, dict(EVICTION_HARD), "Under which amounts the node is under pressure.", NODE),
    Flag("merge-default-eviction-settings", flags.boolean, False, "Keep the defaults of signals that --eviction-hard does not name.", NODE),
    Flag("eviction-soft", signals, {}, "Under which amounts pods go that had --eviction-soft-grace-period to help.", NODE),
    Flag("eviction-soft-grace-period", flags.mapping, {}, "How long each must be under it: memory.available=1m30s.", NODE),
    Flag("eviction-max-pod-grace-period", flags.integer, 0, "Seconds that soft evictions leave a pod at most.", NODE),
    Flag("eviction-minimum-reclaim", flags.mapping, {}, "How much more than the threshold is to be got back.", NODE),
    Flag("eviction-pressure-transition-period", flags.duration, TRANSITION_SECONDS, "How long pressure is told after it.", NODE),
    Flag("kube-reserved", flags.mapping, {}, "Kept back for the kubelet: cpu=200m,memory=500Mi,ephemeral-storage=1Gi.", NODE),
    Flag("system-reserved", flags.mapping, {}, "Kept back for all else on the machine, likewise.", NODE),
    Flag("reserved-cpus", flags.string, "", "The processors kept back (0-1), instead of both flags' cpu.", NODE),
    Flag("pods-per-core", flags.integer, 0, "How many pods the node takes for each processor; 0: --max-pods counts.", NODE),
    Flag("provider-id", flags.string, "", "The machine's name in its cloud, for the Node's spec.providerID.", NODE),
    Flag("node-status-max-images", flags.integer, MAX_IMAGES, "How many images the Node's status names; -1: all.", NODE),
    Flag("node-lease-duration-seconds", flags.integer, LEASE_SECONDS, "How long the node's lease lasts (ours as a flag).", NODE),
    Flag("image-gc-high-threshold", flags.integer, 85, "Percent of disk use at which unused images go.", NODE),
    Flag("image-gc-low-threshold", flags.integer, 80, "Percent of disk use to which images are freed.", NODE),
    Flag("minimum-image-ttl-duration", flags.duration, 120.0, "How old an unused image must be to go.", NODE),
    Flag("image-maximum-gc-age", flags.duration, 0.0, "For how long an image may be unused; 0: as long as there is room (ours as a flag).", NODE),
    Flag("serialize-image-pulls", flags.boolean, False, "One image is pulled at a time.", NODE),
    Flag("max-parallel-image-pulls", flags.integer, 0, "How many images are pulled at a time; 0: any number (ours as a flag).", NODE),
    Flag("container-log-max-size", flags.string, "", "At which size a container's log is rotated (10Mi); default: dockerd's log-opts.", NODE),
    Flag("container-log-max-files", flags.integer, 5, "How many files of a container's log are kept.", NODE),
    Flag("seccomp-default", flags.boolean, False, "The runtime's seccomp profile for containers that name none.", NODE),
    Flag("cpu-cfs-quota", flags.boolean, True, "Enforce limits of processors.", NODE),
    Flag("cpu-cfs-quota-period", flags.duration, 0.1, "In periods of this length, 1ms to 1s.", NODE),
    Flag("max-container-restart-period", flags.duration, CRASH_MAXIMUM, "The longest wait of containers that crash (ours as a flag).", NODE),
    Flag("pod-cidr", flags.string, "", "The pods' addresses where no controller gives the node a range.", NET),
    Flag("non-masquerade-cidr", flags.string, "", "Where pods go with their own addresses; default: the node's pods.", NET),
    Flag("network-plugin", flags.string, "kubenet", "kubenet: a bridge of ours; cni; noop, or nothing: Docker's.", NET),
    Flag("cni-conf-dir", flags.string, "/etc/cni/net.d", "Where networks of --network-plugin=cni are described.", NET),
    Flag("cni-bin-dir", flags.strings, ["/opt/cni/bin"], "Where CNI's plugins are.", NET),
    Flag("cni-cache-dir", flags.string, "/var/lib/cni/cache", "Where is remembered what they did.", NET),
    Flag("pod-subnet-file", flags.string, "", "flannel's subnet.env: the pods' range and MTU, instead of podCIDR (ours).", NET),
    Flag("pod-bridge", flags.string, "pyb0", "The bridge that pods are connected to (ours).", NET),
    Flag("cluster-dns", flags.strings, [], "Addresses of the cluster's DNS service.", NET),
    Flag("cluster-domain", flags.string, "cluster.local", "The cluster's DNS domain.", NET),
    Flag("resolv-conf", flags.string, "/etc/resolv.conf", "The resolver's file that pods' are made from.", NET),
    Flag("address", flags.string, "0.0.0.0", "Where the HTTPS port listens.", PORT),
    Flag("port", flags.integer, 10250, "The HTTPS port; 0: none.", PORT),
    Flag("healthz-bind-address", flags.string, "127.0.0.1", "Where /healthz listens.", PORT),
    Flag("healthz-port", flags.integer, 10248, "The port of /healthz; 0: none.", PORT),
    Flag("tls-cert-file", flags.string, "", "The HTTPS port's certificate; default: one made here.", PORT),
    Flag("tls-private-key-file", flags.string, "", "The key of --tls-cert-file.", PORT),
    *tls_flags(PORT),
    Flag("rotate-server-certificates", flags.boolean, False, "Have the cluster sign and renew it.", PORT),
    Flag("client-ca-file", flags.string, "", "Who signs client certificates.", PORT),
    Flag("anonymous-auth", flags.boolean, False, "Let requests without credentials in.", PORT),
    Flag("authentication-token-webhook", flags.boolean, True, "Ask the API server about bearer tokens.", PORT),
    Flag("authorization-mode", flags.string, "Webhook", "Webhook or AlwaysAllow.", PORT),
    Flag("pod-manifest-path", flags.string, "", "A directory of static pods, or a single file.", POD),
    Flag("file-check-frequency", flags.duration, 1.0, "How often --pod-manifest-path is looked at.", POD),
    Flag("sync-frequency", flags.duration, 60.0, "How often config maps and secrets are brought into volumes.", POD),
    Flag("allowed-unsafe-sysctls", flags.strings, [], "Sysctls that pods may set besides the safe ones.", POD),
    Flag("runtime", flags.string, "docker", "docker, or hollow: pods without containers (ours).", RUN),
    Flag("hollow-nodes", flags.integer, 1, "So many hollow nodes, NAME-0, NAME-1, ... (ours).", RUN),
    Flag("docker-endpoint", flags.string, DEFAULT_ENDPOINT, "Docker's socket.", RUN),
    Flag("container-runtime-endpoint", flags.string, "", "Docker's socket, as newer kubelets call the flag.", RUN),
    Flag("pod-infra-container-image", flags.string, "", "The sandbox's image; default: one made here.", RUN),
    flags.ignored("cgroup-driver", flags.string, "Docker is asked"),
    flags.ignored("fail-swap-on", flags.boolean, "swap is never a reason to fail"),
)  # fmt: skip
FLAGS = formerflags.beside(OWN, formerflags.KUBELET)


@dataclass(frozen=True, slots=True)
class KubeletConfiguration:
    """All that the process is told besides the node's own options."""

    options: KubeletOptions
    values: Values

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]


def _evictions(values: Values) -> Evictions:
    hard = values["eviction-hard"]
    if values["merge-default-eviction-settings"]:
        hard = {**EVICTION_HARD, **hard}
    soft, grace = values["eviction-soft"], values["eviction-soft-grace-period"]
    try:
        all_of_them = thresholds(hard, soft, grace, values["eviction-minimum-reclaim"])
    except ValueError as error:
        raise UsageError(f"evictionHard, evictionSoft, evictionMinimumReclaim: {error}") from error
    return Evictions(
        all_of_them, values["eviction-pressure-transition-period"], max(values["eviction-max-pod-grace-period"], 0)
    )


def _defaults(values: Values) -> Defaults:
    period, longest = values["cpu-cfs-quota-period"], values["max-container-restart-period"]
    if not 0.001 <= period <= 1:
        raise UsageError(f"cpuCFSQuotaPeriod must be between 1ms and 1sec, inclusive: {format_duration(period)}")
    if not 1 <= longest <= CRASH_MAXIMUM:
        text = "crashLoopBackOff.maxContainerRestartPeriod must be set between 1s and 300s"
        raise UsageError(f"{text}: {format_duration(longest)}")
    return Defaults(values["seccomp-default"], values["cpu-cfs-quota"], int(period * 1_000_000), longest)


def _log_options(values: Values) -> dict[str, str]:
    if not values["container-log-max-size"]:
        return {}
    try:
        size = Quantity.parse(values["container-log-max-size"]).value()
    except QuantityError as error:
        raise UsageError(f"containerLogMaxSize: {values['container-log-max-size']!r}: {error}") from error
    if size <= 0:
        raise UsageError(f"containerLogMaxSize: {size}: it must be greater than 0")
    if values["container-log-max-files"] < 2:
        raise UsageError("containerLogMaxFiles must be greater than 1")
    return {"max-size": str(size), "max-file": str(values["container-log-max-files"])}


def _positive(values: Values, name: str) -> int:
    if values[name] <= 0:
        raise UsageError(f"--{name}={values[name]}: it must be greater than 0")
    return int(values[name])


def _reserved(values: Values) -> dict[str, Quantity]:
    kube, system = (_reservation(values, name) for name in ("kube-reserved", "system-reserved"))
    try:
        return reservation.reserved(kube, system, values["reserved-cpus"])
    except ValueError as error:
        raise UsageError(f"--reserved-cpus={values['reserved-cpus']}: {error}") from error


def _reservation(values: Values, name: str) -> dict[str, Quantity]:
    try:
        return reservation.reservation(values[name])
    except ValueError as error:
        raise UsageError(f"--{name}: {error}") from error


def kubelet_configuration(values: Values, name: str, addresses: Sequence[str]) -> KubeletConfiguration:
    """`values`: as parsed; `name` and `addresses`: the host's, where no flag says otherwise. UsageError for amounts that are none."""
    options = KubeletOptions(
        hostname_override=values["hostname-override"] or name,
        node_ip=tuple(values["node-ip"] or addresses),
        node_labels=values["node-labels"],
        register_with_taints=tuple(values["register-with-taints"]),
        register_node=values["register-node"],
        root_dir=values["root-dir"],
        pod_logs_dir=values["pod-logs-dir"],
        max_pods=values["max-pods"],
        pod_max_pids=values["pod-max-pids"],
        port=values["port"],
        pod_cidr=values["pod-cidr"],
        cluster_dns=tuple(values["cluster-dns"]),
        cluster_domain=values["cluster-domain"],
        resolv_conf=values["resolv-conf"],
        pod_manifest_path=values["pod-manifest-path"],
        status_seconds=values["node-status-update-frequency"],
        file_check_seconds=values["file-check-frequency"],
        sync_seconds=values["sync-frequency"],
        allowed_unsafe_sysctls=tuple(values["allowed-unsafe-sysctls"]),
        evictions=_evictions(values),
        reserved=_reserved(values),
        pods_per_core=values["pods-per-core"],
        provider_id=values["provider-id"],
        max_images=values["node-status-max-images"],
        lease_seconds=_positive(values, "node-lease-duration-seconds"),
        image_gc=CollectionPolicy(
            values["image-gc-high-threshold"],
            values["image-gc-low-threshold"],
            timedelta(seconds=values["minimum-image-ttl-duration"]),
            timedelta(seconds=values["image-maximum-gc-age"]),
        ),
        defaults=_defaults(values),
        parallel_pulls=1 if values["serialize-image-pulls"] else max(values["max-parallel-image-pulls"], 0),
        log_options=_log_options(values),
    )
    return KubeletConfiguration(options, values)
