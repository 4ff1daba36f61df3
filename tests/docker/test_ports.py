"""What a real kubelet's HTTPS port answered (tests/golden/node/node), asked of this one."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pybernetes.client.http import Answer, Duplex, HTTPClient
from pybernetes.component.delegated import Ask, UserInfo
from pybernetes.component.metrics import Registry
from pybernetes.kubelet.selfsigned import serving_files
from pybernetes.kubelet.server.handlers import KubeletServer
from pybernetes.pki.contexts import ServerContext
from pybernetes.wire.http import Request

from .compare import Differs, same_text
from .node import NODE, TestNode, ensure_images, running_node

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "node" / "node"
NAMESPACE = "golden"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
# Absent here, and said so: the host's logs, the profiler; and the shapes that only a whole page has.
ABSENT = ("GET /logs/", "GET /logs", "GET /debug/pprof/", "GET /debug/flags/v", "GET /spec/")
# Docker reads both pipes apart from each other: only the pauses keep the order of the lines.
LINES = "for i in 1 2 3 4 5; do echo out $i; sleep 0.3; echo err $i >&2; sleep 0.3; done; sleep 3600"
SPEC = {
    "nodeName": NODE,
    "terminationGracePeriodSeconds": 1,
    "containers": [
        {"name": "c", "image": "busybox:1.29", "command": ["sh", "-c", LINES]},
        {
            "name": "again",
            "image": "busybox:1.29",
            "command": ["sh", "-c", "if [ -f /v/x ]; then echo second; sleep 3600; fi; echo first; touch /v/x"],
            "volumeMounts": [{"name": "e", "mountPath": "/v"}],
        },
        {"name": "waits", "image": "no/such:1", "imagePullPolicy": "Never"},
    ],
    "volumes": [{"name": "e", "emptyDir": {}}],
}


class Known:
    """A guard: the token "admin" may everything, "nobody" nothing."""

    async def authenticate(self, request: Request) -> UserInfo | None:
        token = (request.header("authorization") or "").removeprefix("Bearer ")
        return UserInfo(token) if token in ("admin", "system:kube-proxy") else None

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        return None if user.name == "admin" else ""


def golden(name: str) -> dict[str, Any]:
    text = (GOLDEN / f"{name}.yaml").read_text().replace("{ns}", NAMESPACE)
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return found


@asynccontextmanager
async def port() -> AsyncIterator[HTTPClient]:
    """The port of a node on which the recordings' pod runs, its log written and one container started twice."""
    async with running_node(static_pods=False) as node:
        await ensure_images(node.runtime)
        now = datetime.now(UTC)
        server = KubeletServer(
            node.kubelet,
            node.runtime,
            memory=1 << 30,
            configz=b"{}",
            registry=Registry(),
            started=now,
            guard=Known(),
            now=lambda: datetime.now(UTC),
        )
        listening = await server.start("127.0.0.1", 0, ServerContext(*serving_files(node.folder, NODE, [], now)))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = HTTPClient(f"https://127.0.0.1:{listening.port}", context)
        try:
            await run_pod(node, client)
            yield client
        finally:
            await client.close()
            await listening.stop(0)


async def run_pod(node: TestNode, client: HTTPClient) -> None:
    async def send(path: str, body: Any) -> None:
        answer = await node.http.request(
            "POST", f"/api/v1/{path}", [("Content-Type", "application/json")], json.dumps(body).encode()
        )
        assert answer.status == 201, answer.body

    await send("namespaces", {"metadata": {"name": NAMESPACE}})
    await send(f"namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    await send(
        f"namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x"}}
    )
    await send(f"namespaces/{NAMESPACE}/pods", {"metadata": {"name": "p"}, "spec": SPEC})
    async with asyncio.timeout(120):
        while True:
            worker = node.kubelet.worker(NAMESPACE, "p")
            slots = worker.machine.slots if worker is not None else {}
            again = slots["again"].current if slots else None
            if again is not None and again.attempt and again.state == "running" and slots["waits"].waiting:
                break
            await asyncio.sleep(0.05)
        while b"err 5" not in (await asked(client, "GET", f"/containerLogs/{NAMESPACE}/p/c")).body:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # an age of more than a second for sinceSeconds=1


def same_answer(want: dict[str, Any], got: Answer, where: str) -> None:
    if got.status != want["code"]:
        raise Differs(f"{where}: {got.status}, not {want['code']}: {got.body[:200]!r}")
    for name, value in (want.get("headers") or {}).items():
        if name != "Transfer-Encoding" and got.headers.get(name.lower()) != value:
            raise Differs(f"{where}: {name} is {got.headers.get(name.lower())!r}, not {value!r}")
    if "body" in want:
        same_text(TIME.sub("<time>", str(want["body"])), TIME.sub("<time>", got.body.decode()), where)


ADMIN = [("Authorization", "Bearer admin")]


async def asked(client: HTTPClient, method: str, path: str, headers: list[tuple[str, str]] | None = None) -> Answer:
    return await client.request(method, path, ADMIN if headers is None else headers, timeout=60)


async def differences(client: HTTPClient) -> list[str]:
    found: list[str] = []

    async def look(want: dict[str, Any], method: str, path: str, headers: list[tuple[str, str]] | None = None) -> None:
        try:
            same_answer(want, await asked(client, method, path, headers), f"{method} {path}")
        except Differs as error:
            found.append(str(error))

    for line, want in golden("paths")["answers"].items():
        if line not in ABSENT:
            await look(want, *line.split(" ", 1))
    for path, want in golden("healthz").items():
        if path.startswith("/"):
            await look(want, "GET", path)
    base = f"/containerLogs/{NAMESPACE}/p"
    for container, want in golden("containerlogs")["answers"].items():
        if "(" not in container and "code" in want:
            await look(want, "GET", f"{base}/{container}")
    await look(golden("containerlogs")["answers"]["(pod none)"], "GET", f"/containerLogs/{NAMESPACE}/none/c")
    await look(golden("containerlogs")["answers"]["(POST)"], "POST", f"{base}/c")
    for path, kinds in golden("streaming")["answers"].items():
        await look(kinds["plain POST"], "POST", path)
        if "upgrade" in kinds:
            found += await upgraded(client, path, kinds["upgrade"])
    for path, want in golden("auth")["anonymous"].items():
        if path != "/logs/":
            await look(want, "GET", path, [])
    for path, want in golden("auth")["certificate"].items():
        if path != "/logs/":
            await look(want, "GET", path, [("Authorization", "Bearer system:kube-proxy")])
    return found


async def upgraded(client: HTTPClient, path: str, want: dict[str, Any]) -> list[str]:
    protocol = "portforward.k8s.io" if path.startswith("/portForward") else "v4.channel.k8s.io"
    headers = [*ADMIN, ("X-Stream-Protocol-Version", protocol)]
    answer = await client.upgrade("POST", path, headers, "SPDY/3.1")
    wanted = int(want["status"].split()[1])
    if isinstance(answer, Duplex):
        spoken = answer.headers.get("x-stream-protocol-version")
        answer.close()
        return (
            [] if wanted == 101 and spoken == protocol else [f"{path} was upgraded to {spoken}, not {want['status']}"]
        )
    body = answer.body.decode()
    fine = (answer.status, body) == (wanted, want["body"])
    return [] if fine else [f"{path}: {answer.status} {body!r}, not {want['status']} {want['body']!r}"]


def test_recorded_answers() -> None:
    async def main() -> list[str]:
        async with port() as client:
            return await differences(client)

    assert asyncio.run(main()) == []
