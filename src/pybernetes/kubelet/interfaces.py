"""What a kubelet's parts ask of each other: who implements one of these imports nothing of who calls it.

The container runtime is CRI's (upstream: cri-api runtime/v1/api.proto), in the words of `runtime.types`. A runtime may make
the pods' network inside `run_sandbox` and write the log files itself, as CRI's do, or leave them to the kubelet, as Docker.
Whatever fails for a reason that a pod's events tell raises RuntimeFailure with their text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from pybernetes.api.types import core_v1 as core
from pybernetes.wire.duplex import Duplex
from pybernetes.wire.remotecommand import CommandStreams

from .machine.config import Files, Lookup
from .machine.events import Event
from .runtime.types import (
    Container,
    ContainerConfig,
    Device,
    ExecResult,
    Image,
    LogOptions,
    Mount,
    Resources,
    Sandbox,
    SandboxConfig,
)


class RuntimeService(Protocol):
    """One node's sandboxes and containers (CRI's RuntimeService).

    Every verb may raise RuntimeFailure; stop and remove of what is gone succeed.
    """

    async def version(self) -> tuple[str, str]:
        """Name and version: ("docker", "20.10.24"). The name is the scheme of container ids in a pod's status."""
        ...

    async def cgroup_driver(self) -> str:
        """ "cgroupfs" or "systemd" (CRI's RuntimeConfig)."""
        ...

    def restrictions(self) -> str:
        """What containers will lack on this machine, for the log; "" if nothing."""
        ...

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        """Made and started. Its `ips` are there where the runtime makes the network; else the kubelet's PodNetwork does."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """With whatever is left of its containers."""
        ...

    async def sandbox_pid(self, sandbox_id: str) -> int:
        """The process that holds the sandbox's namespaces; RuntimeFailure where none does."""
        ...

    async def port_forward(self, sandbox_id: str, port: int) -> Duplex:
        """A connection to a port of the pod, its loopback's included; ConnectionError where nobody listens."""
        ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        """Its id. The log comes to the sandbox's log directory and the container's log path, or a link to it does."""
        ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace: float) -> None:
        """Its stop signal, then SIGKILL after `grace` seconds."""
        ...

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """Other limits for a running container; the OOM score stays."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def disk_bytes(self, container_id: str) -> int:
        """What it has written on disk: beside its image, and into its log; 0 where it is gone."""
        ...

    async def list(self, pod_uid: str = "") -> tuple[Sequence[Sandbox], Sequence[Container]]:
        """All that carry the kubelet's labels, dead ones included; of one pod, or of all."""
        ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Both outputs, in order; `timeout` in seconds, 0 for none."""
        ...

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int:
        """A command with somebody at its streams; its exit code."""
        ...

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None:
        """Somebody at the streams of the container's own process; returns when that has ended."""
        ...

    def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Both streams, in order; with `follow` until the container has ended."""
        ...

    def changes(self) -> AsyncIterator[str]:
        """The uid of a pod whenever one of its containers changed; ends with RuntimeFailure when the runtime is lost.

        "" comes first: from here on nothing is missed, but everything may have changed before.
        """
        ...

    async def close(self) -> None: ...


class ImageService(Protocol):
    """One node's images (CRI's ImageService). Every verb may raise RuntimeFailure."""

    async def image_status(self, image: str) -> Image | None: ...

    async def pull_image(self, image: str, auth: str = "") -> Image:
        """Returns when it is there. `auth` is the base64 of {username, password, serveraddress}."""
        ...

    async def images(self) -> Sequence[Image]: ...

    async def remove_image(self, image: str) -> None:
        """By its id. RuntimeFailure where a container uses it; one that is gone is no error."""
        ...

    async def image_ids_in_use(self) -> Collection[str]:
        """Of every container there is, and the sandboxes' own."""
        ...

    async def image_root(self) -> str:
        """The directory that images lie in (CRI's ImageFsInfo)."""
        ...


class Runtime(RuntimeService, ImageService, Protocol):
    """Containers and images in one."""


class PodNetwork(Protocol):
    """Gives sandboxes their addresses, and tells the node whether it can."""

    @property
    def problem(self) -> str:
        """Why pods cannot have a network yet, "" where they can."""
        ...

    def set_range(self, cidr: str) -> None:
        """The node's podCIDR, whenever it is another."""
        ...

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        """The sandbox's addresses; repeatable: one that has them keeps them. Not asked for pods in the host's network."""
        ...

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        """Before the sandbox is stopped; what is gone already is no error."""
        ...

    async def keep_only(self, sandbox_ids: Collection[str], busy: Collection[str]) -> None:
        """Frees what sandboxes had that are no more, but for those of pods (uids) that are just being set up."""
        ...


class Volumes(Protocol):
    """Pods' directories on the host."""

    async def prepare(self, pod: core.Pod) -> None:
        """Makes every volume, repeatably; RuntimeFailure with FailedMount's text, or with an event's reason of its own."""
        ...

    async def mounts(
        self,
        pod: core.Pod,
        container: core.Container,
        attempt: int,
        ips: Sequence[str],
        variables: Mapping[str, str],
    ) -> list[Mount]:
        """Everything that the container mounts; RuntimeFailure with CreateContainerConfigError where it may not."""
        ...

    def devices(self, pod: core.Pod, container: core.Container) -> list[Device]:
        """The block devices of the container's volumeDevices."""
        ...

    async def env_files(self, pod: core.Pod, container: core.Container) -> Files:
        """The files in volumes that the container's variables come from."""
        ...

    async def cleanup(self, pod: core.Pod) -> None:
        """Nothing runs any more: the volumes go."""
        ...

    async def remove(self, uid: str) -> None:
        """The pod is no more: everything of it goes."""
        ...

    async def refresh(self, pod: core.Pod) -> None:
        """Brings changed config maps, secrets and tokens in; what fails stays as it is."""
        ...

    def used_bytes(self, pod: core.Pod, volume: core.Volume) -> int:
        """What an emptyDir holds on disk. Blocks."""
        ...

    def known(self) -> Collection[str]:
        """The uids whose directories are there."""
        ...


class Prober(Protocol):
    """Asks containers whether they live, and runs their hooks."""

    async def probe(
        self, pod: core.Pod, container: core.Container, container_id: str, probe: core.Probe, ip: str
    ) -> tuple[bool | None, str]:
        """Healthy or not, and the failure's or a warning's text. RuntimeFailure where the runtime could not ask."""
        ...

    async def hook(
        self, pod: core.Pod, container: core.Container, container_id: str, handler: core.LifecycleHandler, ip: str
    ) -> None:
        """Returns when it has ended; RuntimeFailure with the event's text where it fails."""
        ...


class Images(Protocol):
    """Looks for images and pulls them, with the credentials that the pod has for them."""

    async def present(self, pod: core.Pod, image: str) -> Image | None:
        """The image, where the node has it. RuntimeFailure where the runtime could not look."""
        ...

    async def pull(self, pod: core.Pod, image: str) -> Image:
        """RuntimeFailure with the waiting reason where it is one of its own, such as InvalidImageName."""
        ...


class Cgroups(Protocol):
    """The pods' own cgroups, around their containers'."""

    async def ensure(self, pod: core.Pod) -> None: ...

    async def remove(self, pod: core.Pod) -> None: ...

    def keep_only(self, uids: Collection[str]) -> None:
        """What belongs to other pods goes."""
        ...


class Cluster(Protocol):
    """The API as a pod's worker needs it. ConnectionError or StatusError where the server does not do it."""

    async def set_status(self, pod: core.Pod, status: core.PodStatus) -> None: ...

    async def delete(self, pod: core.Pod) -> None:
        """The object, at once."""
        ...

    def record(self, pod: core.Pod, event: Event) -> None:
        """Queues an event; never waits."""
        ...

    async def lookup(self, pod: core.Pod) -> Lookup:
        """The config maps and secrets that the pod's containers name, fetched."""
        ...

    async def runtime_handler(self, name: str) -> str:
        """That of a RuntimeClass; RuntimeFailure where there is none of the name."""
        ...

    def services(self, pod: core.Pod) -> Mapping[str, str]:
        """The variables that tell of the services in the pod's namespace."""
        ...
