"""Through the API server to a kubelet and to pods: both are stand-ins in this process."""

import ast
import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import Answer, Duplex, HTTPClient
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.testing.certificates import Authority
from pybernetes.wire import remotecommand, websocket
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, UpgradeResponse, serve

from .golden import Administrator

PODS = "/api/v1/namespaces/default/pods"
WEBSOCKET = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]


@dataclass
class Kubelet:
    """Remembers what it was asked."""

    seen: list[tuple[str, str, str]] = field(default_factory=list)
    certified: bool = False

    async def handle(self, request: Request) -> Response | StreamingResponse | UpgradeResponse:
        path, query = request.raw_path.decode(), request.query.decode()
        self.seen.append((request.method, path, query))
        self.certified = request.peer_certificate is not None
        kind = path.split("/")[1]
        if kind == "containerLogs":
            return self.log(path)
        if kind == "exec":
            asked = parse_qs(query)
            wanted = remotecommand.Wanted(*(name in asked for name in ("input", "output", "error", "tty")))
            return remotecommand.accept_command(request, wanted, self.command)
        if kind == "portForward":
            return remotecommand.accept_port_forward(request, [], self.connect)
        if path.startswith("/page"):
            page = f"<a href='/x'>{dict(request.headers)}".encode()
            return Response(200, [("Content-Type", "text/html; charset=utf-8"), ("ETag", "e")], page)
        headers = [("X-Seen", path), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Location", "/stats/summary")]
        return Response(200, headers, f"{request.method} {path}?{query} {request.body.decode()}".encode())

    def log(self, path: str) -> Response | StreamingResponse:
        if path.endswith("/broken"):
            return Response(400, [], b'container "broken" in pod "p" is waiting to start: ContainerCreating')

        async def produce(writer: BodyWriter) -> None:
            await writer.write(b"line 1\n")
            await writer.write(b"line 2\n")

        return StreamingResponse(produce, 200, [("Content-Type", "text/plain")])

    @staticmethod
    async def command(streams: remotecommand.CommandStreams) -> dict[str, Any]:
        await streams.write_stdout(b"got " + await streams.read_stdin())
        return remotecommand.exit_status(3)

    @staticmethod
    async def connect(port: int) -> Any:
        raise ConnectionRefusedError(f"port {port} is closed")


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[tuple[HTTPClient, Kubelet, int]]:
    """A client, the kubelet behind, and its port. The pod p is on its node; q is on none."""
    kubelet, now = Kubelet(), datetime.now(UTC)
    authority = Authority("kubelet-ca", now)
    pair, own = authority.serving(["node"], ["127.0.0.1"]), authority.client("kube-apiserver-kubelet-client", [])
    files = {
        "crt": pair.certificate,
        "key": pair.key,
        "ca": authority.pem,
        "own.crt": own.certificate,
        "own.key": own.key,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    context.load_verify_locations(folder / "ca")
    context.verify_mode = ssl.CERT_OPTIONAL
    behind = await serve(kubelet.handle, ssl_context=context)
    store = await SQLiteStore.open(":memory:")
    config = KubeletConfig(
        address_types=["InternalIP"],
        certificate=str(folder / "own.crt"),
        key=str(folder / "own.key"),
        authority=str(folder / "ca"),
    )
    server = APIServer(store, Options(authentication=AuthenticationOptions([Administrator()]), kubelet=config))
    await server.start()
    client = HTTPClient(f"http://127.0.0.1:{server.port}")
    try:
        await objects(client, behind.port)
        yield client, kubelet, behind.port
    finally:
        await client.close()
        await server.stop(0)
        await behind.stop(0)
        await store.close()


async def objects(client: HTTPClient, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await sent(client, "POST", "/api/v1/nodes", {"metadata": {"name": "n"}, "status": status})
    containers = [{"name": name, "image": "i"} for name in ("c", "broken")]
    for name, where in (("p", {"nodeName": "n"}), ("q", {})):
        spec = {"containers": containers, "automountServiceAccountToken": False, **where}
        await sent(client, "POST", PODS, {"metadata": {"name": name}, "spec": spec})
    await sent(client, "POST", "/api/v1/namespaces/default/endpoints", {"metadata": {"name": "empty"}})


async def sent(client: HTTPClient, method: str, target: str, body: Any = None) -> Answer:
    answer = await client.request(
        method, target, body=msgspec.json.encode(body) if body is not None else b"", timeout=30
    )
    assert answer.status < 500 or body is None, answer.body
    return answer


def message(answer: Answer) -> str:
    return str(msgspec.json.decode(answer.body)["message"])


def test_logs(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, kubelet, _):
            answer = await sent(client, "GET", f"{PODS}/p/log?container=c&tailLines=5&follow=true")
            assert (answer.status, answer.body) == (200, b"line 1\nline 2\n")
            assert answer.headers["content-type"] == "text/plain"
            assert kubelet.seen == [("GET", "/containerLogs/default/p/c", "follow=true&tailLines=5")]
            assert kubelet.certified
            refused = await sent(client, "GET", f"{PODS}/p/log?container=broken")
            waiting = 'container "broken" in pod "p" is waiting to start: ContainerCreating'
            assert (refused.status, message(refused)) == (400, waiting)
            refused = await sent(client, "GET", f"{PODS}/p/log")
            choice = "a container name must be specified for pod p, choose one of: [c broken]"
            assert (refused.status, message(refused)) == (400, choice)
            assert (await sent(client, "GET", f"{PODS}/q/log?container=c")).status == 204
            assert (await sent(client, "GET", f"{PODS}/none/log")).status == 404

    asyncio.run(main())


@pytest.mark.parametrize("protocol", ["", "binary.k8s.io", "base64.binary.k8s.io", "odd, binary.k8s.io"])
def test_logs_over_websocket(tmp_path: Path, protocol: str) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _):
            headers = [*WEBSOCKET, *([("Sec-WebSocket-Protocol", protocol)] if protocol else [])]
            stream = await client.upgrade("GET", f"{PODS}/p/log?container=c", headers, "websocket")
            assert isinstance(stream, Duplex)
            assert stream.headers.get("sec-websocket-protocol", "") == protocol.rpartition(" ")[2]
            socket = websocket.WebSocket(stream, client=True)
            received = []
            while (message := await socket.receive()) is not None:
                received.append(message)
            assert received[0] == b""
            if "base64" in protocol:
                received = [base64.b64decode(one) for one in received]
            assert b"".join(received) == b"line 1\nline 2\n"

    asyncio.run(main())


def test_refusals_of_logs_over_websocket(tmp_path: Path) -> None:
    """The kubelet's own, a container that is not there, a protocol that nobody speaks: Statuses before any upgrade."""

    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _):
            for query, protocol, code in (
                ("container=broken", "binary.k8s.io", 400),
                ("container=none", "binary.k8s.io", 400),
                ("container=c", "channel.k8s.io", 403),
            ):
                headers = [*WEBSOCKET, ("Sec-WebSocket-Protocol", protocol)]
                answer = await client.upgrade("GET", f"{PODS}/p/log?{query}", headers, "websocket")
                assert isinstance(answer, Answer)
                assert answer.status == code

    asyncio.run(main())


def test_watches_over_websocket(tmp_path: Path) -> None:
    """Each event is a message of text, as browsers read them."""

    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _):
            target = f"{PODS}?watch=1&resourceVersion=0&timeoutSeconds=1"
            stream = await client.upgrade("GET", target, WEBSOCKET, "websocket")
            assert isinstance(stream, Duplex)
            socket = websocket.WebSocket(stream, client=True)
            names = []
            while (message := await socket.receive()) is not None:
                names.append(msgspec.json.decode(message)["object"]["metadata"]["name"])
            assert names == ["p", "q"]

    asyncio.run(main())


def test_exec_over_websocket(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, kubelet, _):
            target = f"{PODS}/p/exec?container=c&command=cat&command=-&stdin=true&stdout=true"
            headers = [*WEBSOCKET, ("Sec-WebSocket-Protocol", "v5.channel.k8s.io")]
            stream = await client.upgrade("GET", target, headers, "websocket")
            assert isinstance(stream, Duplex)
            assert stream.headers["sec-websocket-protocol"] == "v5.channel.k8s.io"
            assert kubelet.seen == [("GET", "/exec/default/p/c", "command=cat&command=-&input=1&output=1")]
            socket = websocket.WebSocket(stream, client=True)
            await socket.send(b"\x00hello")
            received = b""
            while (piece := await socket.receive()) is not None:
                if piece[1:]:
                    received += piece
            assert b"\x01got hello" in received and b'"ExitCode"' in received
            stream.close()

    asyncio.run(main())


def test_exec_refusals(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _port):
            cases = [
                (f"{PODS}/p/exec?container=c&command=ls", 400, "Upgrade request required"),
                (f"{PODS}/q/exec?container=c&command=ls", 400, "pod q does not have a host assigned"),
                (f"{PODS}/q/portforward", 400, "pod q does not have a host assigned"),
                (f"{PODS}/p/attach?container=x", 400, "container x is not valid for pod p"),
                (f"{PODS}/none/exec", 404, 'pods "none" not found'),
            ]
            for target, code, text in cases:
                answer = await sent(client, "GET", target)
                assert (answer.status, message(answer)) == (code, text), target
            node = msgspec.json.decode((await sent(client, "GET", "/api/v1/nodes/n")).body)
            node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = 1
            await sent(client, "PUT", "/api/v1/nodes/n/status", node)
            target = f"{PODS}/p/exec?container=c&command=ls&stdout=true"
            offered = [("X-Stream-Protocol-Version", "v4.channel.k8s.io")]
            unreached = await client.upgrade("POST", target, offered, "SPDY/3.1")
            assert isinstance(unreached, Answer)
            refused = "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused"
            assert (unreached.status, message(unreached)) == (500, refused)

    asyncio.run(main())


def test_port_forward_spdy_and_tunnelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, kubelet, _):
            offered = [("X-Stream-Protocol-Version", "portforward.k8s.io")]
            stream = await client.upgrade("POST", f"{PODS}/p/portforward", offered, "SPDY/3.1")
            assert isinstance(stream, Duplex)
            assert stream.headers["x-stream-protocol-version"] == "portforward.k8s.io"
            stream.close()
            headers = [*WEBSOCKET, ("Sec-WebSocket-Protocol", remotecommand.TUNNELLED_PORT_FORWARD)]
            stream = await client.upgrade("GET", f"{PODS}/p/portforward", headers, "websocket")
            assert isinstance(stream, Duplex)
            assert stream.headers["sec-websocket-protocol"] == remotecommand.TUNNELLED_PORT_FORWARD
            # A SPDY ping in a WebSocket message comes back as one.
            ping = b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"
            socket = websocket.WebSocket(stream, client=True)
            await socket.send(ping)
            async with asyncio.timeout(30):
                assert await socket.receive() == ping
            stream.close()
            assert [seen[:2] for seen in kubelet.seen] == [("POST", "/portForward/default/p")] * 2

    asyncio.run(main())


def test_node_proxy(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, _, port):
            for name in ("n", f"n:{port}"):
                prefix = f"/api/v1/nodes/{name}/proxy"
                answer = await client.request(
                    "PUT", f"{prefix}/stats/a%2Fb?x=1", [("Authorization", "secret")], b"body"
                )
                assert (answer.status, answer.body) == (200, b"PUT /stats/a%2Fb?x=1 body")
                assert answer.headers["location"] == f"{prefix}/stats/summary"
            async with client.stream("GET", "/api/v1/nodes/n/proxy/x") as stream:
                await stream.read()
                assert [v for k, v in stream.header_list if k == "set-cookie"] == ["a=1", "b=2"]
            moved = await client.request("GET", "/api/v1/nodes/n/proxy?a=b")
            assert (moved.status, moved.headers["location"]) == (301, "/api/v1/nodes/n/proxy/?a=b")
            assert (await client.request("HEAD", "/api/v1/nodes/n/proxy/x", timeout=30)).status == 200
            for name in ("http:n:1", "n:1", "https:n:22"):
                refused = await sent(client, "GET", f"/api/v1/nodes/{name}/proxy/")
                assert (refused.status, message(refused)) == (400, "address not allowed")

    asyncio.run(main())


def test_pages_are_led_back_through_the_proxy(tmp_path: Path) -> None:
    """What the client says of itself goes no further; what it asked for is told."""

    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _):
            secrets = [("Authorization", "Bearer t"), ("X-Remote-User", "admin"), ("X-Remote-Extra-A", "b")]
            answer = await client.request("GET", "/api/v1/nodes/n/proxy/page/", [*secrets, ("Host", "api.example.com")])
            prefix = "/api/v1/nodes/n/proxy"
            assert answer.status == 200
            link, _, seen = answer.body.decode().partition(">")
            assert link == f'<a href="{prefix}/x"'
            headers = ast.literal_eval(seen)
            assert set(headers) == {"host", "x-forwarded-uri", "x-forwarded-for"}
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert (headers["x-forwarded-uri"], headers["host"]) == (f"{prefix}/page/", "api.example.com")

    asyncio.run(main())


def test_service_and_pod_proxy_refusals(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as (client, _, _port):
            cases = [
                ("services/none:web/proxy/", 404, 'endpoints "none" not found'),
                ("services/empty:web/proxy/", 503, 'no endpoints available for service "empty"'),
                ("services/ftp:s:1/proxy/", 400, 'invalid service request "ftp:s:1"'),
                ("pods/q:80/proxy/", 400, "address not allowed"),
            ]
            for target, code, text in cases:
                answer = await sent(client, "GET", f"/api/v1/namespaces/default/{target}")
                assert (answer.status, message(answer)) == (code, text), target

    asyncio.run(main())
