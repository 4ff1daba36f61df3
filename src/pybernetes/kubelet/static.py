"""Static pods from files, and their mirrors in the API (upstream: pkg/kubelet/config/file.go, pkg/kubelet/pod/mirror_client.go)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pybernetes.api import field, types
from pybernetes.api.errors import StatusError
from pybernetes.api.field import FieldError
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1
from pybernetes.api.wellknown import (
    CONFIG_FIRST_SEEN_ANNOTATION,
    CONFIG_HASH_ANNOTATION,
    CONFIG_SOURCE_ANNOTATION,
    MIRROR_POD_ANNOTATION,
)
from pybernetes.client.types import Client

from .cluster import APICluster
from .machine import config
from .machine.events import Event
from .volumes import payload

logger = logging.getLogger(__name__)

# The Node authorizer knows a node's pods by their objects: of one that is not there it says that there is no relationship.
NOT_THERE = (404, 403)


def is_mirror(pod: core.Pod) -> bool:
    return MIRROR_POD_ANNOTATION in pod.metadata.annotations


def read(document: Any, node_name: str, path: str, now: datetime) -> core.Pod:
    """A file's pod as the node runs it: named after the node, with a uid that follows from its content. ValueError."""
    if not isinstance(document, dict) or document.get("kind") != "Pod":
        raise ValueError("is no Pod")
    if not (document.get("metadata") or {}).get("name"):
        raise ValueError("has a Pod without a name")
    # As upstream: the digest of what the file says, of the node and of the place of the file.
    digest = hashlib.md5(usedforsecurity=False)
    digest.update(json.dumps(document, sort_keys=True, default=str).encode())
    digest.update(f"host:{node_name}file:{path}".encode())
    uid = digest.hexdigest()
    try:
        pod = types.decode(json.dumps(document, default=str), core.Pod)
    except msgspec.ValidationError as error:
        raise ValueError(f"has an invalid Pod: {error}") from error
    meta = pod.metadata
    problems = _problems(pod)
    meta.name, meta.namespace = f"{meta.name}-{node_name}", meta.namespace or "default"
    meta.uid = meta.uid or uid
    meta.annotations = {
        **meta.annotations,
        CONFIG_HASH_ANNOTATION: uid,
        CONFIG_SOURCE_ANNOTATION: "file",
        CONFIG_FIRST_SEEN_ANNOTATION: f"{format_time(now)[:-1]}.000000000Z",
    }
    resource = api_objects(pod)
    if resource:
        raise ValueError(f"is refused: static pods may not reference {resource}")
    if problems:
        raise ValueError(f'is refused: Pod "{meta.name}" is invalid: {field.aggregate(problems)}')
    pod.spec.node_name = node_name
    pod.spec.tolerations = [*pod.spec.tolerations, core.Toleration(operator="Exists", effect="NoExecute")]
    return defaulted(pod)


def _problems(pod: core.Pod) -> list[FieldError]:
    """What nothing could be run of. All else is for the API server to say, which sees the mirror; it may not be there yet."""
    path, spec = field.Path("spec"), pod.spec
    errors = [
        field.invalid(field.Path("metadata") / "name", pod.metadata.name, text)
        for text in dns1123_subdomain_errors(pod.metadata.name)
    ]
    if not spec.containers:
        errors.append(field.required(path / "containers"))
    seen = set[str]()
    for kind, containers in (("initContainers", spec.init_containers), ("containers", spec.containers)):
        for index, container in enumerate(containers):
            here = path / kind / index
            errors += [
                field.invalid(here / "name", container.name, text) for text in dns1123_label_errors(container.name)
            ]
            if container.name in seen:
                errors.append(field.duplicate(here / "name", container.name))
            if not container.image:
                errors.append(field.required(here / "image"))
            seen.add(container.name)
    return errors


def startable(
    desired: Mapping[str, core.Pod], present: Mapping[str, core.Pod], down: Collection[str] = ()
) -> list[str]:
    """The uids of static pods that may begin now (allowStaticPodStart): of one name one at a time, and one that goes is waited for.

    Two would share ports and files, and write each other's mirror. `down`: those of `present` of which nothing runs any more; they wait
    only for the API server to hear of it, which may itself be what is to begin.
    """
    busy = {(pod.metadata.namespace, pod.metadata.name) for uid, pod in present.items() if uid not in down}
    chosen = []
    for uid, pod in desired.items():
        name = (pod.metadata.namespace, pod.metadata.name)
        if uid not in present and name not in busy:
            busy.add(name)
            chosen.append(uid)
    return chosen


def api_objects(pod: core.Pod) -> str:
    """The resource of the first API object that a pod needs, "" where it needs none (HasAPIObjectReference).

    A static pod runs before there is a server that could be asked: it may be the server.
    """
    spec = pod.spec
    named = {kind for kind, _ in [*config.references(pod), *(r for v in spec.volumes for r in payload.references(v))]}
    if spec.service_account_name:
        return "serviceaccounts"
    if spec.image_pull_secrets or "secret" in named:
        return "secrets"
    if "configmap" in named:
        return "configmaps"
    if spec.resource_claims:
        return "resourceclaims"
    return next(filter(None, map(_api_object, spec.volumes)), "")


def _api_object(volume: core.Volume) -> str:
    for part in volume.projected.sources if volume.projected is not None else ():
        if part.service_account_token is not None:
            return "serviceaccounts (via projected volumes)"
        if part.cluster_trust_bundle is not None:
            return "clustertrustbundles"
        if part.pod_certificate is not None:
            return "podcertificates"
    sources = (
        (volume.csi, "csidrivers (via CSI volumes)"),
        (volume.glusterfs, "endpoints (via glusterFS volumes)"),
        (volume.persistent_volume_claim, "persistentvolumeclaims"),
        (volume.ephemeral, "persistentvolumeclaims (via ephemeral volumes)"),
        (volume.azure_file, "secrets (via azureFile volumes)"),
    )
    return next((resource for source, resource in sources if source is not None), "")


def defaulted(pod: core.Pod) -> core.Pod:
    """The defaults that the API server gives, as far as the kubelet reads them (apis/core/v1/defaults.go)."""
    spec = pod.spec
    spec.restart_policy = spec.restart_policy or "Always"
    spec.dns_policy = spec.dns_policy or "ClusterFirst"
    if spec.termination_grace_period_seconds is None:
        spec.termination_grace_period_seconds = 30
    spec.enable_service_links = spec.enable_service_links is not False
    for container in [*spec.init_containers, *spec.containers]:
        container.termination_message_path = container.termination_message_path or "/dev/termination-log"
        container.termination_message_policy = container.termination_message_policy or "File"
        tag = container.image.rpartition("/")[2].partition(":")[2]
        latest = "@" not in container.image and tag in ("", "latest")
        container.image_pull_policy = container.image_pull_policy or ("Always" if latest else "IfNotPresent")
        for name, limit in container.resources.limits.items():
            container.resources.requests.setdefault(name, limit)
        for port in container.ports:
            port.protocol = port.protocol or "TCP"
            if spec.host_network and not port.host_port:
                port.host_port = port.container_port
        for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
            if probe is not None:
                probe.timeout_seconds = probe.timeout_seconds or 1
                probe.period_seconds = probe.period_seconds or 10
                probe.success_threshold = probe.success_threshold or 1
                probe.failure_threshold = probe.failure_threshold or 3
    return pod


class PodFiles:
    """--pod-manifest-path: a directory of pods, or a single file."""

    def __init__(self, path: str, node_name: str, now: Callable[[], datetime]) -> None:
        self._path, self._node_name, self._now = Path(path), node_name, now
        self._read: dict[Path, tuple[tuple[int, int, int], core.Pod | None]] = {}

    def pods(self) -> dict[str, core.Pod]:
        """By uid, as the files are now; a file that cannot be used is logged once."""
        files = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        fresh: dict[Path, tuple[tuple[int, int, int], core.Pod | None]] = {}
        for file in files:
            if file.name.startswith(".") or not file.is_file():
                continue
            stat = file.stat()
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            cached = self._read.get(file)
            fresh[file] = cached if cached is not None and cached[0] == version else (version, self._load(file))
        self._read = fresh
        return {pod.metadata.uid: pod for _, pod in fresh.values() if pod is not None}

    def _load(self, file: Path) -> core.Pod | None:
        try:
            return read(yaml.safe_load(file.read_text()), self._node_name, str(file), self._now())
        except (OSError, ValueError, yaml.YAMLError) as error:
            logger.error("static pod file %s: %s", file, error)
            return None


class MirrorCluster:
    """worker.Cluster for static pods: what is said of one is written to its mirror, which is made anew where it is gone."""

    def __init__(self, client: Client, cluster: APICluster, node: Callable[[], core.Node]) -> None:
        self._client, self._cluster, self._node = client, cluster, node

    async def set_status(self, pod: core.Pod, status: core.PodStatus) -> None:
        mirror = await self.ensure(pod)
        if mirror is not None:
            await self._cluster.set_status(mirror, status)

    async def ensure(self, pod: core.Pod) -> core.Pod | None:
        """The pod's mirror. A stale or deleted one is let go first; None where the API refuses it (its namespace is missing)."""
        meta = pod.metadata
        try:
            present = await self._client.get(core.Pod, meta.name, meta.namespace)
        except StatusError as error:
            if error.code not in NOT_THERE:
                raise ConnectionError(f"mirror of {meta.name}: {error}") from error
        else:
            same = present.metadata.annotations.get(MIRROR_POD_ANNOTATION) == meta.annotations[CONFIG_HASH_ANNOTATION]
            if same and present.metadata.deletion_timestamp is None:
                return present
            await self._cluster.delete(present)
        try:
            return await self._client.create(mirror_of(pod, self._node()))
        except StatusError as error:
            if error.reason == "AlreadyExists":  # the authorizer has not heard of it yet
                raise ConnectionError(f"mirror of {meta.name}: {error}") from error
            logger.warning('Failed creating a mirror pod for "%s/%s": %s', meta.namespace, meta.name, error)
            return None

    async def delete(self, pod: core.Pod) -> None:
        """The file is gone: the mirror goes, too."""
        try:
            present = await self._client.get(core.Pod, pod.metadata.name, pod.metadata.namespace)
        except StatusError as error:
            if error.code in NOT_THERE:
                return
            raise ConnectionError(f"mirror of {pod.metadata.name}: {error}") from error
        if present.metadata.annotations.get(MIRROR_POD_ANNOTATION) == pod.metadata.annotations[CONFIG_HASH_ANNOTATION]:
            await self._cluster.delete(present)

    def record(self, pod: core.Pod, event: Event) -> None:
        self._cluster.record(pod, event)

    async def runtime_handler(self, name: str) -> str:
        return await self._cluster.runtime_handler(name)

    async def lookup(self, pod: core.Pod) -> config.Lookup:
        return await self._cluster.lookup(pod)

    def services(self, pod: core.Pod) -> Mapping[str, str]:
        return self._cluster.services(pod)


def mirror_of(pod: core.Pod, node: core.Node) -> core.Pod:
    """The object that stands for a static pod in the API."""
    meta = pod.metadata
    mirror = core.Pod(spec=pod.spec)
    mirror.metadata.name, mirror.metadata.namespace, mirror.metadata.labels = meta.name, meta.namespace, meta.labels
    mirror.metadata.annotations = {**meta.annotations, MIRROR_POD_ANNOTATION: meta.annotations[CONFIG_HASH_ANNOTATION]}
    if node.metadata.uid:
        owner = meta_v1.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
        owner.controller = True
        mirror.metadata.owner_references = [owner]
    return mirror
