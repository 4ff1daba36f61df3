"""What a pod's worker asks of volumes (upstream: pkg/kubelet/volumemanager, kubelet_pods.go makeMounts)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pybernetes.api import pods
from pybernetes.api.pods import ZERO
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core

from .. import safepath
from ..machine import config, envfile
from ..machine.config import limits_whole_pod
from ..machine.hosts import hosts_file
from ..runtime.types import Device, Mount, Propagation, RuntimeFailure
from . import atomicwriter, hostpath, mount, ownership, payload, subpath

logger = logging.getLogger(__name__)

DIRECTORIES = {  # as upstream's plugins are called, with / as ~
    "config_map": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downward_api": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "empty_dir": "kubernetes.io~empty-dir",
}
CLAIMED = ("persistent_volume_claim", "ephemeral")
IN_MEMORY = ("secret", "downward_api", "projected")
PROPAGATION: dict[str | None, Propagation] = {
    "HostToContainer": "HostToContainer",
    "Bidirectional": "Bidirectional",
}
TERMINATION_FILE_MODE = 0o666  # whatever user the container runs as
HOSTS_FILE_MODE = 0o644
POD_MODE = 0o750  # of a pod's directory: what is in it may be open to all
VOLUME_MODE = 0o777
REFRESH_PART = 0.8  # of a token's life, after which a new one is asked for
CONFIG_ERROR = config.CONFIG_ERROR


class Source(Protocol):
    """The API as volumes need it."""

    async def get(self, kind: str, name: str, namespace: str) -> core.ConfigMap | core.Secret | None: ...

    async def token(self, pod: core.Pod, audience: str, seconds: int) -> tuple[str, datetime]:
        """A service account's token for a pod, and when it ends."""
        ...

    async def claim(self, pod: core.Pod, name: str) -> core.PersistentVolume:
        """The volume that is bound to a pod's claim. RuntimeFailure where there is none, or the claim is another pod's own."""
        ...


@dataclass(slots=True)
class _Token:
    text: str
    renew_at: datetime


class VolumeManager:
    """Implements interfaces.Volumes under `root_dir`/pods/UID."""

    def __init__(
        self,
        root_dir: str,
        source: Source,
        now: Callable[[], datetime],
        *,
        host_ips: Sequence[str] = (),
        cluster_domain: str = "cluster.local",
        allocatable: Callable[[], Mapping[str, Quantity]] = dict,
    ) -> None:
        self._root = Path(root_dir)
        self._pods = self._root / "pods"
        self._source, self._now = source, now
        self._host_ips, self._domain, self._allocatable = host_ips, cluster_domain, allocatable
        self._tokens: dict[tuple[str, str, str, int], _Token] = {}
        self._hosts: dict[str, str] = {}  # persistent volumes' directories by "UID/VOLUME"
        self._writes = 0
        # By uid: what was read first must not be written last.
        self._writing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def pod_directory(self, uid: str) -> Path:
        return self._pods / uid

    def known(self) -> list[str]:
        """The uids whose directories are there."""
        return [entry.name for entry in self._pods.iterdir()] if self._pods.is_dir() else []

    async def prepare(self, pod: core.Pod) -> None:
        """Makes every volume; RuntimeFailure with FailedMount's text, or with an event's reason of its own."""
        if pod.spec.resource_claims:
            text = "Failed to prepare dynamic resources: no DRA driver is registered on this node"
            raise RuntimeFailure(text, "FailedPrepareDynamicResources")
        await asyncio.to_thread(self._make_pod_directory, pod.metadata.uid)
        for volume in pod.spec.volumes:
            kind = _kind(volume)
            if kind is None:
                raise RuntimeFailure(
                    f"Unable to attach or mount volumes: unmounted volumes=[{volume.name}], unattached volumes=[], "
                    f"failed to process volumes=[{volume.name}]: failed to get Plugin from volumeSpec for volume "
                    f'"{volume.name}" err=no volume plugin matched'
                )
            try:
                await self._set_up(pod, volume, kind)
            except (RuntimeFailure, OSError) as error:
                raise RuntimeFailure(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error

    def _make_pod_directory(self, uid: str) -> None:
        self._pods.mkdir(parents=True, exist_ok=True)
        with safepath.directory(self._pods, (uid,), POD_MODE):
            pass

    async def _set_up(self, pod: core.Pod, volume: core.Volume, kind: str) -> None:
        if kind == "image":
            return  # the runtime mounts it
        if kind == "host_path":
            assert volume.host_path is not None
            await asyncio.to_thread(hostpath.check, volume.host_path.path, volume.host_path.type or "")
        elif kind in CLAIMED:
            persistent_volume = await self._source.claim(pod, _claim_name(pod, volume))
            _check_mode(pod, volume, persistent_volume)
            path = await asyncio.to_thread(_persistent_path, persistent_volume)
            self._hosts[f"{pod.metadata.uid}/{volume.name}"] = path
            if (
                persistent_volume.spec.local is not None
                and not _claim_read_only(volume)
                and not _is_block(persistent_volume)
            ):
                await asyncio.to_thread(self._own, pod, Path(path))
        elif kind == "empty_dir":
            await asyncio.to_thread(self._empty_directory, pod, volume)
        else:
            await self.write(pod, volume)

    def _empty_directory(self, pod: core.Pod, volume: core.Volume) -> None:
        assert volume.empty_dir is not None
        path = self.directory(pod, volume)
        if path.is_dir() and (volume.empty_dir.medium != "Memory" or str(path) in mount.mounted_below(path)):
            return  # a restarted kubelet finds it
        with self._volume_directory(pod, volume) as opened:
            if volume.empty_dir.medium == "Memory":
                mount.tmpfs(path, memory_size(pod, volume.empty_dir, self._allocatable()))
            else:
                os.fchmod(opened, VOLUME_MODE)
        self._own(pod, path)

    def _volume_directory(self, pod: core.Pod, volume: core.Volume) -> AbstractContextManager[int]:
        return safepath.directory(self._root, self.directory(pod, volume).relative_to(self._root).parts)

    def _own(self, pod: core.Pod, path: Path) -> None:
        group = payload.fs_group(pod)
        if group is not None:
            context = pod.spec.security_context
            policy = context.fs_group_change_policy if context is not None else None
            ownership.set_group(path, group, policy == "OnRootMismatch")

    async def write(self, pod: core.Pod, volume: core.Volume) -> bool:
        """Makes the files of an object's volume as the objects are now; whether something changed."""
        async with self._writing[pod.metadata.uid]:
            return await self._write_now(pod, volume)

    async def _write_now(self, pod: core.Pod, volume: core.Volume) -> bool:
        objects = {}
        for kind, name in payload.references(volume):
            objects[kind, name] = await self._source.get(kind, name, pod.metadata.namespace)
        tokens = await self._tokens_of(pod, volume)
        ips = self._host_ips if pod.spec.host_network else tuple(ip.ip for ip in pod.status.pod_ips)
        facts = payload.Facts(ips, self._host_ips, self._allocatable())
        files = payload.of_volume(
            pod,
            volume,
            lambda kind, name: objects.get((kind, name)),
            facts,
            lambda projection: tokens[projection.audience],
        )
        assert files is not None
        return await asyncio.to_thread(self._write, pod, volume, files)

    def _write(self, pod: core.Pod, volume: core.Volume, files: payload.Payload) -> bool:
        path = self.directory(pod, volume)
        fresh = not path.is_dir()
        with self._volume_directory(pod, volume) as opened:
            if _kind(volume) in IN_MEMORY and str(path) not in mount.mounted_below(path):
                mount.tmpfs(path)
            elif fresh:
                os.fchmod(opened, VOLUME_MODE)
        group = payload.fs_group(pod)
        if group is not None:
            ownership.set_group_of_top(path, group)
        self._writes += 1
        stamp = f"{self._now():%Y_%m_%d_%H_%M_%S}.{self._writes:09d}"
        while (path / f"..{stamp}").exists():  # of a kubelet before this one, within the same second
            self._writes += 1
            stamp = f"{self._now():%Y_%m_%d_%H_%M_%S}.{self._writes:09d}"
        return atomicwriter.write(path, files, stamp, group)

    async def _tokens_of(self, pod: core.Pod, volume: core.Volume) -> dict[str, str]:
        tokens = {}
        for part in volume.projected.sources if volume.projected is not None else ():
            projection = part.service_account_token
            if projection is not None:
                seconds = projection.expiration_seconds or payload.TOKEN_SECONDS
                tokens[projection.audience] = await self._token(pod, projection.audience, seconds)
        return tokens

    async def _token(self, pod: core.Pod, audience: str, seconds: int) -> str:
        key = (pod.metadata.uid, pod.spec.service_account_name, audience, seconds)
        token, now = self._tokens.get(key), self._now()
        if token is None or now >= token.renew_at:
            text, ends = await self._source.token(pod, audience, seconds)
            token = self._tokens[key] = _Token(text, now + (ends - now) * REFRESH_PART)
        return token.text

    async def refresh(self, pod: core.Pod) -> None:
        """Brings changed objects and new tokens into the pod's volumes; what fails stays as it is, and is logged."""
        for volume in pod.spec.volumes:
            kind = _kind(volume)
            if kind in DIRECTORIES and kind != "empty_dir" and self.directory(pod, volume).is_dir():
                try:
                    await self.write(pod, volume)
                except (RuntimeFailure, OSError) as error:
                    logger.warning("volume %s of pod %s is not updated: %s", volume.name, pod.metadata.name, error)

    def directory(self, pod: core.Pod, volume: core.Volume) -> Path:
        """Where a volume lies on the host."""
        kind = _kind(volume)
        if kind == "host_path" and volume.host_path is not None:
            return Path(volume.host_path.path)
        if kind in CLAIMED:
            return Path(self._hosts[f"{pod.metadata.uid}/{volume.name}"])
        return self.pod_directory(pod.metadata.uid) / "volumes" / DIRECTORIES[str(kind)] / volume.name

    async def mounts(
        self,
        pod: core.Pod,
        container: core.Container,
        attempt: int,
        ips: Sequence[str],
        variables: Mapping[str, str],
    ) -> list[Mount]:
        """Everything that the container mounts. RuntimeFailure with CreateContainerConfigError where a sub-path is refused."""
        return await asyncio.to_thread(self._mounts, pod, container, attempt, ips, variables)

    def _mounts(
        self,
        pod: core.Pod,
        container: core.Container,
        attempt: int,
        ips: Sequence[str],
        variables: Mapping[str, str],
    ) -> list[Mount]:
        result = [
            self._mount(pod, container, index, volume_mount, variables)
            for index, volume_mount in enumerate(container.volume_mounts)
            if volume_mount.name not in config.image_volumes(pod)
        ]
        if not any(m.mount_path == "/etc/hosts" for m in container.volume_mounts) and (ips or pod.spec.host_network):
            result.append(Mount(self._hosts_file(pod, ips), "/etc/hosts"))
        if container.termination_message_path:
            result.append(Mount(self._termination_file(pod, container, attempt), container.termination_message_path))
        return result

    def _mount(
        self,
        pod: core.Pod,
        container: core.Container,
        index: int,
        volume_mount: core.VolumeMount,
        variables: Mapping[str, str],
    ) -> Mount:
        volume = next((v for v in pod.spec.volumes if v.name == volume_mount.name), None)
        if volume is None:
            raise RuntimeFailure(
                f'cannot find volume "{volume_mount.name}" to mount into container "{container.name}"', CONFIG_ERROR
            )
        if volume_mount.recursive_read_only == "Enabled":
            what = f'volume "{volume_mount.name}" requested recursive read-only mode'
            text = f"failed to resolve recursive read-only mode: {what}, but it is not supported by the runtime"
            raise RuntimeFailure(text, CONFIG_ERROR)
        base = self.directory(pod, volume)
        inner = config.sub_path(volume_mount, variables)
        host_path = str(base)
        if inner:
            place = (pod.metadata.uid, "volume-subpaths", volume_mount.name, container.name, str(index))
            host_path = self._sub_path(volume, base, inner, place)
        always = _kind(volume) in DIRECTORIES and _kind(volume) != "empty_dir"
        return Mount(
            host_path,
            volume_mount.mount_path if volume_mount.mount_path.startswith("/") else f"/{volume_mount.mount_path}",
            volume_mount.read_only or always or _claim_read_only(volume),
            PROPAGATION.get(volume_mount.mount_propagation, ""),
        )

    def _sub_path(self, volume: core.Volume, base: Path, inner: str, place: Sequence[str]) -> str:
        """Where a part of a volume is shown for one mount. Errors tell the pod nothing of the host; the log has the rest."""
        what = "create subPath directory"
        try:
            if _kind(volume) != "host_path" or base.is_dir():
                subpath.make(base, inner)
            what = "prepare subPath"
            return str(subpath.bind(base, inner, self._pods, place))
        except OSError as error:
            logger.warning("sub-path %s of volume %s: %s", inner, volume.name, error)
            where = f'for volumeMount "{volume.name}" of container "{place[-2]}"'
            raise RuntimeFailure(f"failed to {what} {where}", CONFIG_ERROR) from error

    def _hosts_file(self, pod: core.Pod, ips: Sequence[str]) -> str:
        path = self.pod_directory(pod.metadata.uid) / "etc-hosts"
        host = Path("/etc/hosts").read_text() if pod.spec.host_network else ""
        text = hosts_file(pod, ips, self._domain, host)
        with safepath.directory(self._pods, (pod.metadata.uid,)) as opened:
            safepath.write_file(opened, path.name, text.encode(), HOSTS_FILE_MODE)
        return str(path)

    def _termination_file(self, pod: core.Pod, container: core.Container, attempt: int) -> str:
        # Upstream gives each run's file a random name; the attempt says as much, and is found again after a crash.
        names, file = (pod.metadata.uid, "containers", container.name), f"{attempt:08x}"
        with safepath.directory(self._pods, names) as opened:
            safepath.write_file(opened, file, b"", TERMINATION_FILE_MODE)
        return str(self._pods.joinpath(*names, file))

    def devices(self, pod: core.Pod, container: core.Container) -> list[Device]:
        """What its volumeDevices name; a claim that is for reading alone gives no more."""
        volumes = {volume.name: volume for volume in pod.spec.volumes}
        return [
            Device(
                os.path.realpath(self.directory(pod, volumes[device.name])),
                device.device_path,
                "r" if _claim_read_only(volumes[device.name]) else "mrw",
            )
            for device in container.volume_devices
        ]

    async def env_files(self, pod: core.Pod, container: core.Container) -> config.Files:
        """The files that the container's variables come from: what is in the volume, is not long and is UTF-8 text."""
        asked = [(ref.volume_name, ref.path) for ref in envfile.selectors(container)]
        if not asked:
            return {}
        return await asyncio.to_thread(lambda: {place: self._env_file(pod, *place) for place in asked})

    def _env_file(self, pod: core.Pod, volume_name: str, path: str) -> str | None:
        volume = next((v for v in pod.spec.volumes if v.name == volume_name), None)
        if volume is None:
            what = f'cannot find the volume "{volume_name}" referenced by FileKeyRef'
            raise RuntimeFailure(what, CONFIG_ERROR)
        try:
            data = safepath.read_within(self.directory(pod, volume), path, envfile.MAX_FILE + 1)
            return data.decode() if len(data) <= envfile.MAX_FILE else None
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("variables of pod %s from %s in %s: %s", pod.metadata.name, path, volume_name, error)
            return None

    async def cleanup(self, pod: core.Pod) -> None:
        """Takes the volumes away; messages of ended containers stay until `remove`."""
        await asyncio.to_thread(self._clean, pod.metadata.uid, ("volumes", "volume-subpaths"))

    async def remove(self, uid: str) -> None:
        """Takes everything of a pod away."""
        await asyncio.to_thread(self._clean, uid, ("",))
        self._writing.pop(uid, None)
        self._tokens = {key: token for key, token in self._tokens.items() if key[0] != uid}
        self._hosts = {key: path for key, path in self._hosts.items() if not key.startswith(f"{uid}/")}

    def _clean(self, uid: str, parts: Sequence[str]) -> None:
        for part in parts:
            names = (uid, part) if part else (uid,)
            mount.unmount_below(self._pods.joinpath(*names))
            safepath.remove_tree(self._pods, names)

    def used_bytes(self, pod: core.Pod, volume: core.Volume) -> int:
        """What an emptyDir holds on disk."""
        return safepath.disk_usage(self.directory(pod, volume))


def _kind(volume: core.Volume) -> str | None:
    fields = (*DIRECTORIES, "host_path", *CLAIMED, "image")
    return next((name for name in fields if getattr(volume, name) is not None), None)


def memory_size(pod: core.Pod, source: core.EmptyDirVolumeSource, allocatable: Mapping[str, Quantity]) -> int:
    """Bytes that an emptyDir in memory holds: the least of its own limit, the pod's and the node's; 0: as the kernel has it."""
    of_pod = pods.limits(pod.spec).get("memory", ZERO) if limits_whole_pod(pod, "memory") else ZERO
    sizes = [source.size_limit or ZERO, of_pod, allocatable.get("memory", ZERO)]
    return min((size.value() for size in sizes if size.value() > 0), default=0)


def _claim_name(pod: core.Pod, volume: core.Volume) -> str:
    """A claim of the pod's own (generic ephemeral volume) is called after both."""
    claim = volume.persistent_volume_claim
    return claim.claim_name if claim is not None else f"{pod.metadata.name}-{volume.name}"


def _is_block(volume: core.PersistentVolume) -> bool:
    return volume.spec.volume_mode == "Block"


def _check_mode(pod: core.Pod, volume: core.Volume, persistent: core.PersistentVolume) -> None:
    """RuntimeFailure where containers want a device of a file system, or files of a device (createVolumeSpec)."""
    everyone = [*pod.spec.init_containers, *pod.spec.containers]
    where = "volumeMounts" if _is_block(persistent) else "volumeDevices"
    named = {d.name for c in everyone for d in (c.volume_mounts if _is_block(persistent) else c.volume_devices)}
    if volume.name in named:
        mode = "Block" if _is_block(persistent) else "Filesystem"
        raise RuntimeFailure(f"volume {volume.name} has volumeMode {mode}, but is specified in {where}")


def _claim_read_only(volume: core.Volume) -> bool:
    return volume.persistent_volume_claim is not None and volume.persistent_volume_claim.read_only


def _persistent_path(volume: core.PersistentVolume) -> str:
    spec = volume.spec
    if spec.host_path is not None:
        hostpath.check(spec.host_path.path, spec.host_path.type or "")
        return spec.host_path.path
    if spec.local is not None:
        if not os.path.exists(spec.local.path):
            raise RuntimeFailure(f'path "{spec.local.path}" does not exist')
        return spec.local.path
    raise RuntimeFailure("no volume plugin matched")
