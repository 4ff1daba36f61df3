"""Manifests of static pods, as kubeadm writes them (upstream: kubeadm app/phases/controlplane, app/util/staticpod)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...configuration import KUBERNETES_DIR
from ...types import ControlPlaneComponent
from ..controlplane import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from ..model import Cluster, Daemon, File, Host

FOLDER = f"{KUBERNETES_DIR}/manifests"
CPU = {"etcd": "100m", API_SERVER: "250m", CONTROLLER_MANAGER: "200m", SCHEDULER: "100m"}
AUTHORITIES = (
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
)
DIRECTORY, FILE = "DirectoryOrCreate", "FileOrCreate"


@dataclass(frozen=True, slots=True)
class _Volume:
    """A place of the host, and where the pod has it: at the same path, unless `inside` says another one."""

    name: str
    path: str
    kind: str
    writable: bool = False
    inside: str = ""


def manifest(cluster: Cluster, host: Host, daemon: Daemon, image: str) -> File:
    """Of one of kubeadm's four."""
    import yaml

    return File(
        f"{FOLDER}/{daemon.name}.yaml", yaml.safe_dump(pod(cluster, host, daemon, image), sort_keys=True), 0o600
    )


def pod(cluster: Cluster, host: Host, daemon: Daemon, image: str) -> dict[str, Any]:
    """The object."""
    volumes = [*_volumes(cluster, daemon), *_further(cluster, daemon)]
    container: dict[str, Any] = {
        "name": daemon.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(daemon.command()),
        "resources": {"requests": {"cpu": CPU[daemon.name], **({"memory": "100Mi"} if daemon.name == "etcd" else {})}},
        "volumeMounts": [
            {"name": one.name, "mountPath": one.inside or one.path, **({} if one.writable else {"readOnly": True})}
            for one in volumes
        ],
        **_probes(daemon),
    }
    if environment := _component(cluster, daemon).extra_envs:
        container["env"] = environment
    metadata: dict[str, Any] = {
        "name": daemon.name,
        "namespace": "kube-system",
        "labels": {"component": daemon.name, "tier": "control-plane"},
    }
    annotations = _annotations(cluster, host, daemon)
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": one.name, "hostPath": {"path": one.path, "type": one.kind}} for one in volumes],
        },
    }


def _annotations(cluster: Cluster, host: Host, daemon: Daemon) -> dict[str, str]:
    """By which kubeadm finds other members and API servers."""
    if daemon.name == "etcd":
        url = next(a.partition("=")[2] for a in daemon.arguments if a.startswith("--advertise-client-urls="))
        return {"kubeadm.kubernetes.io/etcd.advertise-client-urls": url}
    if daemon.name == API_SERVER:
        port = cluster.configuration.init.local_api_endpoint.bind_port
        return {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": f"{host.address}:{port}"}
    return {}


def _volumes(cluster: Cluster, daemon: Daemon) -> list[_Volume]:
    """By name."""
    pki = cluster.configuration.cluster.certificates_dir
    if daemon.name == "etcd":
        return [
            _Volume("etcd-certs", f"{pki}/etcd", DIRECTORY, True),
            _Volume("etcd-data", daemon.directories[0], DIRECTORY, True),
        ]
    kubeconfigs = {CONTROLLER_MANAGER: "controller-manager.conf", SCHEDULER: "scheduler.conf"}
    volumes = []
    if daemon.name in kubeconfigs:
        volumes.append(_Volume("kubeconfig", f"{KUBERNETES_DIR}/{kubeconfigs[daemon.name]}", FILE))
    if daemon.name != SCHEDULER:
        volumes.append(_Volume("k8s-certs", pki, DIRECTORY))
        names = ("ca-certs", "etc-ca-certificates", "usr-local-share-ca-certificates", "usr-share-ca-certificates")
        volumes += [_Volume(name, path, DIRECTORY) for name, path in zip(names, AUTHORITIES, strict=True)]
    if daemon.name == CONTROLLER_MANAGER:
        volumes.append(
            _Volume("flexvolume-dir", "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", DIRECTORY, True)
        )
    return sorted(volumes, key=lambda volume: volume.name)


def _component(cluster: Cluster, daemon: Daemon) -> ControlPlaneComponent:
    """What a configuration adds to it; for etcd nothing but arguments."""
    configuration = cluster.configuration.cluster
    components = {
        API_SERVER: configuration.api_server,
        CONTROLLER_MANAGER: configuration.controller_manager,
        SCHEDULER: configuration.scheduler,
    }
    return components.get(daemon.name, ControlPlaneComponent())


def _further(cluster: Cluster, daemon: Daemon) -> list[_Volume]:
    """extraVolumes."""
    return [
        _Volume(one.name, one.host_path, one.path_type, not one.read_only, one.mount_path)
        for one in _component(cluster, daemon).extra_volumes
    ]


def _probes(daemon: Daemon) -> dict[str, Any]:
    if daemon.check is None:
        return {}
    url = urlsplit(daemon.check.url)

    def probe(path: str, **more: int) -> dict[str, Any]:
        get = {"host": url.hostname, "path": path, "port": url.port, "scheme": url.scheme.upper()}
        return {"httpGet": get, "timeoutSeconds": 15, **more}

    slow = {"initialDelaySeconds": 10, "periodSeconds": 10}
    probes = {
        "livenessProbe": probe(url.path, failureThreshold=8, **slow),
        "startupProbe": probe(url.path, failureThreshold=24, **slow),
    }
    if daemon.name == API_SERVER:
        probes["readinessProbe"] = probe("/readyz", failureThreshold=3, periodSeconds=1)
    return probes
