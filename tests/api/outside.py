"""A server outside, over TLS in this process: an OpenID Connect issuer, and webhooks that review tokens and access."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pybernetes.apiserver.options import FLAGS, access
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import HTTPClient
from pybernetes.component import flags
from pybernetes.store.memory import MemoryStore
from pybernetes.testing.certificates import Authority
from pybernetes.wire.http import Request, Response, serve

from ..unit.apiserver.authentication.jwts import signed

Object = dict[str, Any]
AUTHENTICATION, AUTHORIZATION = "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1"
JSON = [("Content-Type", "application/json")]


@dataclass
class Outside:
    """Answers at /ISSUER/.well-known/openid-configuration and /ISSUER/keys, and reviews at any other path by `answers`."""

    folder: Path
    authority: Authority
    port: int = 0
    keys: dict[str, list[Object]] = field(default_factory=dict)  # by issuer
    answers: dict[str, Callable[[Object], Object | Response]] = field(default_factory=dict)  # status of a spec, by path
    asked: list[tuple[str, Object]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    claims: dict[str, Response] = field(default_factory=dict)  # what is distributed, by path
    bearers: list[str] = field(default_factory=list)  # with what it was asked for

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def handle(self, request: Request) -> Response:
        path = request.raw_path.decode()
        issuer = path.strip("/").split("/")[0]
        if request.method == "GET" and issuer in self.keys and path not in self.claims:
            self.fetched.append(path)
            document = {"issuer": f"{self.base}/{issuer}", "jwks_uri": f"{self.base}/{issuer}/keys"}
            return Response(
                200, JSON, json.dumps({"keys": self.keys[issuer]} if path.endswith("/keys") else document).encode()
            )
        if path in self.claims:
            self.bearers.append(dict(request.headers).get("authorization", ""))
            return self.claims[path]
        if path not in self.answers:
            return Response(404, JSON, b"{}")
        review = json.loads(request.body)
        self.asked.append((path, review))
        answer = self.answers[path](review["spec"])
        if isinstance(answer, Response):
            return answer
        return Response(200, JSON, json.dumps({**review, "status": answer}).encode())

    def token(self, issuer: str, algorithm: str = "RS256", **claims: Any) -> str:
        """Of a minute."""
        common = {"iss": f"{self.base}/{issuer}", "aud": "kubernetes", "exp": int(time.time()) + 60}
        return signed({**common, **claims}, algorithm)

    def kubeconfig(self, path: str) -> str:
        """A file that leads to a webhook."""
        authority = self.folder / "outside.crt"
        authority.write_bytes(self.authority.pem)
        config = {
            "clusters": [
                {"name": "c", "cluster": {"server": self.base + path, "certificate-authority": str(authority)}}
            ],
            "users": [{"name": "u", "user": {"token": "hook"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        return self.write(f"kubeconfig-{path.strip('/')}", config)

    def write(self, name: str, document: Any) -> str:
        """JSON, as a file; replaced in one step, as who follows it wants."""
        new, file = self.folder / f"{name}.new", self.folder / name
        new.write_text(document if isinstance(document, str) else json.dumps(document))
        new.replace(file)
        return str(file)


@asynccontextmanager
async def outside(folder: Path) -> AsyncIterator[Outside]:
    authority = Authority("outside", datetime.now(UTC))
    pair = authority.serving(["localhost"], ["127.0.0.1"])
    (folder / "outside.pem").write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "outside.pem")
    one = Outside(folder, authority)
    server = await serve(one.handle, ssl_context=context)
    one.port = server.port
    try:
        yield one
    finally:
        await server.stop(0)


@dataclass
class Cluster:
    """An API server that the command line's flags of access have made."""

    server: APIServer
    http: HTTPClient

    async def ask(self, path: str, token: str = "", body: Object | None = None) -> tuple[int, Any]:
        """The code, and the body as JSON, or as text where it is none; POST with a body."""
        headers = [*JSON, *([("Authorization", f"Bearer {token}")] if token else [])]
        data = json.dumps(body).encode() if body is not None else b""
        answer = await self.http.request("POST" if body is not None else "GET", path, headers, data, timeout=60)
        text = answer.body.decode()
        return answer.status, json.loads(text) if text.startswith("{") else text

    async def who(self, token: str) -> Object | None:
        """UserInfo of who comes with the token; None where nobody is known by it."""
        code, review = await self.ask(f"{AUTHENTICATION}/selfsubjectreviews", token, {"kind": "SelfSubjectReview"})
        assert code in (201, 401), review
        found: Object | None = review["status"]["userInfo"] if code == 201 else None
        return found

    async def review(self, token: str, *audiences: str) -> Object:
        """The status of a TokenReview."""
        spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        _, review = await self.ask(f"{AUTHENTICATION}/tokenreviews", "admin", {"spec": spec})
        found: Object = review["status"]
        return found

    def metrics(self) -> str:
        return self.server.metrics.registry.text()


@asynccontextmanager
async def cluster(folder: Path, *arguments: str) -> AsyncIterator[Cluster]:
    """`admin` is the token of an administrator, `jane` of one who may nothing."""
    tokens = folder / "tokens"
    tokens.write_text('admin,admin,1,"system:masters"\njane,jane,2\n')
    values = flags.parse("kube-apiserver", FLAGS, [f"--token-auth-file={tokens}", *arguments])
    server = APIServer(MemoryStore(), Options(**access.options(values)))
    await server.start()
    http = HTTPClient(f"http://127.0.0.1:{server.port}")
    try:
        yield Cluster(server, http)
    finally:
        await http.close()
        await server.stop(0)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(main())
