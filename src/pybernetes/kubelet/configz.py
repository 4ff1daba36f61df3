"""What /configz shows: KubeletConfiguration, of the fields that mean something here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pybernetes.api.durations import format_duration

from .options import KubeletConfiguration, KubeletOptions


def configz(chosen: KubeletConfiguration, driver: str) -> bytes:
    """What /configz shows: KubeletConfiguration, of the fields that mean something here."""
    options, values = chosen.options, chosen.values
    shown: Mapping[str, Any] = {
        "enableServer": bool(values["port"]),
        "staticPodPath": options.pod_manifest_path,
        "syncFrequency": format_duration(options.sync_seconds),
        "fileCheckFrequency": format_duration(options.file_check_seconds),
        "address": values["address"],
        "port": options.port,
        "tlsCertFile": values["tls-cert-file"],
        "tlsPrivateKeyFile": values["tls-private-key-file"],
        "tlsMinVersion": values["tls-min-version"],
        "tlsCipherSuites": values["tls-cipher-suites"],
        "rotateCertificates": values["rotate-certificates"],
        "serverTLSBootstrap": values["rotate-server-certificates"] or None,
        "authentication": {
            "x509": {"clientCAFile": values["client-ca-file"]} if values["client-ca-file"] else {},
            "webhook": {"enabled": values["authentication-token-webhook"], "cacheTTL": "2m0s"},
            "anonymous": {"enabled": values["anonymous-auth"]},
        },
        "authorization": {
            "mode": values["authorization-mode"],
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "enableDebuggingHandlers": True,
        "healthzPort": values["healthz-port"],
        "healthzBindAddress": values["healthz-bind-address"],
        "clusterDomain": options.cluster_domain,
        "clusterDNS": list(options.cluster_dns),
        "nodeStatusUpdateFrequency": format_duration(options.status_seconds),
        "nodeStatusReportFrequency": "5m0s",
        "nodeLeaseDurationSeconds": options.lease_seconds,
        "cgroupsPerQOS": True,
        "cgroupDriver": driver,
        "maxPods": options.max_pods,
        "podPidsLimit": options.pod_max_pids,
        "podCIDR": options.pod_cidr,
        "resolvConf": options.resolv_conf,
        "cpuCFSQuota": options.defaults.cpu_quota,
        "cpuCFSQuotaPeriod": format_duration(options.defaults.cpu_period / 1_000_000),
        "nodeStatusMaxImages": options.max_images,
        "providerID": options.provider_id,
        "seccompDefault": options.defaults.seccomp or None,
        "containerLogMaxSize": values["container-log-max-size"],
        "containerLogMaxFiles": values["container-log-max-files"],
        "crashLoopBackOff": {"maxContainerRestartPeriod": format_duration(options.defaults.crash_maximum)},
        "failSwapOn": False,
        "configMapAndSecretChangeDetectionStrategy": "Get",
        "enforceNodeAllocatable": ["pods"],
        "allowedUnsafeSysctls": list(options.allowed_unsafe_sysctls),
        "enableSystemLogHandler": False,
        **_kept_back(chosen),
        **_images(options),
    }
    absent: tuple[Any, ...] = ("", [], {}, None)
    kept = {key: value for key, value in shown.items() if value not in absent}
    return json.dumps({"kubeletconfig": kept}, separators=(",", ":")).encode() + b"\n"


def _kept_back(chosen: KubeletConfiguration) -> dict[str, Any]:
    """What pods may not have, and when they go for the node's sake."""
    options, values = chosen.options, chosen.values
    return {
        "evictionHard": values["eviction-hard"],
        "evictionSoft": values["eviction-soft"],
        "evictionSoftGracePeriod": values["eviction-soft-grace-period"],
        "evictionPressureTransitionPeriod": format_duration(options.evictions.transition),
        "evictionMaxPodGracePeriod": values["eviction-max-pod-grace-period"],
        "evictionMinimumReclaim": values["eviction-minimum-reclaim"],
        "systemReserved": values["system-reserved"],
        "kubeReserved": values["kube-reserved"],
        "reservedSystemCPUs": values["reserved-cpus"],
        "podsPerCore": options.pods_per_core or None,
    }


def _images(options: KubeletOptions) -> dict[str, Any]:
    return {
        "imageMinimumGCAge": format_duration(options.image_gc.minimum_age.total_seconds()),
        "imageMaximumGCAge": format_duration(options.image_gc.maximum_age.total_seconds()),
        "imageGCHighThresholdPercent": options.image_gc.high_percent,
        "imageGCLowThresholdPercent": options.image_gc.low_percent,
        "serializeImagePulls": options.parallel_pulls == 1,
        "maxParallelImagePulls": options.parallel_pulls or None,
    }
