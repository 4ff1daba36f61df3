"""Both certificates of a kubelet are renewed several times under its work: an exec session stays open, and no request fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.cli import kubelet
from pybernetes.client.http import Duplex, HTTPClient
from pybernetes.client.kubeconfig import Config, load
from pybernetes.client.rest import RESTClient
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.testing.cluster import RunningCluster
from pybernetes.wire.websocket import WebSocket

from ..ports import free_port
from .test_connect import WEBSOCKET
from .test_tls_bootstrap import (
    Session,
    approve_serving,
    bootstrap_kubeconfig,
    clustered,
    command_line,
    run_pod,
    token_secret,
    until,
)

ROTATIONS = 4
POD = "/api/v1/namespaces/default/pods/p"


async def echo(
    self: HollowRuntime, container_id: str, command: Sequence[str], streams: Any, *, stdin: bool, tty: bool
) -> int:
    """In the place of a container's `cat`: what runs is none of a certificate's business, what carries it is."""
    while piece := await streams.read_stdin():
        await streams.write_stdout(piece)
    return 0


async def converse(running: RunningCluster, said: list[int]) -> None:
    """Through the API server and the kubelet, line by line on one exec session, until cancelled."""
    client = HTTPClient(running.url, load(running.kubeconfig).ssl_context())
    headers = [*WEBSOCKET, ("Sec-WebSocket-Protocol", "v4.channel.k8s.io")]
    stream = await client.upgrade("GET", f"{POD}/exec?command=cat&stdin=true&stdout=true", headers, "websocket")
    assert isinstance(stream, Duplex), stream
    socket = WebSocket(stream, client=True)
    try:
        while True:
            await socket.send(b"\x00%d\n" % len(said))
            while (piece := await socket.receive()) == b"\x01":
                pass  # an empty message opens each channel
            assert piece == b"\x01%d\n" % len(said)
            said.append(len(said))
            await asyncio.sleep(0.02)
    finally:
        stream.close()
        await client.close()


async def ask(running: RunningCluster, answers: list[int]) -> None:
    """For the log, by way of the kubelet's port; until cancelled."""
    client = HTTPClient(running.url, load(running.kubeconfig).ssl_context())
    try:
        while True:
            answer = await client.request("GET", f"{POD}/log")
            assert answer.status == 200, answer.body
            answers.append(answer.status)
            await asyncio.sleep(0.02)
    finally:
        await client.close()


async def connect(port: int, running: RunningCluster, seen: set[object]) -> None:
    """Anew each time, as somebody who verifies the kubelet's certificate; until cancelled."""
    while True:
        session = await Session.open(port, running.kubeconfig)
        assert await session.healthy()
        seen.add(session.leaf.begins)
        session.close()
        await asyncio.sleep(0.05)


async def label(admin: RESTClient, count: int = 0) -> None:
    """Has the kubelet hear of something all the time, until cancelled: its watches go on."""
    while True:
        pod = await admin.get(core_v1.Pod, "p", "default")
        pod.metadata.labels = {"n": str(count := count + 1)}
        await admin.update(pod)
        await asyncio.sleep(0.1)


def refusals(metrics: str) -> list[str]:
    """Requests that the API server has answered with 401."""
    return re.findall(r'^apiserver_request_total\{.*code="401".*$', metrics, re.MULTILINE)


def test_nothing_notices_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HollowRuntime, "exec", echo)

    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(token_secret())
            bootstrap_kubeconfig(tmp_path, running)
            port = free_port()
            values = command_line(tmp_path, f"--port={port}", "--rotate-server-certificates")
            tasks = [asyncio.ensure_future(kubelet.run(values)), asyncio.ensure_future(approve_serving(admin))]
            try:
                await until(lambda: admin.get(core_v1.Node, "n1"))
                await run_pod(admin, "p")
                await until(opened(port, running))
                said: list[int] = []
                answers: list[int] = []
                seen: set[object] = set()
                tasks += map(
                    asyncio.ensure_future,
                    (converse(running, said), ask(running, answers), connect(port, running, seen), label(admin)),
                )
                folder = tmp_path / "pki"

                async def rotated() -> bool:
                    for task in tasks:
                        if task.done():
                            task.result()  # what went wrong
                    clients = len(list(folder.glob("kubelet-client-2*.pem")))
                    return clients > ROTATIONS and len(seen) > ROTATIONS

                assert await until(rotated, 40)
                assert len(said) > 20 and len(answers) > 20
                await run_pod(admin, "later")
                assert refusals((await admin.raw("GET", "/metrics")).decode()) == []
                nobody = RESTClient(Config(running.url, ca_data=running.ca, token="nobody's"))
                with pytest.raises(StatusError, match="Unauthorized"):
                    await nobody.raw("GET", f"{POD}")
                await nobody.close()
                assert refusals((await admin.raw("GET", "/metrics")).decode())  # which would have shown
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def opened(port: int, running: RunningCluster) -> Callable[[], Awaitable[bool]]:
    """Whether the kubelet's port has its certificate."""

    async def look() -> bool:
        session = await Session.open(port, running.kubeconfig)
        session.close()
        return True

    return look
