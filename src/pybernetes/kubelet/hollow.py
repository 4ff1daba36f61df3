"""The parts of a hollow node: addresses, volumes and probes that cost nothing (upstream: kubemark's hollow_kubelet.go)."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Collection, Mapping, Sequence

from pybernetes.api.types import core_v1 as core

from .runtime.types import Mount, Sandbox


class HollowNetwork:
    """Addresses of a range, one after the other."""

    def __init__(self, cidr: str = "10.244.0.0/16") -> None:
        self._network = ipaddress.ip_network(cidr)
        self._next = itertools.cycle(range(2, self._network.num_addresses - 1))

    @property
    def problem(self) -> str:
        return ""

    def set_range(self, cidr: str) -> None:
        pass

    async def keep_only(self, sandbox_ids: Collection[str], busy: Collection[str]) -> None:
        pass

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        return (str(self._network[next(self._next)]),)

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        pass


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
        return True, ""

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
