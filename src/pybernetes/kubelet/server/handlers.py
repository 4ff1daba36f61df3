"""Answers the requests of the HTTPS port (upstream: pkg/kubelet/server/server.go)."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from pybernetes.api import times, types
from pybernetes.api.errors import StatusError
from pybernetes.api.strconv import is_digits
from pybernetes.api.types import core_v1 as core
from pybernetes.component.delegated import Guard
from pybernetes.component.metrics import CONTENT_TYPE, Registry
from pybernetes.component.serving import Answer, health, refused, text
from pybernetes.wire.duplex import Duplex
from pybernetes.wire.http import BodyWriter, Request, Response, Server, StreamingResponse, serve
from pybernetes.wire.remotecommand import (
    SUCCESS,
    CommandStreams,
    Status,
    Wanted,
    accept_command,
    accept_port_forward,
    exit_status,
    failure_status,
)

from ..machine.containers import Slot
from ..node.health import SyncLoopMonitor
from ..options import KubeletOptions
from ..runtime.types import Container, ExecResult, LogOptions, RuntimeFailure
from ..worker import PodWorker
from . import metrics, routes
from .stats import Summary

logger = logging.getLogger(__name__)

JSON = [("Content-Type", "application/json")]
PLAIN = [("Content-Type", "text/plain; charset=utf-8")]
NO_UPGRADE = "Upgrade request required"
RUN_SECONDS = 120.0


class Served(Protocol):
    """What the port tells of: a kubelet, or all hollow ones of a process together."""

    @property
    def options(self) -> KubeletOptions: ...

    @property
    def workers(self) -> Mapping[str, PodWorker]: ...

    def worker(self, namespace: str, name: str) -> PodWorker | None: ...

    @property
    def sync_loop(self) -> SyncLoopMonitor: ...


class Containers(Protocol):
    """What is asked of a runtime here; see interfaces.RuntimeService."""

    def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult: ...

    async def exec(
        self, container_id: str, command: Sequence[str], streams: CommandStreams, *, stdin: bool, tty: bool
    ) -> int: ...

    async def attach(self, container_id: str, streams: CommandStreams, *, stdin: bool, tty: bool) -> None: ...

    async def port_forward(self, sandbox_id: str, port: int) -> Duplex: ...


class Refusal(Exception):
    """An answer that ends a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def plain(status: int, message: str) -> Response:
    return Response(status, PLAIN, message.encode())


class KubeletServer:
    """`configz` is the answer's body; without a guard everybody may do everything."""

    def __init__(
        self,
        kubelet: Served,
        runtime: Containers,
        *,
        memory: int,
        configz: bytes,
        registry: Registry,
        started: datetime,
        guard: Guard | None,
        now: Callable[[], datetime],
    ) -> None:
        self._kubelet, self._runtime = kubelet, runtime
        self._memory, self._configz, self._registry, self._guard, self._now = memory, configz, registry, guard, now
        options = kubelet.options
        self._node = options.hostname_override
        self._summary = Summary(self._node, options.root_dir, started)
        # "log" is upstream's check of its log's buffers; standard error has none that could stick.
        checks = {"ping": lambda: "", "log": lambda: "", "syncloop": kubelet.sync_loop.check}
        self._health = health("healthz", checks)

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> Server:
        return await serve(self.handle, host, port, context)

    async def handle(self, request: Request) -> Answer:
        path = request.raw_path.decode("latin-1")
        match = routes.find(path)
        if match is None:
            is_root = any(path == root or path.startswith(root + "/") for root in routes.ROOTS)
            return plain(404, "404: Page Not Found") if is_root else text(404, "404 page not found\n")
        route, parts = match
        refusal = await self._refused(request, path, route)
        if refusal is not None:
            return refusal
        if request.method not in route.methods:
            return plain(405, "405: Method Not Allowed")
        try:
            return await self._answer(route.name, request, parts)
        except Refusal as error:
            return plain(error.status, error.message)
        except RuntimeFailure as error:
            return plain(500, str(error))

    async def _refused(self, request: Request, path: str, route: routes.Route) -> Response | None:
        if self._guard is None:
            return None
        answer = None
        for ask in routes.asks(request.method, path, route, self._node):
            answer = await refused(self._guard, request, ask)
            if answer is None:
                return None
        return answer

    async def _answer(self, name: str, request: Request, parts: dict[str, str]) -> Answer:
        match name:
            case "healthz":
                return await self._health(request)
            case "pods":
                return self._pod_list([w.pod_with_status() for w in self._kubelet.workers.values()])
            case "runningpods":
                return self._pod_list(self._running_pods())
            case "configz":
                return Response(200, JSON, self._configz)
            case "stats":
                return self._stats(request)
            case "metrics":
                return Response(200, [("Content-Type", CONTENT_TYPE)], self._registry.text().encode())
            case "metrics_resource":
                return self._metrics(metrics.resource(self._kubelet.workers, self._now()))
            case "metrics_cadvisor":
                return self._metrics(metrics.cadvisor(self._kubelet.workers, self._now()))
            case "metrics_probes":
                return self._metrics(metrics.probes(self._kubelet.workers))
            case "logs":
                return await self._logs(request, parts)
            case "exec":
                return self._exec(request, parts)
            case "attach":
                return self._attach(request, parts)
            case "run":
                return await self._run(request, parts)
            case _:
                return self._port_forward(request, parts)

    @staticmethod
    def _metrics(body: str) -> Response:
        return Response(200, [("Content-Type", CONTENT_TYPE)], body.encode())

    # Lists and numbers.

    @staticmethod
    def _pod_list(pods: list[core.Pod]) -> Response:
        items = msgspec.Raw(b"[" + b",".join(types.encode(pod) for pod in pods) + b"]")
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        return Response(200, JSON, msgspec.json.encode(body) + b"\n")

    def _running_pods(self) -> list[core.Pod]:
        result = []
        for worker in self._kubelet.workers.values():
            owner = worker.machine.pod
            running = [core.Container(name=n, image=s.spec.image) for n, s in worker.machine.slots.items() if s.running]
            if running:
                pod = core.Pod()
                pod.metadata.name, pod.metadata.namespace = owner.metadata.name, owner.metadata.namespace
                pod.metadata.uid, pod.spec.containers = owner.metadata.uid, running
                result.append(pod)
        return result

    def _stats(self, request: Request) -> Response:
        only = parse_qs(request.query.decode("latin-1")).get("only_cpu_and_memory", [""])[0] == "true"
        summary = self._summary.answer(self._kubelet.workers, self._memory, self._now(), time.monotonic(), only)
        return Response(200, JSON, json.dumps(summary).encode())

    # Containers.

    def _worker(self, parts: dict[str, str]) -> PodWorker:
        worker = self._kubelet.worker(parts["namespace"], parts["pod"])
        if worker is None or parts.get("uid") not in (None, worker.machine.pod.metadata.uid):
            raise Refusal(404, "pod does not exist")
        return worker

    @staticmethod
    def _running(worker: PodWorker, name: str) -> Container | None:
        slot = worker.machine.slots.get(name)
        return slot.current if slot is not None and slot.running else None

    async def _logs(self, request: Request, parts: dict[str, str]) -> Answer:
        worker = self._kubelet.worker(parts["namespace"], parts["pod"])
        if worker is None:
            raise Refusal(404, f'pod "{parts["pod"]}" does not exist')
        name = parts["container"]
        slot = worker.machine.slots.get(name)
        if slot is None:
            raise Refusal(404, f'container "{name}" not found in pod "{parts["pod"]}"')
        try:
            query = routes.log_query(request.query.decode("latin-1"))
        except routes.UndecodableQuery:
            raise Refusal(400, '{"message": "Unable to decode query."}') from None
        except routes.InvalidQuery:
            raise Refusal(422, '{"message": "Invalid request."}') from None
        container = self._logged(slot, query.previous, name, parts["pod"])
        since = query.since
        if query.since_seconds is not None:
            since = times.shifted(self._now(), -query.since_seconds)
        options = LogOptions(
            query.follow,
            query.tail,
            since,
            query.timestamps,
            stdout=query.stream != "Stderr",
            stderr=query.stream != "Stdout",
        )
        pieces = self._runtime.logs(container.id, options)

        async def produce(body: BodyWriter) -> None:
            await _copy(pieces, body, query.limit)

        return StreamingResponse(produce)

    @staticmethod
    def _logged(slot: Slot, previous: bool, name: str, pod: str) -> Container:
        """The run whose log is asked for."""
        if previous:
            run = slot.previous
            # In a back-off the newest run has ended and is what kubectl calls the previous one.
            if slot.current is not None and slot.current.state == "exited" and slot.waiting is not None:
                run = slot.current
            if run is None:
                raise Refusal(400, f'previous terminated container "{name}" in pod "{pod}" not found')
            return run
        if slot.current is None:
            reason = slot.waiting[0] if slot.waiting is not None else "ContainerCreating"
            raise Refusal(400, f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        return slot.current

    def _exec(self, request: Request, parts: dict[str, str]) -> Answer:
        query = parse_qs(request.query.decode("latin-1"), keep_blank_values=True)
        streams_asked = _wanted(query)
        worker = self._worker(parts)
        container = self._running(worker, parts["container"])
        if container is None:
            raise Refusal(500, f'container not found ("{parts["container"]}")')
        command = query.get("command", [])

        async def run(streams: CommandStreams) -> Status:
            try:
                code = await self._runtime.exec(
                    container.id, command, streams, stdin=streams_asked.stdin, tty=streams_asked.tty
                )
            except RuntimeFailure as error:
                return failure_status(f"error executing command in container: {error}")
            return exit_status(code)

        return self._upgraded(lambda: accept_command(request, streams_asked, run))

    def _attach(self, request: Request, parts: dict[str, str]) -> Answer:
        streams_asked = _wanted(parse_qs(request.query.decode("latin-1"), keep_blank_values=True))
        worker = self._worker(parts)
        name = parts["container"]
        container = self._running(worker, name)
        if container is None:
            raise Refusal(500, f"container {name} not found in pod {parts['pod']}_{parts['namespace']}")
        spec = worker.machine.slots[name].spec

        async def run(streams: CommandStreams) -> Status:
            try:
                await self._runtime.attach(
                    container.id, streams, stdin=streams_asked.stdin and spec.stdin, tty=spec.tty
                )
            except RuntimeFailure as error:
                return failure_status(str(error))
            return SUCCESS

        return self._upgraded(lambda: accept_command(request, streams_asked, run))

    @staticmethod
    def _upgraded(accept: Callable[[], Answer]) -> Answer:
        try:
            return accept()
        except StatusError as error:
            message = str(error)
            if NO_UPGRADE in message:
                return text(500, NO_UPGRADE + "\n")
            return plain(error.code, message)

    async def _run(self, request: Request, parts: dict[str, str]) -> Answer:
        container = self._running(self._worker(parts), parts["container"])
        if container is None:
            raise Refusal(500, f'container not found ("{parts["container"]}")')
        command = parse_qs(request.query.decode("latin-1")).get("cmd", [""])[0]
        result = await self._runtime.exec_sync(container.id, command.split(" "), RUN_SECONDS)
        if result.exit_code:
            raise Refusal(
                500, f"command '{command}' exited with {result.exit_code}: {result.output.decode(errors='replace')}"
            )
        return Response(200, JSON, result.output)

    def _port_forward(self, request: Request, parts: dict[str, str]) -> Answer:
        worker = self._worker(parts)
        sandbox = worker.machine.sandbox
        if sandbox is None:
            raise Refusal(500, "pod has no sandbox")
        query = parse_qs(request.query.decode("latin-1"))
        ports = [
            int(port)
            for value in query.get("port", [])
            for port in value.split(",")
            if is_digits(port) and len(port) <= 5
        ]

        async def connect(port: int) -> Duplex:
            return await self._runtime.port_forward(sandbox.id, port)

        return self._upgraded(lambda: accept_port_forward(request, ports, connect))


def _wanted(query: Mapping[str, list[str]]) -> Wanted:
    def asked(*names: str) -> bool:
        return any(query.get(name, [""])[0] in ("1", "true") for name in names)

    tty = asked("tty")
    stderr = asked("error", "stderr")
    streams_asked = Wanted(asked("input", "stdin"), asked("output", "stdout"), stderr and not tty, tty)
    if not (streams_asked.stdin or streams_asked.stdout or streams_asked.stderr):
        raise Refusal(400, "you must specify at least 1 of stdin, stdout, stderr")
    return streams_asked


async def _copy(pieces: AsyncIterator[bytes], body: BodyWriter, limit: int | None) -> None:
    """Copies a log, so many bytes at most."""
    left = limit
    try:
        async for piece in pieces:
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            await body.write(piece)
            if left == 0:
                return
    except RuntimeFailure as error:
        logger.warning("a log was cut off: %s", error)


async def loopback_health(host: str, port: int, sync_loop: Callable[[], str]) -> Server:
    """The plain port of /healthz; it answers before there is a kubelet, which may wait for its runtime."""
    route = health("healthz", {"ping": lambda: "", "syncloop": sync_loop})

    async def handle(request: Request) -> Answer:
        return await route(request) if request.raw_path.startswith(b"/healthz") else text(404, "404 page not found\n")

    return await serve(handle, host, port)
