"""Flags that upstream's parts had between 1.17 and today and that do nothing here: unit files that have them start, and are told why.

A flag that a part has itself wins over its line here (`beside`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .flags import Flag, boolean, duration, ignored, integer, string, strings, switches

Kind = Callable[[str], Any]
# Why -> parser -> names.
Table = Mapping[str, Mapping[Kind, str]]

LOGS: Table = {
    "logs go to stderr; upstream's has been gone since 1.26": {
        boolean: "add-dir-header alsologtostderr logtostderr one-output skip-headers skip-log-headers",
        string: "log-backtrace-at log-dir log-file stderrthreshold",
        integer: "log-file-max-size",
    },
    "": {string: "logging-format vmodule", duration: "log-flush-frequency"},
}
APISERVER: Table = {
    "there is no port without TLS; upstream's has been gone since 1.24": {
        string: "insecure-bind-address address",
    },
    "kubelets are always spoken to over TLS; upstream's has done nothing since 1.19": {boolean: "kubelet-https"},
    "there is no Swagger page; upstream's has done nothing since 1.14": {boolean: "enable-swagger-ui"},
    "upstream's has been gone since 1.16": {boolean: "repair-malformed-updates etcd-quorum-read"},
    "upstream's has done nothing since 1.11": {integer: "deserialization-cache-size"},
    "upstream's has been gone since 1.19: nobody logs in by it": {string: "basic-auth-file"},
    "upstream's has been gone since 1.20": {string: "ssh-keyfile ssh-user"},
    "upstream's has done nothing since 1.26": {string: "master-service-namespace"},
    "clouds are not served; upstream's has been gone since 1.33": {
        string: "cloud-config cloud-provider cloud-provider-gce-lb-src-cidrs"
    },
    "each server keeps its own lease": {integer: "apiserver-count", string: "endpoint-reconciler-type"},
    "extension API servers are reached at their endpoints in either case": {boolean: "enable-aggregator-routing"},
    "objects are watched in one cache": {
        boolean: "watch-cache",
        strings: "watch-cache-sizes",
        integer: "default-watch-cache-size target-ram-mb",
    },
    "": {
        boolean: "contention-profiling enable-garbage-collector enable-logs-handler profiling",
        integer: "delete-collection-workers http2-max-streams-per-connection kubelet-port kubelet-read-only-port "
        "kubernetes-service-node-port max-connection-bytes-per-sec min-request-timeout",
        string: "external-hostname",
        duration: "kubelet-timeout livez-grace-period",
        switches: "feature-gates",
    },
}
CONTROLLER_MANAGER: Table = {
    "nodes are tainted in any case; upstream's has been gone since 1.27": {boolean: "enable-taint-manager"},
    "upstream's has been gone since 1.16": {
        duration: "horizontal-pod-autoscaler-downscale-delay horizontal-pod-autoscaler-upscale-delay",
    },
    "upstream's has been gone since 1.13": {
        string: "insecure-experimental-approve-all-kubelet-csrs-for-group deleting-pods-qps",
        integer: "deleting-pods-burst register-retry-count",
    },
    "volumes are not recycled": {
        integer: "pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath pv-recycler-minimum-timeout-nfs "
        "pv-recycler-timeout-increment-hostpath",
        string: "pv-recycler-pod-template-filepath-hostpath pv-recycler-pod-template-filepath-nfs",
    },
    "": {duration: "controller-start-interval"},
}
SCHEDULER: Table = {
    "policies and providers left with 1.23; --config says what they said": {
        string: "algorithm-provider policy-config-file policy-configmap policy-configmap-namespace",
        boolean: "use-legacy-policy-config",
    },
    "--config says it; upstream's has been gone since 1.23": {
        integer: "hard-pod-affinity-symmetric-weight",
        string: "scheduler-name",
    },
    "--leader-elect-resource-name and -namespace say it; upstream's has been gone since 1.23": {
        string: "lock-object-name lock-object-namespace",
    },
    "": {
        boolean: "contention-profiling profiling",
        string: "kube-api-content-type write-config-to",
        switches: "feature-gates",
    },
}
KUBELET: Table = {
    "the API server alone decides; upstream's has been gone since 1.15": {boolean: "allow-privileged"},
    "Docker is what runs pods; upstream's has been gone since 1.27": {string: "container-runtime"},
    "upstream's has been gone since 1.24": {
        integer: "network-plugin-mtu",
        string: "dynamic-config-dir",
        duration: "image-pull-progress-deadline",
        boolean: "redirect-container-streaming",
    },
    "upstream's has been gone since 1.23": {
        string: "experimental-bootstrap-kubeconfig seccomp-profile-root experimental-mounter-path",
        boolean: "experimental-check-node-capabilities-before-mount exit-on-lock-contention",
    },
    "upstream's has been gone since 1.21": {
        string: "bootstrap-checkpoint-path chaos-chance",
        boolean: "really-crash-for-testing enable-cadvisor-json-endpoints experimental-allocatable-ignore-eviction",
    },
    "upstream's has been gone since 1.10": {strings: "host-ipc-sources host-network-sources host-pid-sources"},
    "upstream's has done nothing since 1.6": {boolean: "register-schedulable"},
    "cAdvisor is not in this kubelet": {
        integer: "application-metrics-count-limit",
        string: "container-hints containerd docker docker-root machine-id-file storage-driver-db storage-driver-host",
        boolean: "docker-only enable-load-reader log-cadvisor-usage",
        duration: "housekeeping-interval storage-driver-buffer-duration volume-stats-agg-period",
    },
    "": {
        boolean: "cgroups-per-qos contention-profiling enable-controller-attach-detach "
        "enable-debugging-handlers enable-server keep-terminated-pod-volumes make-iptables-util-chains "
        "protect-kernel-defaults runonce experimental-kernel-memcg-notification",
        integer: "event-burst event-qps iptables-drop-bit "
        "iptables-masquerade-bit kube-api-burst kube-api-qps max-open-files maximum-dead-containers "
        "maximum-dead-containers-per-container oom-score-adj read-only-port "
        "registry-burst registry-qps",
        string: "azure-container-registry-config cgroup-root cloud-config cloud-provider "
        "cpu-manager-policy hairpin-mode "
        "image-service-endpoint kube-api-content-type kube-reserved-cgroup kubelet-cgroups lock-file "
        "manifest-url manifest-url-header master-service-namespace qos-reserved runtime-cgroups "
        "system-cgroups system-reserved-cgroup topology-manager-policy volume-plugin-dir",
        strings: "enforce-node-allocatable",
        duration: "authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl "
        "authorization-webhook-cache-unauthorized-ttl "
        "http-check-frequency minimum-container-ttl-duration runtime-request-timeout streaming-connection-idle-timeout",
        switches: "feature-gates",
    },
}
PROXY: Table = {
    "--conntrack-max-per-core says it; upstream's has been gone since 1.19": {integer: "conntrack-max"},
    "--healthz-bind-address and --metrics-bind-address say it; upstream's has been gone since 1.23": {
        integer: "healthz-port metrics-port",
    },
    "upstream's has been gone since 1.16": {string: "resource-container"},
    "--cleanup removes virtual servers, too; upstream's has been gone since 1.22": {boolean: "cleanup-ipvs"},
    "": {string: "azure-container-registry-config write-config-to"},
}


def beside(own: Sequence[Flag], table: Table) -> tuple[Flag, ...]:
    """A part's flags, and those of the table and of logs that it has not itself."""
    own_names = {flag.name for flag in own}
    accepted = list(own)
    for one in (table, LOGS):
        for why, kinds in one.items():
            for kind, names in kinds.items():
                for name in names.split():
                    if name not in own_names:
                        own_names.add(name)
                        accepted.append(ignored(name, kind, why))
    return tuple(accepted)
