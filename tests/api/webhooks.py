"""A webhook server in this process, over TLS, that does what a test tells it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import HTTPClient
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.wire.http import Request, Response, serve

from .golden import Administrator

Object = dict[str, Any]
Decide = Callable[[Object], Object]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def allow(request: Object) -> Object:
    """What a webhook answers that has nothing to say."""
    return {"allowed": True}


def patch(*operations: Object) -> Object:
    """An answer with a JSON patch."""
    text = base64.b64encode(msgspec.json.encode(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


@dataclass
class WebhookServer:
    """Keeps the requests of reviews by path. `decide` has the answers by path; `raw` whole HTTP answers; `hang` the paths without one."""

    ca: bytes
    port: int = 0
    seen: list[tuple[str, Object]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    decide: dict[str, Decide] = field(default_factory=dict)
    raw: dict[str, Response] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    together: int = 0  # requests under way
    most: int = 0

    async def handle(self, request: Request) -> Response:
        path = request.raw_path.decode()
        self.targets.append(f"{path}?{request.query.decode()}")
        self.hosts.append(request.header("host") or "")
        review = msgspec.json.decode(request.body)
        self.seen.append((path, review["request"]))
        if path in self.hang:
            await asyncio.Event().wait()
        self.together += 1
        self.most = max(self.most, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        if path in self.raw:
            return self.raw[path]
        response = {"uid": review["request"]["uid"], **self.decide.get(path, allow)(review["request"])}
        answer = {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        return Response(200, [("Content-Type", "application/json")], msgspec.json.encode(answer))

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def config(self, path: str) -> Object:
        """A clientConfig with a URL."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": base64.b64encode(self.ca).decode()}

    def hook(self, path: str, resources: tuple[str, ...] = ("configmaps",), **more: Any) -> Object:
        """A webhook for all operations on resources of any group."""
        rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": list(resources)}
        return {
            "name": f"{path.strip('/')}.example.com",
            "clientConfig": self.config(path),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }


@dataclass
class Answered:
    """Of the API server."""

    code: int
    body: Object
    warnings: list[str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


@dataclass
class Bench:
    """An API server with a webhook server beside it."""

    server: APIServer
    client: HTTPClient
    hooks: WebhookServer

    async def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Answered:
        headers = [("Content-Type", media), ("User-Agent", "test")]
        data = msgspec.json.encode(body) if body is not None else b""
        async with self.client.stream(method, path, headers, data) as found:
            text = await found.read()
        warnings = [value for name, value in found.header_list if name == "warning"]
        return Answered(found.status, msgspec.json.decode(text) if text.startswith(b"{") else {"text": text}, warnings)

    async def configure(self, kind: str, name: str, *hooks: Object) -> Answered:
        """`kind` is Mutating or Validating."""
        body = {"metadata": {"name": name}, "webhooks": list(hooks)}
        made = await self.ask("POST", f"{REGISTRATION}/{kind.lower()}webhookconfigurations", body)
        assert made.code == 201, made.body
        return made

    async def metrics(self) -> list[str]:
        answer = await self.client.request("GET", "/metrics")
        return [line for line in answer.body.decode().splitlines() if "admission_webhook" in line and line[0] != "#"]


def serving(folder: Path, now: datetime, names: tuple[str, ...] = ()) -> tuple[ssl.SSLContext, bytes]:
    """The context of a server at 127.0.0.1 and under the names, and the authority to trust."""
    authority = Authority.create("webhook-ca", now)
    pair = authority.issue(Subject("webhook", (), names, ("127.0.0.1",), server=True), now)
    (folder / "crt").write_bytes(pair.certificate)
    (folder / "key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    return context, authority.pem


@asynccontextmanager
async def bench(folder: Path, names: tuple[str, ...] = ()) -> AsyncIterator[Bench]:
    """`names` are further names of the webhook server's certificate."""
    context, ca = serving(folder, datetime.now(UTC), names)
    hooks = WebhookServer(ca)
    listener = await serve(hooks.handle, "127.0.0.1", 0, context)
    hooks.port = listener.port
    store = await SQLiteStore.open(":memory:")
    server = APIServer(store, Options(authentication=AuthenticationOptions([Administrator()])))
    await server.start()
    client = HTTPClient(f"http://127.0.0.1:{server.port}")
    try:
        yield Bench(server, client, hooks)
    finally:
        await client.close()
        await server.stop(0)
        await listener.stop(0)
        await store.close()
