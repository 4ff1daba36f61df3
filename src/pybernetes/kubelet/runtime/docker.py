"""Pods as containers of the Docker engine, through its HTTP API (upstream: pkg/kubelet/dockershim, today cri-dockerd)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pybernetes.wire.duplex import SocketDuplex

from .. import safepath
from . import dockerconfig as d
from . import netns, pause
from .dockerapi import DEFAULT_ENDPOINT, DockerAPI, DockerError, DockerGone
from .dockerstreams import DockerStreams
from .types import (
    Container,
    ContainerConfig,
    Image,
    LogOptions,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxConfig,
)

logger = logging.getLogger(__name__)

EVENTS = ("die", "destroy", "oom")  # what starts was started by this kubelet, which looks at it then
TERMINATION_BYTES = 4096  # upstream's MaxContainerTerminationMessageLength
TERMINATION_LOG_BYTES, TERMINATION_LOG_LINES = 2048, 80
CAP_SYS_RESOURCE = 24
IMAGE_MOUNTS = (1, 48)  # the API version that has them
STOP_SLACK = 30.0  # the daemon's own time on top of a container's grace
PULL_SECONDS: float | None = None  # a big image may take long; the stream shows that it goes on


def may_raise_priority(status: str) -> bool:
    """Whether CAP_SYS_RESOURCE is in the bounding set of /proc/PID/status: without it negative OOM scores are refused."""
    line = next((line for line in status.splitlines() if line.startswith("CapBnd:")), "CapBnd: 0")
    return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


class DockerRuntime(DockerStreams):
    """Implements interfaces.Runtime. `sandbox_image` "" is the package's own, which is loaded where it is not there.

    `bridged`: pods are on Docker's bridge, which it makes as dockerd's --bip and --mtu say. `log_options`: max-size and max-file of
    containers' logs; {} leaves the daemon's.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        sandbox_image: str = "",
        *,
        bridged: bool = False,
        log_options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(DockerAPI(endpoint))
        self._sandbox_image, self._bridged = sandbox_image, bridged
        self._log_options = dict(log_options or {})
        self._sandbox_ready = False
        self._loading = asyncio.Lock()
        self._docker_info: d.Json = {}
        # More at once only make each other slower: Docker's own work is bound by the processors.
        self._gate = asyncio.Semaphore(max(2 * (os.cpu_count() or 1), 4))
        self._links: dict[str, str] = {}  # where collectors find the log of each container
        self._containers: dict[str, tuple[str, Container]] = {}  # id -> (Docker's state, what was read then)
        self._images: dict[str, Any] = {}  # id -> inspected; what an ID names never changes but for its tags
        self._full_rights = may_raise_priority(Path("/proc/self/status").read_text())

    def restrictions(self) -> str:
        """What containers will lack on this machine, for the log; "" if nothing."""
        if self._full_rights:
            return ""
        return "this machine has no CAP_SYS_RESOURCE: OOM scores under 0 become 0, privileged containers lack that capability"

    async def close(self) -> None:
        await self.api.close()

    async def version(self) -> tuple[str, str]:
        return "docker", str((await self.api.get("/version"))["Version"])

    async def cgroup_driver(self) -> str:
        """ "cgroupfs" or "systemd"."""
        return str((await self._info())["CgroupDriver"])

    async def _info(self) -> d.Json:
        """What the daemon says of itself; asked once, since it does not change while it runs."""
        if not self._docker_info:
            self._docker_info = await self.api.get("/info")
        return self._docker_info

    async def _parent(self, path: str) -> str:
        return d.systemd_slice(path) if path and await self.cgroup_driver() == "systemd" else path

    def _oom_score(self, score: int) -> int:
        return score if self._full_rights else max(score, 0)

    # Sandboxes.

    async def _ensure_sandbox_image(self) -> str:
        name = self._sandbox_image or pause.IMAGE
        async with self._loading:
            if not self._sandbox_ready:
                if await self.image_status(name) is None:
                    if self._sandbox_image:
                        await self.pull_image(name)
                    else:
                        await self.api.post("/images/load", pause.archive(), {"quiet": True})
                self._sandbox_ready = True
        return name

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        if not config.host_users:
            # Docker maps users for all containers of a daemon or for none; the words are upstream's.
            raise RuntimeFailure("the default runtime handler does not support user namespaces")
        handler = config.runtime_handler
        if handler not in d.OWN_HANDLERS and handler not in (await self._info()).get("Runtimes", {}):
            raise RuntimeFailure(f'RuntimeHandler "{handler}" not supported')
        image = await self._ensure_sandbox_image()
        body = d.sandbox_create(
            config,
            image,
            await self._parent(config.cgroup_parent),
            self._oom_score(d.SANDBOX_OOM_SCORE),
            self._bridged,
        )
        name = d.container_name(d.SANDBOX_NAME, config, config.attempt)
        try:
            uid = await self._create(name, body)
        except DockerError as error:
            if error.status == 404:
                self._sandbox_ready = False  # somebody removed the image: the next try loads it again
            raise
        try:
            async with self._gate:
                await self.api.post(f"/containers/{uid}/start")
            inspected = await self.api.get(f"/containers/{uid}/json")
            if config.resolv_conf:
                Path(inspected["ResolvConfPath"]).write_text(config.resolv_conf)
        except (RuntimeFailure, OSError):
            await self.remove_sandbox(uid)
            raise
        created = d.time_of(inspected["Created"])
        assert created is not None
        pid = int(inspected["State"]["Pid"])
        ips = d.addresses(inspected) if self._bridged else ()
        return Sandbox(uid, config.pod_name, config.namespace, config.uid, config.attempt, True, created, pid, ips)

    async def _create(self, name: str, body: d.Json, version: tuple[int, int] | None = None) -> str:
        async def create() -> str:
            return str((await self.api.post("/containers/create", body, {"name": name}, version=version))["Id"])

        try:
            async with self._gate:
                return await create()
        except DockerError as error:
            if error.status != 409:
                raise
            # A former try has left one of this name that never started; nothing else can be called so.
            await self.api.delete(f"/containers/{name}", {"force": True, "v": True})
            return await create()

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self.stop_container(sandbox_id, 0)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.remove_container(sandbox_id)

    # Containers.

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        score = self._oom_score(config.resources.oom_score_adj)
        parent = await self._parent(sandbox.cgroup_parent)
        profile = d.seccomp_profile(config)
        if profile:
            text = await asyncio.to_thread(_seccomp, profile)
            config = replace(config, security=replace(config.security, seccomp=text))
        body = d.container_create(config, sandbox, sandbox_id, parent, score, self._full_rights)
        body["HostConfig"]["LogConfig"]["Config"] = self._log_options
        version = IMAGE_MOUNTS if any(mount.image for mount in config.mounts) else None
        if version is not None and not await self.api.speaks(version):
            raise RuntimeFailure("image volumes are not supported by this Docker engine: it has no mounts of images")
        uid = await self._create(d.container_name(config.name, sandbox, config.attempt), body, version)
        self._links[uid] = d.log_path(config, sandbox)
        return uid

    async def start_container(self, container_id: str) -> None:
        async with self._gate:
            await self.api.post(f"/containers/{container_id}/start")
        link = self._links.get(container_id, "")
        if link:
            log = f"{(await self._info())['DockerRootDir']}/containers/{container_id}/{container_id}-json.log"
            try:
                await asyncio.to_thread(_link_log, log, Path(link))
            except OSError as error:
                raise RuntimeFailure(f"making the log link {link}: {error}") from error

    async def stop_container(self, container_id: str, grace: float) -> None:
        query = {"t": max(int(grace + 0.5), 0)}
        try:
            await self.api.post(f"/containers/{container_id}/stop", None, query, grace + STOP_SLACK)
        except DockerError as error:
            if error.status not in (304, 404, 409):  # it has ended, is gone, or is just being removed
                raise

    async def update_container(self, container_id: str, resources: Resources) -> None:
        await self.api.post(f"/containers/{container_id}/update", d.limits_update(resources))

    async def remove_container(self, container_id: str) -> None:
        cached = self._containers.pop(container_id, None)
        if cached is not None and cached[1].termination_path:
            Path(cached[1].termination_path).unlink(missing_ok=True)
        try:
            await self.api.delete(f"/containers/{container_id}", {"force": True, "v": True})
        except DockerError as error:
            if error.status not in (404, 409):  # 409: it is being removed already
                raise
        link = self._links.pop(container_id, "")
        if link:
            try:
                await asyncio.to_thread(_unlink_log, container_id, Path(link))
            except OSError as error:
                logger.warning("log link %s is left: %s", link, error)

    async def disk_bytes(self, container_id: str) -> int:
        try:
            inspected = await self.api.get(f"/containers/{container_id}/json", {"size": True})
        except DockerError as error:
            if error.status in (404, 409):
                return 0
            raise
        return int(inspected.get("SizeRw") or 0) + await asyncio.to_thread(_size, inspected.get("LogPath") or "")

    # What there is.

    async def list(self, pod_uid: str = "") -> tuple[Sequence[Sandbox], Sequence[Container]]:
        label = f"{d.POD_UID}={pod_uid}" if pod_uid else d.POD_UID
        query = {"all": True, "filters": {"label": [label]}}
        entries = await self.api.get("/containers/json", query)
        sandboxes: list[Sandbox] = []
        containers: list[Container] = []
        for entry in entries:
            kind = entry["Labels"].get(d.CONTAINER_TYPE)
            if kind == d.SANDBOX:
                sandbox = d.sandbox_of(entry)
                if sandbox is not None:
                    sandboxes.append(sandbox)
            elif kind == d.CONTAINER and d.name_parts(entry["Names"]) is not None:
                self._links[entry["Id"]] = entry["Labels"].get(d.LOG_PATH, "")
                container = await self._container(entry["Id"], entry["State"])
                if container is not None:
                    containers.append(container)
        if not pod_uid:
            present = {entry["Id"] for entry in entries}
            self._containers = {uid: cached for uid, cached in self._containers.items() if uid in present}
            self._links = {uid: link for uid, link in self._links.items() if uid in present}
        return sandboxes, containers

    async def _container(self, uid: str, state: str) -> Container | None:
        """What is known, or what Docker says where its state has changed; None for one that went away meanwhile."""
        cached = self._containers.get(uid)
        if cached is not None and cached[0] == state and state != "created":
            return cached[1]
        try:
            inspected = await self.api.get(f"/containers/{uid}/json")
            container = d.container_of(inspected, await self._image(inspected["Image"]))
            if container.state == "exited":
                container = await self._with_message(
                    container, inspected["Config"]["Labels"].get(d.TERMINATION_POLICY, "")
                )
        except DockerError as error:
            if error.status in (404, 409):  # 409: it is just being removed
                return None
            raise
        self._containers[uid] = (inspected["State"]["Status"], container)
        return container

    async def _image(self, uid: str) -> Any:
        if uid not in self._images:
            try:
                self._images[uid] = await self.api.get(f"/images/{uid}/json")
            except DockerError as error:
                if error.status != 404:
                    raise
                return None
        return self._images[uid]

    async def _with_message(self, container: Container, policy: str) -> Container:
        text = ""
        if container.termination_path:
            text = await asyncio.to_thread(_tail, container.termination_path, TERMINATION_BYTES)
        if not text and policy == "FallbackToLogsOnError" and container.exit_code != 0:
            options = LogOptions(tail=TERMINATION_LOG_LINES)
            data = b"".join([piece async for piece in self.logs(container.id, options)])
            text = data[-TERMINATION_LOG_BYTES:].decode(errors="replace")
        message = ": ".join(part for part in (container.message, text) if part)
        return replace(container, message=message)

    async def sandbox_pid(self, sandbox_id: str) -> int:
        """Its first process; RuntimeFailure where it does not run."""
        pid = int((await self.api.get(f"/containers/{sandbox_id}/json"))["State"]["Pid"])
        if not pid:
            raise RuntimeFailure(f"sandbox {sandbox_id[:12]} does not run")
        return pid

    async def port_forward(self, sandbox_id: str, port: int) -> SocketDuplex:
        try:
            return await netns.connect(await self.sandbox_pid(sandbox_id), port)
        except RuntimeFailure as error:
            raise ConnectionError(str(error)) from error

    async def changes(self) -> AsyncIterator[str]:
        filters = {"type": ["container"], "event": list(EVENTS), "label": [d.POD_UID]}
        async with self.api.stream("GET", "/events", {"filters": filters}) as answer:
            yield ""
            async for event in _json_lines(answer):
                uid = event.get("Actor", {}).get("Attributes", {}).get(d.POD_UID)
                if uid:
                    yield uid
        raise DockerGone("the Docker daemon ended its events")

    # Images.

    async def image_status(self, image: str) -> Image | None:
        try:
            inspected = await self.api.get(f"/images/{image}/json")
        except DockerError as error:
            if error.status == 404:
                return None
            raise
        self._images[inspected["Id"]] = inspected
        return d.image_of(inspected)

    async def pull_image(self, image: str, auth: str = "") -> Image:
        headers = {"X-Registry-Auth": auth} if auth else {}
        name, tag = image_name(image)
        query = {"fromImage": name, "tag": tag}
        async with self.api.stream("POST", "/images/create", query, headers) as answer:
            async for progress in _json_lines(answer):
                if "error" in progress:
                    # A failure in the midst of the stream; worded as one before it.
                    raise DockerError(500, str(progress["error"]).removeprefix("Error response from daemon: "))
        pulled = await self.image_status(image)
        if pulled is None:
            raise RuntimeFailure(f'image "{image}" was pulled but is not there')
        return pulled

    async def remove_image(self, image: str) -> None:
        """RuntimeFailure where a container uses it."""
        try:
            await self.api.delete(f"/images/{image}")
        except DockerError as error:
            if error.status != 404:
                raise

    async def image_root(self) -> str:
        return str((await self._info())["DockerRootDir"])

    async def image_ids_in_use(self) -> set[str]:
        """Of every container there is, and the sandbox's own."""
        entries = await self.api.get("/containers/json", {"all": True})
        own = await self.image_status(self._sandbox_image or pause.IMAGE)
        return {entry["ImageID"] for entry in entries} | ({own.id} if own is not None else set())

    async def images(self) -> Sequence[Image]:
        entries = await self.api.get("/images/json")
        present = {entry["Id"] for entry in entries}
        self._images = {uid: inspected for uid, inspected in self._images.items() if uid in present}
        result = []
        for entry in entries:
            tags = [tag for tag in entry.get("RepoTags") or () if tag != "<none>:<none>"]
            digests = [digest for digest in entry.get("RepoDigests") or () if digest != "<none>@<none>"]
            result.append(Image(entry["Id"], d.image_ref(entry), (*digests, *tags), entry["Size"]))
        return result


def image_name(image: str) -> tuple[str, str]:
    """Name and tag of a reference as /images/create wants them; a digest counts as a tag."""
    if "@" in image:
        name, _, digest = image.partition("@")
        return name, digest
    head, slash, last = image.rpartition("/")
    name, colon, tag = last.partition(":")
    return head + slash + name, tag if colon else "latest"


def _seccomp(path: str) -> str:
    """A profile's text; RuntimeFailure, which stops the container, where it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file))
    except OSError as error:
        reason = f"open {path}: {(error.strerror or str(error)).lower()}"
    except ValueError as error:
        reason = f"it is no JSON: {error}"
    raise RuntimeFailure(f'cannot load seccomp profile "{path}": {reason}', "CreateContainerError")


def _size(path: str) -> int:
    """Of a file and those that were rotated beside it; what is gone has none."""
    if not path:  # its log is kept elsewhere
        return 0
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.name.startswith(name))
    except OSError as error:
        logger.debug("size of log %s: %s", path, error)
        return 0


def _link_log(log: str, link: Path) -> None:
    """LOGS/POD/CONTAINER/ATTEMPT.log; pods that collect logs may write below LOGS, which the administrator has made."""
    root = link.parents[2]
    root.mkdir(parents=True, exist_ok=True)
    with safepath.directory(root, link.relative_to(root).parts[:-1]) as folder, contextlib.suppress(FileExistsError):
        os.symlink(log, link.name, dir_fd=folder)


def _unlink_log(container_id: str, link: Path) -> None:
    """Takes away what `_link_log` made: the link if it leads to this container's log, then the folders that are empty."""
    root, names = link.parents[2], link.relative_to(link.parents[2]).parts
    try:
        for depth in (2, 1, 0):
            folder = safepath.open_below(root, names[:depth])
            try:
                if depth < 2:
                    os.rmdir(names[depth], dir_fd=folder)
                elif container_id in os.readlink(names[2], dir_fd=folder):
                    os.unlink(names[2], dir_fd=folder)
            finally:
                os.close(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # another attempt, or another container of the pod
            raise


def _tail(path: str, limit: int) -> str:
    """The last bytes of a file, "" where there is none."""
    try:
        with open(safepath.open_regular(path), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - limit, 0))
            return file.read(limit).decode(errors="replace")
    except OSError as error:
        logger.debug("termination message: %s", error)
        return ""


async def _json_lines(stream: Any) -> AsyncIterator[Any]:
    rest = b""
    async for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
    if rest.strip():
        yield json.loads(rest)
