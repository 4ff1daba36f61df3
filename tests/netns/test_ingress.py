"""Ingresses through the whole of it: an API server, the controller, the real nginx, and two small servers behind it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1, networking_v1
from pybernetes.cli import nginxingress
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags
from pybernetes.ingress.classes import CONTROLLER
from pybernetes.ingress.options import FLAGS
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.testing.cluster import TestCluster

from ..unit.ingress.objects import ingress, path
from .namespaces import Namespace

NODE, PODS = "192.0.2.10", {"a": "192.0.2.11", "b": "192.0.2.12"}
WAIT_SECONDS = 60.0
MISSING = [program for program in ("nginx", "curl") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


@dataclass
class World:
    """`work` is the controller; `curl` asks the node by a host's name and gives status, body (what the server saw), headers."""

    client: RESTClient
    folder: Path
    work: asyncio.Task[None]

    async def curl(self, url: str, *arguments: str) -> tuple[int, Any, str]:
        head = self.folder / "head"
        resolve = ["--resolve", f"*:80:{NODE}", "--resolve", f"*:443:{NODE}"]
        out = await output("curl", "-sS", "-m", "5", *resolve, "-D", str(head), *arguments, url)
        with suppress(ValueError):
            out = json.loads(out)
        text = head.read_text()
        return int(text.split()[1]), out, text

    async def add(self, *objects: networking_v1.Ingress) -> None:
        for each in objects:
            each.spec.ingress_class_name = "nginx"
            await self.client.create(each)

    async def events(self, name: str) -> list[str]:
        found = (await self.client.list(core_v1.Event, "default")).items
        return [f"{each.type} {each.reason} {each.message}" for each in found if each.involved_object.name == name]

    async def eventually(self, check: Callable[[], Awaitable[Any]]) -> Any:
        """The check's first result without an error."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            try:
                return await check()
            except AssertionError:
                if self.work.done():
                    self.work.result()
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def answers(self, url: str, status: int, *arguments: str) -> tuple[Any, str]:
        async def asked() -> tuple[Any, str]:
            code, body, head = await self.curl(url, *arguments)
            assert code == status, (code, body, head)
            return body, head

        result: tuple[Any, str] = await self.eventually(asked)
        return result


async def output(*command: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return out.decode()


async def answer(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What it was asked, as JSON, again and again."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = json.dumps({"name": name, "path": lines[0].split()[1], "headers": headers}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    writer.close()


def nginx_dir(folder: Path) -> Path:
    """Where the workers, who are not root, get through."""
    return Path("/run") / f"ingress-test-{os.getpid()}-{folder.name}"


def slice_of(name: str, pods: Sequence[str]) -> discovery_v1.EndpointSlice:
    whole = {
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [PODS[pod]]} for pod in pods],
    }
    return types.decode(types.encode(whole), discovery_v1.EndpointSlice)


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[World]:
    """Services a and b with an endpoint each, both with both; an API server, and the controller."""
    servers = []
    for name, address in PODS.items():
        handler = lambda r, w, name=name: answer(name, r, w)  # noqa: E731
        servers.append(await asyncio.start_server(handler, address, 8080))
    cluster = TestCluster(folder)
    found = await cluster.start()
    client = RESTClient(load(found.kubeconfig))
    chosen = networking_v1.IngressClass(spec=networking_v1.IngressClassSpec(controller=CONTROLLER))
    chosen.metadata.name = "nginx"
    await client.create(chosen)
    for name, pods in {"a": ["a"], "b": ["b"], "both": ["a", "b"]}.items():
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        whole = {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": ports}}
        await client.create(types.decode(types.encode(whole), core_v1.Service))
        await client.create(slice_of(name, pods))
    given = [f"--kubeconfig={found.kubeconfig}", f"--nginx-dir={nginx_dir(folder)}", "--sync-rate-limit=20", *arguments]
    work = asyncio.ensure_future(nginxingress.run(flags.parse("nginx-ingress-controller", FLAGS, given)))
    try:
        yield World(client, folder, work)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await client.close()
        await cluster.stop()
        for server in servers:
            server.close()
        shutil.rmtree(nginx_dir(folder), ignore_errors=True)


def inside(node: Namespace, scenario: Callable[[], Awaitable[None]]) -> None:
    addresses = "; ".join(f"ip addr add {address}/24 dev eth0" for address in (NODE, *PODS.values()))
    node.run(f"ip link add eth0 type bridge; {addresses}; ip link set eth0 up")
    node.inside(lambda: uvloop.run(scenario()))  # type: ignore[arg-type]


def processes(node: Namespace) -> str:
    """nginx' in the namespace."""
    return node.run(f"ip netns pids {node.name} | xargs -r ps -o args= -p | grep ^nginx || true")


def test_hosts_paths_redirects_and_status(node: Namespace, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, f"--publish-status-address={NODE}") as world:
            await world.add(
                ingress("one", path("/", service="a"), path("/b", service="b"), path("/b", "Exact", "both")),
                ingress("wild", path("/", service="b"), host="*.w.example"),
                ingress("rest", defaultBackend={"service": {"name": "b", "port": {"number": 80}}}),
                ingress(
                    "written",
                    path("/api(/|$)(.*)", "ImplementationSpecific", "a"),
                    host="r.example",
                    annotations={"rewrite-target": "/v1/$2", "server-alias": "also.example"},
                ),
                ingress(
                    "far",
                    path("/"),
                    host="f.example",
                    annotations={"permanent-redirect": "https://x.example$request_uri"},
                ),
                ingress(
                    "mine",
                    path("/", service="a"),
                    host="m.example",
                    annotations={"whitelist-source-range": "203.0.113.0/24"},
                ),
                ingress(
                    "closed", path("/", service="a"), host="c.example", annotations={"auth-url": "https://x.example"}
                ),
            )
            body, _ = await world.answers("http://a.example/x?y=1", 200)
            assert (body["name"], body["path"]) == ("a", "/x?y=1")
            seen = body["headers"]
            assert (seen["host"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("a.example", NODE, "http")
            for url, name in (
                ("http://a.example/b/c", "b"),
                ("http://a.example/bc", "a"),  # no path of /b: elements are whole
                ("http://one.w.example/", "b"),
                ("http://nobody.example/", "b"),
            ):
                assert (await world.answers(url, 200))[0]["name"] == name, url
            body, _ = await world.answers("http://r.example/api/users?x=1", 200)
            assert (body["name"], body["path"]) == ("a", "/v1/users?x=1")
            assert (await world.answers("http://also.example/API/users", 200))[0]["path"] == "/v1/users"
            await world.answers("http://two.one.w.example/", 200)  # not *.w.example's: one label
            _, head = await world.answers("http://f.example/p?q", 301)
            assert "Location: https://x.example/p?q\r" in head or "Location: https://x.example/p?q\n" in head
            await world.answers("http://m.example/", 403)
            await world.answers("http://c.example/", 503)
            assert any("auth-url is not supported; its paths are closed" in e for e in await world.events("closed"))

            async def told() -> None:
                one = await world.client.get(networking_v1.Ingress, "one", "default")
                assert [each.ip for each in one.status.load_balancer.ingress] == [NODE]
                assert "Normal Sync Scheduled for sync" in await world.events("one")

            await world.eventually(told)
            health = await output("curl", "-sSf", "http://127.0.0.1:10254/healthz")
            metrics = await output("curl", "-sSf", "http://127.0.0.1:10254/metrics")
            assert health == "ok" and "nginx_ingress_controller_config_last_reload_successful 1" in metrics
            world.work.cancel()
            await asyncio.gather(world.work, return_exceptions=True)
            one = await world.client.get(networking_v1.Ingress, "one", "default")
            assert one.status.load_balancer.ingress == []
        assert "nginx" not in await asyncio.to_thread(processes, node)

    inside(node, scenario)


def secret(name: str, data: Mapping[str, bytes]) -> core_v1.Secret:
    found = core_v1.Secret(data=dict(data))
    found.metadata.namespace, found.metadata.name = "default", name
    return found


def test_tls_passwords_and_cookies(node: Namespace, tmp_path: Path) -> None:
    async def scenario() -> None:
        from datetime import UTC, datetime

        authority = Authority.create("test", datetime.now(UTC))
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        trusting = ("--cacert", str(tmp_path / "ca.pem"))
        pairs = {
            name: authority.issue(Subject(host, names=[host], server=True, client=False), datetime.now(UTC))
            for name, host in (("t-a", "a.example"), ("t-w", "*.w.example"))
        }
        async with running(tmp_path) as world:
            for name, pair in pairs.items():
                await world.client.create(secret(name, {"tls.crt": pair.certificate, "tls.key": pair.key}))
            hashed = await output("openssl", "passwd", "-apr1", "open sesame")
            await world.client.create(secret("passwords", {"auth": f"ali:{hashed}".encode()}))
            tls = [{"hosts": ["a.example"], "secretName": "t-a"}]
            await world.add(
                ingress("one", path("/", service="a"), tls=tls),
                ingress("wild", path("/", service="b"), host="*.w.example", tls=[{"secretName": "t-w"}]),
                ingress(
                    "closed",
                    path("/", service="a"),
                    host="p.example",
                    annotations={"auth-type": "basic", "auth-secret": "passwords", "auth-realm": 'say "please"'},
                ),
                ingress("sticky", path("/", service="both"), host="s.example", annotations={"affinity": "cookie"}),
                ingress(
                    "cors",
                    path("/", service="a"),
                    host="x.example",
                    annotations={"enable-cors": "true", "cors-allow-origin": "https://*.b.example"},
                ),
            )
            body, head = await world.answers("https://a.example/", 200, *trusting)
            assert body["headers"]["x-forwarded-proto"] == "https"
            assert "strict-transport-security: max-age=31536000" in head.lower() and head.startswith("HTTP/2")
            assert (await world.answers("https://one.w.example/", 200, *trusting))[0]["name"] == "b"
            _, head = await world.answers("http://a.example/p?q", 308)
            assert "Location: https://a.example/p?q" in head
            with pytest.raises(AssertionError, match="SSL certificate"):  # nobody's: the fake one
                await world.curl("https://nobody.example/", *trusting)

            await world.answers("http://p.example/", 401)
            await world.answers("http://p.example/", 401, "-u", "ali:wrong")
            body, _ = await world.answers("http://p.example/", 200, "-u", "ali:open sesame")
            assert "authorization" not in body["headers"]

            _, head = await world.answers("http://s.example/", 200)
            jar = tmp_path / "jar"
            names = {
                (await world.answers("http://s.example/", 200, "-b", str(jar), "-c", str(jar)))[0]["name"]
                for _ in range(12)
            }
            assert "Set-Cookie: INGRESSCOOKIE=" in head and len(names) == 1

            origin = ("-H", "Origin: https://one.b.example")
            _, head = await world.answers("http://x.example/", 200, *origin)
            assert "Access-Control-Allow-Origin: https://one.b.example" in head
            await world.answers("http://x.example/", 204, "-X", "OPTIONS", *origin)
            _, head = await world.answers("http://x.example/", 200, "-H", "Origin: https://evil.example")
            assert "Access-Control" not in head

            # A renewed certificate is shown without a restart.
            fresh = authority.issue(Subject("a.example", names=["a.example"], server=True), datetime.now(UTC))
            data = {"tls.crt": fresh.certificate, "tls.key": fresh.key}
            found = await world.client.get(core_v1.Secret, "t-a", "default")
            found.data = data
            await world.client.update(found)

            async def shown() -> None:
                names = list((nginx_dir(tmp_path) / "files").glob("default_t-a_*"))
                assert len(names) == 1 and fresh.key.strip() in names[0].read_bytes()
                await world.curl("https://a.example/", *trusting)

            await world.eventually(shown)

    inside(node, scenario)


def test_limits_prefixes_and_buffers(node: Namespace, tmp_path: Path) -> None:
    """The kind: everyday annotations were told to be not supported, and their paths served without them."""

    async def codes(world: World, url: str, number: int) -> list[int]:
        return [(await world.curl(url))[0] for _ in range(number)]

    async def scenario() -> None:
        limits = {"limit-rpm": "1", "limit-burst-multiplier": "2", "proxy-buffering": "on", "proxy-buffer-size": "16k"}
        free = {**limits, "limit-connections": "5", "limit-whitelist": "192.0.2.0/24, 127.0.0.0/8"}
        slow = {"limit-rate": "1", "limit-rps": "9"}
        rewrite = {"rewrite-target": "/$1", "x-forwarded-prefix": "/app", "proxy-next-upstream": "error http_502"}
        async with running(tmp_path) as world:
            await world.add(
                ingress("few", path("/", service="a"), host="few.example", annotations=limits),
                ingress("free", path("/", service="a"), host="free.example", annotations=free),
                ingress("slow", path("/", service="a"), host="slow.example", annotations=slow),
                ingress(
                    "app",
                    path("/app/(.*)", "ImplementationSpecific", service="b"),
                    host="app.example",
                    annotations=rewrite,
                ),
            )
            body, _ = await world.answers("http://app.example/app/x", 200)
            assert (body["path"], body["headers"]["x-forwarded-prefix"]) == ("/x", "/app")
            await world.answers("http://slow.example/", 200)
            # One, and two more at once; then one a minute.
            assert sorted(await codes(world, "http://few.example/", 6)) == [200, 200, 200, 503, 503, 503]
            assert set(await codes(world, "http://free.example/", 12)) == {200}
            for name in ("few", "free", "slow", "app"):
                assert [each for each in await world.events(name) if each.startswith("Warning")] == []

    inside(node, scenario)


def test_reloads_under_load_drop_nothing(node: Namespace, tmp_path: Path) -> None:
    """Four clients, each request on a connection of its own, while nginx reads its configuration anew at least six times."""
    reloads, statuses, errors = 6, [], []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(NODE, 80)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            statuses.append((await reader.read()).split()[1])
        finally:
            writer.close()

    async def scenario() -> None:
        async with running(tmp_path) as world:
            await world.add(ingress("one", path("/", service="both")))
            await world.answers("http://a.example/", 200)
            done = asyncio.Event()

            async def client() -> None:
                while not done.is_set() and len(statuses) < 20_000:
                    try:
                        await ask()
                    except (OSError, IndexError) as error:
                        errors.append(repr(error))

            clients = [asyncio.ensure_future(client()) for _ in range(4)]
            for number in range(reloads):
                await world.add(ingress(f"more-{number}", path("/", service="a"), host=f"h{number}.example"))
                await world.answers(f"http://h{number}.example/", 200)
            done.set()
            await asyncio.gather(*clients)
            metrics = await output("curl", "-sSf", "http://127.0.0.1:10254/metrics")
            count = next(line for line in metrics.splitlines() if line.startswith("nginx_ingress_controller_success "))
            assert float(count.split()[1]) > reloads

    inside(node, scenario)
    assert errors == []
    assert set(statuses) == {b"200"} and len(statuses) >= 100


def test_what_nginx_refuses_stays_as_it_was_and_holds_nobody_up(node: Namespace, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as world:
            regex = {"use-regex": "true"}
            await world.add(
                ingress("bad", path("/x", "ImplementationSpecific", "a"), host="b.example", annotations=regex)
            )
            await world.answers("http://b.example/x", 200)
            bad = await world.client.get(networking_v1.Ingress, "bad", "default")
            assert bad.spec.rules[0].http is not None
            bad.spec.rules[0].http.paths[0].path = "/x(("
            await world.client.update(bad)
            await world.add(
                ingress("good", path("/", service="b")),
                ingress("new", path("/((", "ImplementationSpecific"), host="n.example", annotations=regex),
            )
            await world.answers("http://a.example/", 200)
            assert (await world.answers("http://b.example/x", 200))[0]["name"] == "a"
            await world.answers("http://n.example/", 404)

            async def told() -> None:
                for name in ("bad", "new"):
                    assert any(e.startswith("Warning Rejected nginx refuses it") for e in await world.events(name))

            await world.eventually(told)

    inside(node, scenario)


HOSTILE = (
    '/"; } } server { listen 81; location / { return 200 pwned; } } #',
    "/;} } server { listen 81; return 200 pwned; }",
    "/$http_host${uri}",
    '/\\" { } ; \\',
    "/'x' {",
    "/# no comment",
    "/a b",
    "/\\n} \\x00",
    "/ü",
)


def test_paths_are_words_whatever_is_in_them(node: Namespace, tmp_path: Path) -> None:
    """As prefixes, exact ones, and regular expressions: nothing is opened, and the rest is served."""

    async def scenario() -> None:
        async with running(tmp_path) as world:
            number = 0
            for text in HOSTILE:
                for kind, annotations in (
                    ("Prefix", {}),
                    ("Exact", {}),
                    ("ImplementationSpecific", {"use-regex": "true"}),
                ):
                    number += 1
                    each = ingress(
                        f"i{number}", path(text, kind, "a"), host=f"h{number}.example", annotations=annotations
                    )
                    await world.add(each)
            await world.add(ingress("last", path("/", service="b"), made="2036-01-01T00:00:00Z"))
            assert (await world.answers("http://a.example/", 200))[0]["name"] == "b"
            listening = await output("ss", "-ltnH")
            assert ":81 " not in listening and ":80 " in listening
            body, _ = await world.answers(
                "http://h2.example/%22;%20%7D%20%7D%20server%20%7B%20listen%2081;%20location%20/%20%7B%20return%20200%20pwned;%20%7D%20%7D%20%23",
                200,
            )
            assert body["name"] == "a"  # the path itself is what it says

    inside(node, scenario)


def test_a_killed_nginx_is_started_again_and_leaves_no_worker(node: Namespace, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as world:
            await world.add(ingress("one", path("/", service="a")))
            await world.answers("http://a.example/", 200)
            before = int((nginx_dir(tmp_path) / "nginx.pid").read_text())
            os.kill(before, signal.SIGKILL)

            async def again() -> None:
                assert int((nginx_dir(tmp_path) / "nginx.pid").read_text() or 0) != before
                code, _, _ = await world.curl("http://a.example/")
                assert code == 200

            await world.eventually(again)
            assert (await asyncio.to_thread(processes, node)).count("master process") == 1

    inside(node, scenario)
