"""One HTTPS port for all hollow nodes of a process: what is asked of a pod, its own kubelet answers."""

from __future__ import annotations

import ssl
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

from pybernetes.component.delegated import Guard
from pybernetes.component.metrics import Registry
from pybernetes.component.serving import Answer
from pybernetes.wire.duplex import Duplex
from pybernetes.wire.http import Request, Server, serve
from pybernetes.wire.remotecommand import CommandStreams

from ..app import Kubelet
from ..interfaces import RuntimeService
from ..node.health import SyncLoopMonitor
from ..options import KubeletOptions
from ..runtime.types import ExecResult, LogOptions, RuntimeFailure
from ..worker import PodWorker
from . import routes
from .handlers import KubeletServer, plain

# What tells of pods; a machine's numbers and configuration are nobody's here.
ROUTES = ("healthz", "pods", "runningpods", "logs", "exec", "attach", "port_forward", "run")


class _Nodes:
    """Implements handlers.Served and handlers.Containers over many kubelets, whose containers' ids all differ."""

    def __init__(self, kubelets: Sequence[Kubelet]) -> None:
        self._kubelets = kubelets

    @property
    def options(self) -> KubeletOptions:
        return self._kubelets[0].options

    @property
    def sync_loop(self) -> SyncLoopMonitor:
        return self._kubelets[0].sync_loop

    @property
    def workers(self) -> Mapping[str, PodWorker]:
        return ChainMap(*(dict(kubelet.workers) for kubelet in self._kubelets))

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        workers = (kubelet.worker(namespace, name) for kubelet in self._kubelets)
        return next((worker for worker in workers if worker is not None), None)

    async def _of_container(self, container_id: str) -> RuntimeService:
        for kubelet in self._kubelets:
            for container in (await kubelet.runtime.list())[1]:
                if container.id == container_id:
                    return kubelet.runtime
        raise RuntimeFailure(f"container {container_id!r} not found")

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        async for piece in (await self._of_container(container_id)).logs(container_id, options):
            yield piece

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        return await (await self._of_container(container_id)).exec_sync(container_id, command, timeout)

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int:
        runtime = await self._of_container(container_id)
        return await runtime.exec(container_id, command, streams, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None:
        await (await self._of_container(container_id)).attach(container_id, streams, stdin=stdin, tty=tty)

    async def port_forward(self, sandbox_id: str, port: int) -> Duplex:
        for kubelet in self._kubelets:
            if any(sandbox.id == sandbox_id for sandbox in (await kubelet.runtime.list())[0]):
                return await kubelet.runtime.port_forward(sandbox_id, port)
        raise ConnectionRefusedError(f"sandbox {sandbox_id!r} not found")


class HollowServer:
    """`kubelets` may be filled after the port is known: it is told to their Nodes. Until then nothing is found."""

    def __init__(
        self, kubelets: Sequence[Kubelet], guard: Guard | None, now: Callable[[], datetime], started: datetime
    ) -> None:
        self._kubelets, self._guard, self._now, self._started = kubelets, guard, now, started
        self._server: KubeletServer | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> Server:
        """OSError where the port cannot be had."""
        return await serve(self.handle, host, port, context)

    async def handle(self, request: Request) -> Answer:
        route = routes.find(request.raw_path.decode("latin-1"))
        if not self._kubelets or (route is not None and route[0].name not in ROUTES):
            return plain(404, "404: a hollow node has no such thing")
        if self._server is None:
            nodes = _Nodes(self._kubelets)
            self._server = KubeletServer(
                nodes,
                nodes,
                memory=0,
                configz=b"",
                registry=Registry(),
                started=self._started,
                guard=self._guard,
                now=self._now,
            )
        return await self._server.handle(request)
