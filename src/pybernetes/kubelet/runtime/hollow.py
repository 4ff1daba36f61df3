"""Containers that 'run' without processes: for clusters of thousands of nodes in one process (as kubemark's hollow nodes)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pybernetes.aio.clock import RealClock
from pybernetes.wire.duplex import Duplex
from pybernetes.wire.remotecommand import CommandStreams

from .types import Container, ContainerConfig, ExecResult, Image, LogOptions, RuntimeFailure, Sandbox, SandboxConfig


class HollowRuntime:
    """Implements interfaces.Runtime: every image is present, every command runs until stopped, every exec succeeds."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or RealClock().now
        self._ids = itertools.count(1)
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}

    def _id(self) -> str:
        return f"{next(self._ids):064x}"

    async def version(self) -> tuple[str, str]:
        return "hollow", "1.0.0"

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        uid = self._id()
        sandbox = Sandbox(uid, config.pod_name, config.namespace, config.uid, config.attempt, True, self._now())
        self.sandboxes[uid] = sandbox
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        if sandbox_id in self.sandboxes:
            self.sandboxes[sandbox_id] = replace(self.sandboxes[sandbox_id], ready=False)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self.sandboxes.pop(sandbox_id, None)

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        if sandbox_id not in self.sandboxes:
            raise RuntimeFailure(f"sandbox {sandbox_id!r} not found")
        uid = self._id()
        self.containers[uid] = Container(
            uid,
            config.name,
            sandbox.uid,
            config.attempt,
            "created",
            config.image,
            f"hollow://{config.image}",
            created_at=self._now(),
        )
        return uid

    async def start_container(self, container_id: str) -> None:
        self.containers[container_id] = replace(self._get(container_id), state="running", started_at=self._now())

    async def stop_container(self, container_id: str, grace: float) -> None:
        if container_id in self.containers:
            self.end(container_id, 0)

    def end(self, container_id: str, exit_code: int) -> None:
        """Lets a container's command end, as a test or a simulated failure wants it."""
        container = self._get(container_id)
        if container.state != "running":
            return
        ended = replace(container, state="exited", exit_code=exit_code, finished_at=self._now())
        self.containers[container_id] = ended
        self._changed.put_nowait(ended.pod_uid)

    async def remove_container(self, container_id: str) -> None:
        self.containers.pop(container_id, None)

    async def list(self, pod_uid: str = "") -> tuple[Sequence[Sandbox], Sequence[Container]]:
        sandboxes = [s for s in self.sandboxes.values() if pod_uid in ("", s.uid)]
        return sandboxes, [c for c in self.containers.values() if pod_uid in ("", c.pod_uid)]

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        self._get(container_id)
        return ExecResult(0, b"")

    async def image_status(self, image: str) -> Image | None:
        return Image(f"hollow://{image}", f"hollow://{image}", (image,))

    async def pull_image(self, image: str, auth: str = "") -> Image:
        return Image(f"hollow://{image}", f"hollow://{image}", (image,))

    async def images(self) -> Sequence[Image]:
        return ()

    async def cgroup_driver(self) -> str:
        return "cgroupfs"

    def restrictions(self) -> str:
        return ""

    async def sandbox_pid(self, sandbox_id: str) -> int:
        raise RuntimeFailure("a hollow sandbox has no process")

    async def port_forward(self, sandbox_id: str, port: int) -> Duplex:
        raise ConnectionRefusedError("nothing listens in a hollow pod")

    async def remove_image(self, image: str) -> None:
        pass

    async def image_ids_in_use(self) -> set[str]:
        return set()

    async def image_root(self) -> str:
        raise RuntimeFailure("hollow images lie nowhere")

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int:
        self._get(container_id)
        return 0

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None:
        self._get(container_id)

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        self._get(container_id)
        yield b""

    async def changes(self) -> AsyncIterator[str]:
        yield ""
        while True:
            yield await self._changed.get()

    async def close(self) -> None:
        self.sandboxes.clear()
        self.containers.clear()

    def _get(self, container_id: str) -> Container:
        if container_id not in self.containers:
            raise RuntimeFailure(f"container {container_id!r} not found")
        return self.containers[container_id]
