"""Containers that 'run' without processes: for clusters of thousands of nodes in one process (as kubemark's hollow nodes)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.wire.duplex import Duplex, SocketDuplex
from pybernetes.wire.remotecommand import CommandStreams

from .hollowscript import NO_CONTAINERS, Script, ScriptError, script
from .types import (
    Container,
    ContainerConfig,
    ExecResult,
    Image,
    LogOptions,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxConfig,
)

USER = "65532"  # what images run as by themselves, as distroless' nonroot: nothing is known of them that forbids runAsNonRoot
LOOPBACK = "127.0.0.1"
CONFIG_ERROR = "CreateContainerConfigError"
ExecHandler = Callable[[Sequence[str]], Awaitable[ExecResult]]  # of a command; what it raises fails the exec


def image(name: str) -> Image:
    """An image of any name, as it would be here."""
    return Image(f"hollow://{name}", f"hollow://{name}", (name,), user=USER)


def container_ids() -> Iterator[str]:
    """Shared by the runtimes of one process, so that an id names one container."""
    return (f"{number:064x}" for number in itertools.count(1))


@dataclass(slots=True)
class _Run:
    """What a container pretends; `ending` is what will end it."""

    script: Script
    ending: asyncio.Task[None] | None = None


class HollowRuntime:
    """Implements interfaces.Runtime: every image is present, every container does what its pod's annotations say (hollowscript)."""

    def __init__(
        self,
        now: Callable[[], datetime] | None = None,
        clock: Clock | None = None,
        ids: Iterator[str] | None = None,
        handlers: Mapping[str, ExecHandler] | None = None,
    ) -> None:
        """`handlers` by the names that scripts call them by; more may come later."""
        self._handlers = handlers if handlers is not None else {}
        self._clock: Clock = clock or RealClock()
        self._now = now or self._clock.now
        self._ids = ids or container_ids()
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        self._runs: dict[str, _Run] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}

    async def version(self) -> tuple[str, str]:
        return "hollow", "1.0.0"

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        uid = next(self._ids)
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
        ends = config.restart_policy in ("Never", "OnFailure")
        try:
            chosen = script(sandbox.annotations, config.name, init=config.init, ends=ends)
        except ScriptError as error:
            raise RuntimeFailure(str(error), CONFIG_ERROR) from error
        uid = next(self._ids)
        self._runs[uid] = _Run(chosen)
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
        run = self._runs[container_id]
        if run.script.exit_after == 0:
            self.end(container_id, run.script.exit_code, run.script.exit_reason)
        elif run.script.exit_after is not None:
            run.ending = asyncio.ensure_future(self._end_later(container_id, run.script))

    async def _end_later(self, container_id: str, chosen: Script) -> None:
        await self._clock.sleep(chosen.exit_after or 0.0)
        self._runs[container_id].ending = None
        self.end(container_id, chosen.exit_code, chosen.exit_reason)

    async def stop_container(self, container_id: str, grace: float) -> None:
        if container_id in self.containers:
            self.end(container_id, 0)

    def end(self, container_id: str, exit_code: int, reason: str = "") -> None:
        """Lets a container's command end, as a test or a simulated failure wants it."""
        container = self._get(container_id)
        if container.state != "running":
            return
        self._forget_ending(container_id)
        ended = replace(container, state="exited", exit_code=exit_code, reason=reason, finished_at=self._now())
        self.containers[container_id] = ended
        self._changed.put_nowait(ended.pod_uid)

    def _forget_ending(self, container_id: str) -> None:
        run = self._runs.get(container_id)
        if run is not None and run.ending is not None:
            run.ending.cancel()
            run.ending = None

    async def update_container(self, container_id: str, resources: Resources) -> None:
        self._get(container_id)

    async def disk_bytes(self, container_id: str) -> int:
        return 0

    async def remove_container(self, container_id: str) -> None:
        self._forget_ending(container_id)
        self._runs.pop(container_id, None)
        self.containers.pop(container_id, None)

    async def list(self, pod_uid: str = "") -> tuple[Sequence[Sandbox], Sequence[Container]]:
        sandboxes = [s for s in self.sandboxes.values() if pod_uid in ("", s.uid)]
        return sandboxes, [c for c in self.containers.values() if pod_uid in ("", c.pod_uid)]

    async def image_status(self, image_name: str) -> Image | None:
        return image(image_name)

    async def pull_image(self, image_name: str, auth: str = "") -> Image:
        return image(image_name)

    async def images(self) -> Sequence[Image]:
        return ()

    async def cgroup_driver(self) -> str:
        return "cgroupfs"

    def restrictions(self) -> str:
        return ""

    async def sandbox_pid(self, sandbox_id: str) -> int:
        raise RuntimeFailure("a hollow sandbox has no process")

    async def remove_image(self, image_name: str) -> None:
        pass

    async def image_ids_in_use(self) -> set[str]:
        return set()

    async def image_root(self) -> str:
        raise RuntimeFailure("hollow images lie nowhere")

    # What somebody asks of a container: only what the script answers.

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        return await self._answer_command(container_id, command)

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int:
        result = await self._answer_command(container_id, command)
        if result.output:
            await streams.write_stdout(result.output)
        return result.exit_code

    async def _answer_command(self, container_id: str, command: Sequence[str]) -> ExecResult:
        self._get(container_id)
        chosen = self._runs[container_id].script
        if chosen.exec_handler:
            handler = self._handlers.get(chosen.exec_handler)
            if handler is None:
                raise RuntimeFailure(f"nobody has registered the exec-handler {chosen.exec_handler!r}")
            return await handler(command)
        if chosen.exec_output is None and not chosen.exec_exit_code:
            raise RuntimeFailure(NO_CONTAINERS)
        return ExecResult(chosen.exec_exit_code, (chosen.exec_output or "").encode())

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None:
        """Shows the scripted logs from their beginning, and lasts as long as the container runs."""
        self._get(container_id)
        if self._runs[container_id].script.logs is None:
            raise RuntimeFailure(NO_CONTAINERS)
        async for line in self.logs(container_id, LogOptions(follow=True)):
            await streams.write_stdout(line)

    async def port_forward(self, sandbox_id: str, port: int) -> Duplex:
        """To the port of this machine that the script names. ConnectionRefusedError where it names none, or nobody listens there."""
        sandbox = self.sandboxes.get(sandbox_id)
        inside = [one.id for one in self.containers.values() if sandbox is not None and one.pod_uid == sandbox.uid]
        local = next((to for uid in inside if (to := self._runs[uid].script.forwarded(port)) is not None), None)
        if local is None:
            raise ConnectionRefusedError(NO_CONTAINERS)
        return SocketDuplex(*await asyncio.open_connection(LOOPBACK, local))

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        container = self._get(container_id)
        chosen = self._runs[container_id].script
        lines = (NO_CONTAINERS if chosen.logs is None else chosen.logs).splitlines() if options.stdout else []
        begun = container.started_at or container.created_at or self._now()
        if options.since is None or options.since <= begun:
            stamp = f"{begun:%Y-%m-%dT%H:%M:%S.000000000Z} " if options.timestamps else ""
            for line in lines if options.tail is None else lines[len(lines) - min(options.tail, len(lines)) :]:
                yield f"{stamp}{line}\n".encode()
        while options.follow and self._runs_on(container_id):
            await self._clock.sleep(1.0)

    def _runs_on(self, container_id: str) -> bool:
        container = self.containers.get(container_id)
        return container is not None and container.state == "running"

    async def changes(self) -> AsyncIterator[str]:
        yield ""
        while True:
            yield await self._changed.get()

    async def close(self) -> None:
        for container_id in self._runs:
            self._forget_ending(container_id)
        self._runs.clear()
        self.sandboxes.clear()
        self.containers.clear()

    def _get(self, container_id: str) -> Container:
        if container_id not in self.containers:
            raise RuntimeFailure(f"container {container_id!r} not found")
        return self.containers[container_id]
