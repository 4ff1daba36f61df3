"""The parts of a hollow node: addresses, images, volumes and probes that cost nothing (upstream: kubemark's hollow_kubelet.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence

import msgspec

from pybernetes.api.types import core_v1 as core

from .machine import config, envfile
from .runtime.hollow import image as hollow_image
from .runtime.hollowscript import ScriptError, is_scripted, script
from .runtime.types import Device, Image, Mount, RuntimeFailure, Sandbox

FIRST_ADDRESS = 2  # the network's own and, by custom, its gateway's come before
NEVER_READY = core.Probe(exec=core.ExecAction(command=["never-ready"]), period_seconds=10, failure_threshold=1)


class HollowAddresses:
    """Addresses of a range, one after the other, none twice at a time."""

    def __init__(self, cidr: str = "10.244.0.0/16") -> None:
        self._network = ipaddress.ip_network(cidr)
        self._size = self._network.num_addresses - 1 - FIRST_ADDRESS  # the last is the broadcast
        self._next = 0
        self._taken: set[str] = set()

    def take(self) -> str:
        """RuntimeFailure where all are in use."""
        if len(self._taken) >= self._size:
            raise RuntimeFailure(f"failed to allocate an address: all of {self._network} are in use")
        while True:
            address = str(self._network[FIRST_ADDRESS + self._next])
            self._next = (self._next + 1) % self._size
            if address not in self._taken:
                self._taken.add(address)
                return address

    def give_back(self, address: str) -> None:
        """It can be taken again."""
        self._taken.discard(address)


class HollowNetwork:
    """Pods have addresses of the node's range; as long as it has none, of those that all nodes of the process share."""

    def __init__(self, shared: HollowAddresses | None = None) -> None:
        self._addresses = shared or HollowAddresses()
        self._range = ""
        self._by_sandbox: dict[str, tuple[HollowAddresses, str]] = {}

    @property
    def problem(self) -> str:
        return ""

    def set_range(self, cidr: str) -> None:
        if cidr not in ("", self._range):
            self._range, self._addresses = cidr, HollowAddresses(cidr)

    async def keep_only(self, sandbox_ids: Collection[str], busy: Collection[str]) -> None:
        pass

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        if sandbox.id not in self._by_sandbox:
            self._by_sandbox[sandbox.id] = self._addresses, self._addresses.take()
        return (self._by_sandbox[sandbox.id][1],)

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        if sandbox_id in self._by_sandbox:
            addresses, address = self._by_sandbox.pop(sandbox_id)
            addresses.give_back(address)


class HollowImages:
    """Implements interfaces.Images: every image is there, but those that a pod's script says cannot be pulled."""

    async def present(self, pod: core.Pod, image: str) -> Image | None:
        return None if _pull_error(pod, image) else hollow_image(image)

    async def pull(self, pod: core.Pod, image: str) -> Image:
        error = _pull_error(pod, image)
        if error:
            raise RuntimeFailure(f"rpc error: code = Unknown desc = {error}", "ErrImagePull")
        return hollow_image(image)


def _pull_error(pod: core.Pod, image: str) -> str:
    """That of the first container with this image that has one. What is senseless is refused when the container is made."""
    if is_scripted(pod.metadata.annotations):
        for container in [*pod.spec.init_containers, *pod.spec.containers]:
            try:
                chosen = script(pod.metadata.annotations, container.name)
            except ScriptError:
                continue
            if container.image == image and chosen.pull_error:
                return chosen.pull_error
    return ""


def as_scripted(pod: core.Pod) -> core.Pod:
    """The pod as its kubelet is to see it: containers that are never ready have a probe that says so."""
    annotations = pod.metadata.annotations
    if not is_scripted(annotations):
        return pod

    def changed(container: core.Container) -> core.Container:
        try:
            never_ready = script(annotations, container.name).never_ready
        except ScriptError:
            never_ready = False
        return msgspec.structs.replace(container, readiness_probe=NEVER_READY) if never_ready else container

    spec = msgspec.structs.replace(pod.spec, containers=[changed(container) for container in pod.spec.containers])
    return msgspec.structs.replace(pod, spec=spec)


class HollowVolumes:
    async def prepare(self, pod: core.Pod) -> None:
        pass

    async def mounts(
        self,
        pod: core.Pod,
        container: core.Container,
        attempt: int,
        ips: Sequence[str],
        variables: Mapping[str, str],
    ) -> list[Mount]:
        return []

    def devices(self, pod: core.Pod, container: core.Container) -> list[Device]:
        return []

    async def env_files(self, pod: core.Pod, container: core.Container) -> config.Files:
        """Nobody has written them: their keys are there, and empty."""
        keys: dict[tuple[str, str], str] = {}
        for ref in envfile.selectors(container):
            place = ref.volume_name, ref.path
            keys[place] = f"{keys.get(place, '')}{ref.key}=''\n"
        return keys

    async def cleanup(self, pod: core.Pod) -> None:
        pass

    async def remove(self, uid: str) -> None:
        pass

    async def refresh(self, pod: core.Pod) -> None:
        pass

    def used_bytes(self, pod: core.Pod, volume: core.Volume) -> int:
        return 0

    def known(self) -> Collection[str]:
        return ()


class HollowProber:
    async def probe(
        self, pod: core.Pod, container: core.Container, container_id: str, probe: core.Probe, ip: str
    ) -> tuple[bool, str]:
        return (False, "it is scripted to be never ready") if probe == NEVER_READY else (True, "")

    async def hook(
        self, pod: core.Pod, container: core.Container, container_id: str, handler: core.LifecycleHandler, ip: str
    ) -> None:
        pass


class HollowCgroups:
    async def ensure(self, pod: core.Pod) -> None:
        pass

    async def remove(self, pod: core.Pod) -> None:
        pass

    def keep_only(self, uids: Collection[str]) -> None:
        pass
