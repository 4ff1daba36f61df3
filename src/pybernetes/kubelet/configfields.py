"""KubeletConfiguration: which of its fields mean which flag (upstream: kubelet.config.k8s.io/v1beta1)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.types import core_v1 as core
from pybernetes.component.configfile import Kind

from .options import signals, taints

# KubeletConfiguration's field, by path, and the flag that means the same.
FIELDS = {
    "address": "address",
    "port": "port",
    "healthzPort": "healthz-port",
    "healthzBindAddress": "healthz-bind-address",
    "staticPodPath": "pod-manifest-path",
    "fileCheckFrequency": "file-check-frequency",
    "syncFrequency": "sync-frequency",
    "tlsCertFile": "tls-cert-file",
    "tlsPrivateKeyFile": "tls-private-key-file",
    "tlsMinVersion": "tls-min-version",
    "tlsCipherSuites": "tls-cipher-suites",
    "rotateCertificates": "rotate-certificates",
    "serverTLSBootstrap": "rotate-server-certificates",
    "authentication.anonymous.enabled": "anonymous-auth",
    "authentication.webhook.enabled": "authentication-token-webhook",
    "authentication.x509.clientCAFile": "client-ca-file",
    "authorization.mode": "authorization-mode",
    "clusterDomain": "cluster-domain",
    "clusterDNS": "cluster-dns",
    "nodeStatusUpdateFrequency": "node-status-update-frequency",
    "imageMinimumGCAge": "minimum-image-ttl-duration",
    "imageGCHighThresholdPercent": "image-gc-high-threshold",
    "imageGCLowThresholdPercent": "image-gc-low-threshold",
    "maxPods": "max-pods",
    "podPidsLimit": "pod-max-pids",
    "podCIDR": "pod-cidr",
    "resolvConf": "resolv-conf",
    "evictionHard": "eviction-hard",
    "evictionSoft": "eviction-soft",
    "evictionSoftGracePeriod": "eviction-soft-grace-period",
    "evictionMaxPodGracePeriod": "eviction-max-pod-grace-period",
    "evictionMinimumReclaim": "eviction-minimum-reclaim",
    "evictionPressureTransitionPeriod": "eviction-pressure-transition-period",
    "kubeReserved": "kube-reserved",
    "systemReserved": "system-reserved",
    "reservedSystemCPUs": "reserved-cpus",
    "podsPerCore": "pods-per-core",
    "providerID": "provider-id",
    "mergeDefaultEvictionSettings": "merge-default-eviction-settings",
    "imageMaximumGCAge": "image-maximum-gc-age",
    "serializeImagePulls": "serialize-image-pulls",
    "maxParallelImagePulls": "max-parallel-image-pulls",
    "containerLogMaxSize": "container-log-max-size",
    "containerLogMaxFiles": "container-log-max-files",
    "seccompDefault": "seccomp-default",
    "cpuCFSQuota": "cpu-cfs-quota",
    "cpuCFSQuotaPeriod": "cpu-cfs-quota-period",
    "crashLoopBackOff.maxContainerRestartPeriod": "max-container-restart-period",
    "nodeLeaseDurationSeconds": "node-lease-duration-seconds",
    "nodeStatusMaxImages": "node-status-max-images",
    "allowedUnsafeSysctls": "allowed-unsafe-sysctls",
    "registerNode": "register-node",
    "registerWithTaints": "register-with-taints",
    "podLogsDir": "pod-logs-dir",
    "containerRuntimeEndpoint": "container-runtime-endpoint",
}


def _taints(items: Any) -> list[core.Taint]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("want a list of taints: [{key: KEY, value: VALUE, effect: NoSchedule}]")
    return taints(",".join(f"{i.get('key', '')}={i.get('value') or ''}:{i.get('effect', '')}" for i in items))


def _texts(items: Any) -> list[str]:
    if not isinstance(items, list):
        raise ValueError("want a list")
    return [str(item) for item in items]


def _amounts(by_signal: Any) -> dict[str, str]:
    if not isinstance(by_signal, dict):
        raise ValueError("want an object: {memory.available: 100Mi}")
    return signals(",".join(f"{name}<{amount}" for name, amount in by_signal.items()))


# Why -> fields for which nothing stands here.
_WITHOUT_EFFECT = {
    "Docker is asked": "cgroupDriver",
    "swap is never a reason to fail": "failSwapOn",
    "containers have no swap beyond their memory": "memorySwap",
    "the kubelet is not told of a shutdown: `pybernetes node drain` before it has pods leave in time": (
        "shutdownGracePeriod shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods"
    ),
    "processors and memory are shared, and not pinned": (
        "cpuManagerPolicy cpuManagerPolicyOptions cpuManagerReconcilePeriod memoryManagerPolicy "
        "reservedMemory topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope"
    ),
    "pods are held to what is not reserved, other processes to nothing": (
        "enforceNodeAllocatable kubeReservedCgroup systemReservedCgroup kubeletCgroups systemCgroups "
        "cgroupRoot cgroupsPerQOS"
    ),
    "there is no port without TLS": "readOnlyPort",
    "static pods are read from staticPodPath": "staticPodURL staticPodURLHeader",
    "what gates would switch is on or off for good": "featureGates",
    "Docker has the images, too": "imageServiceEndpoint",
    "Docker has one user namespace for all containers, or none": "userNamespaces",
    "sysctls of the machine are left as they are": "protectKernelDefaults",
    "": (
        "authentication.webhook.cacheTTL authorization.webhook configMapAndSecretChangeDetectionStrategy "
        "containerLogMaxWorkers containerLogMonitorInterval contentType defaultPodSysctls "
        "enableContentionProfiling enableControllerAttachDetach enableDebugFlagsHandler "
        "enableDebuggingHandlers enableProfilingHandler enableServer enableSystemLogHandler "
        "enableSystemLogQuery eventBurst eventRecordQPS failCgroupV1 hairpinMode httpCheckFrequency "
        "imagePullCredentialsVerificationPolicy iptablesDropBit iptablesMasqueradeBit kernelMemcgNotification "
        "kubeAPIBurst kubeAPIQPS localStorageCapacityIsolation logging makeIPTablesUtilChains maxOpenFiles "
        "memoryReservationPolicy memoryThrottlingFactor "
        "nodeStatusReportFrequency oomScoreAdj preloadedImagesVerificationAllowlist qosReserved registryBurst "
        "registryPullQPS runOnce runtimeRequestTimeout showHiddenMetricsForVersion singleProcessOOMKill "
        "streamingConnectionIdleTimeout tlsCurvePreferences tracing volumePluginDir volumeStatsAggPeriod"
    ),
}
CONFIGURATION = Kind(
    "kubelet.config.k8s.io/v1beta1",
    "KubeletConfiguration",
    FIELDS,
    pointers=(
        "podPidsLimit",
        "healthzPort",
        "imageGCHighThresholdPercent",
        "imageGCLowThresholdPercent",
        "resolvConf",
        "nodeStatusMaxImages",
    ),
    converters={
        **dict.fromkeys(("clusterDNS", "allowedUnsafeSysctls", "tlsCipherSuites"), _texts),
        "registerWithTaints": _taints,
        "evictionHard": _amounts,
        "evictionSoft": _amounts,
    },
    without_effect={name: why for why, names in _WITHOUT_EFFECT.items() for name in names.split()},
)
