"""Probes and hooks against servers that answer well, badly, or without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet import grpcprobe
from pybernetes.kubelet.prober import MESSAGE_BYTES, RuntimeProber
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.types import ExecResult, RuntimeFailure
from tests.ports import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CONTAINER = core.Container(name="c")


class Commands(HollowRuntime):
    """Every command ends as told."""

    def __init__(self, result: ExecResult | RuntimeFailure) -> None:
        super().__init__()
        self.result = result
        self.asked: list[tuple[Sequence[str], float]] = []

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        self.asked.append((command, timeout))
        if isinstance(self.result, RuntimeFailure):
            raise self.result
        return self.result


def pod() -> core.Pod:
    made = core.Pod()
    made.metadata.name, made.metadata.namespace, made.metadata.uid = "p", "ns", "u"
    return made


async def ask(probe: core.Probe, runtime: HollowRuntime | None = None) -> tuple[bool | None, str]:
    return await RuntimeProber(runtime or HollowRuntime()).probe(pod(), CONTAINER, "x", probe, "127.0.0.1")


@asynccontextmanager
async def listening(serve: Serve) -> Any:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the prober has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def answering(head: str, body: bytes = b"") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return serve


def http(port: int, **more: Any) -> core.Probe:
    return core.Probe(http_get=core.HTTPGetAction(path="/h", port=port), **more)


@pytest.mark.parametrize(
    ("result", "healthy", "text"),
    [
        (ExecResult(0, b"fine"), True, ""),
        (ExecResult(1, b"bad"), False, "bad"),
        (ExecResult(-1, b""), False, 'command timed out: "a b" timed out after 7s'),
        (ExecResult(1, b"x" * MESSAGE_BYTES * 2), False, "x" * MESSAGE_BYTES),
    ],
)
def test_commands(result: ExecResult, healthy: bool, text: str) -> None:
    runtime = Commands(result)
    probe = core.Probe(exec=core.ExecAction(command=["a", "b"]), timeout_seconds=7)
    assert asyncio.run(ask(probe, runtime)) == (healthy, text)
    assert runtime.asked == [(["a", "b"], 7.0)]


def test_a_runtime_that_cannot_ask_says_nothing_of_the_container() -> None:
    with pytest.raises(RuntimeFailure):
        asyncio.run(ask(core.Probe(exec=core.ExecAction(command=["a"])), Commands(RuntimeFailure("gone"))))


@pytest.mark.parametrize(
    ("head", "healthy", "text"),
    [
        ("200 OK", True, ""),
        ("399 X", True, ""),
        ("404 Not Found", False, "HTTP probe failed with statuscode: 404"),
        ("302 Found\r\nLocation: http://elsewhere.invalid/", True, ""),
        ("302 Found\r\nLocation: /again", False, "stopped after 10 redirects"),
    ],
)
def test_http(head: str, healthy: bool, text: str) -> None:
    async def main() -> None:
        async with listening(answering(head)) as port:
            found = await ask(http(port))
        assert found[0] is healthy and text in found[1]

    asyncio.run(main())


def test_an_answer_without_end_is_read_to_a_limit() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            sent += 0x10000

    async def main() -> None:
        async with listening(serve) as port:
            assert await ask(http(port, timeout_seconds=30)) == (True, "")
        assert sent < 64 << 20

    asyncio.run(main())


def test_a_silent_server_times_out() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with listening(serve) as port:
            healthy, text = await ask(http(port))
            assert not healthy and "context deadline exceeded" in text
            assert (await ask(core.Probe(tcp_socket=core.TCPSocketAction(port=port)))) == (True, "")
        healthy, text = await ask(core.Probe(tcp_socket=core.TCPSocketAction(port=port)))
        assert not healthy and text == f"dial tcp 127.0.0.1:{port}: connect: connection refused"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("payload", "healthy", "text"),
    [
        (b"\0\0\0\0\2\x08\1", True, ""),
        (b"\0\0\0\0\2\x08\2", False, 'service unhealthy (responded with "NOT_SERVING")'),
        (b"\0\0\xff\xff\xff", False, "too large"),
    ],
)
def test_grpc(payload: bytes, healthy: bool, text: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(grpcprobe.PREFACE))
        for _ in range(1 if len(payload) > 5 else 1 << 20):
            writer.write(grpcprobe.frame(grpcprobe.DATA, 0, 1, payload + b"x" * (0 if len(payload) > 5 else 8000)))
            await writer.drain()
        await reader.read()

    async def main() -> None:
        async with listening(serve) as port:
            found = await ask(core.Probe(grpc=core.GRPCAction(port=port), timeout_seconds=5))
        assert found[0] is healthy and text in found[1]

    asyncio.run(main())


def test_hooks() -> None:
    async def main() -> None:
        handler = core.LifecycleHandler(exec=core.ExecAction(command=["a"]))
        prober = RuntimeProber(Commands(ExecResult(3, b'say "no"\n')))
        with pytest.raises(RuntimeFailure) as caught:
            await prober.hook(pod(), CONTAINER, "x", handler, "127.0.0.1")
        assert str(caught.value) == (
            'Exec lifecycle hook ([a]) for Container "c" in Pod "p_ns(u)" failed - error: '
            'command \'a\' exited with 3: , message: "say \\"no\\"\\n"'
        )
        async with listening(answering("500 Bad")) as port:
            handler = core.LifecycleHandler(http_get=core.HTTPGetAction(path="/h", port=port))
            await prober.hook(pod(), CONTAINER, "x", handler, "127.0.0.1")  # any answer will do
        with pytest.raises(RuntimeFailure, match="connection refused"):
            await prober.hook(pod(), CONTAINER, "x", handler, "127.0.0.1")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (core.Probe(http_get=core.HTTPGetAction(port="nope")), 'strconv.Atoi: parsing "nope": invalid syntax'),
        (core.Probe(tcp_socket=core.TCPSocketAction(port="nope")), 'strconv.Atoi: parsing "nope": invalid syntax'),
        (core.Probe(tcp_socket=core.TCPSocketAction(port="70000")), "invalid port number: 70000"),
        (core.Probe(http_get=core.HTTPGetAction(port=0)), "invalid port number: 0"),
    ],
)
def test_a_port_that_is_none_says_nothing_of_the_container(probe: core.Probe, text: str) -> None:
    """The kind: containers were killed for liveness probes that could not be asked."""
    assert asyncio.run(ask(probe)) == (None, text)


def test_grpc_calls_again_who_refuses() -> None:
    """As by a blocking dial: the service may come up within the time, and else it is the time that is told."""
    port = free_port()
    refused = asyncio.run(ask(core.Probe(grpc=core.GRPCAction(port=port), timeout_seconds=1)))
    where = f'timeout: failed to connect service "127.0.0.1:{port}" within 1s: context deadline exceeded'
    assert refused == (False, where)
