"""The pods' network where the container runtime makes it, as CRI's runtimes do through CNI."""

from __future__ import annotations

from collections.abc import Collection

from pybernetes.api.types import core_v1 as core

from ..runtime.types import RuntimeFailure, Sandbox


class RuntimeNetwork:
    """Implements interfaces.PodNetwork by what the runtime has said of a sandbox that it started."""

    @property
    def problem(self) -> str:
        return ""

    def set_range(self, cidr: str) -> None:
        """The runtime's network takes its range from its own configuration."""

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        """The addresses that came with the sandbox; RuntimeFailure where it came without."""
        if not sandbox.ips:
            raise RuntimeFailure(f"the container runtime gave sandbox {sandbox.id[:12]} no address")
        return sandbox.ips

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        """The runtime does it when the sandbox is stopped."""

    async def keep_only(self, sandbox_ids: Collection[str], busy: Collection[str]) -> None:
        """The runtime's addresses go with its sandboxes."""
