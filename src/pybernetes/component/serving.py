"""The port of a part: /healthz, /livez, /readyz, /metrics and what else it serves (upstream: apiserver/pkg/server/healthz, component-base).

routes = serving.standard(registry, {"leaderElection": elector_check})
server = await serving.start(routes, "0.0.0.0", 10259, context, guard)
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pybernetes.wire.http import Request, Response, Server, StreamingResponse, UpgradeResponse, serve

from .delegated import Ask, Guard
from .metrics import CONTENT_TYPE, Registry

Answer = Response | StreamingResponse | UpgradeResponse
Route = Callable[[Request], Awaitable[Answer]]
Check = Callable[[], str]  # "" when healthy, else what is wrong

ALWAYS_ALLOWED = ("/healthz", "/livez", "/readyz")  # upstream's --authorization-always-allow-paths
TEXT = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
VERBS = {"GET": "get", "HEAD": "get", "POST": "post", "PUT": "put", "DELETE": "delete", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Extension:
    """A piece of the API that a part serves: its routes, and what a request wants to do."""

    routes: Mapping[str, Route]
    ask: Callable[[Request], Ask]


def text(status: int, body: str) -> Response:
    """A plain answer."""
    return Response(status, TEXT, body.encode())


def health(name: str, checks: Mapping[str, Check]) -> Route:
    """ "ok", or each check with [+] and [-], as upstream words it; ?verbose shows all."""

    async def answer(request: Request) -> Response:
        path = request.raw_path.decode("latin-1")
        single = path.removeprefix(f"/{name}").strip("/")
        if single and single not in checks:
            return text(404, "404 page not found\n")
        chosen = {single: checks[single]} if single else checks
        problems = {check: run() for check, run in chosen.items()}
        lines = [
            f"[-]{check} failed: reason withheld" if problem else f"[+]{check} ok"
            for check, problem in problems.items()
        ]
        if any(problems.values()):
            return text(500, "\n".join([*lines, f"{name} check failed"]) + "\n")
        if b"verbose" in request.query:
            return text(200, "\n".join([*lines, f"{name} check passed"]) + "\n")
        return text(200, "ok")

    return answer


def standard(registry: Registry, checks: Mapping[str, Check] | None = None) -> dict[str, Route]:
    """Routes that every part has. A key that ends in "/" takes all below it."""

    async def metrics(request: Request) -> Response:
        return Response(200, [("Content-Type", CONTENT_TYPE)], registry.text().encode())

    named = {"ping": lambda: "", **(checks or {})}
    routes: dict[str, Route] = {"/metrics": metrics}
    for name in ("healthz", "livez", "readyz"):
        routes[f"/{name}"] = routes[f"/{name}/"] = health(name, named)
    return routes


def find(routes: Mapping[str, Route], path: str) -> Route | None:
    """The exact route, else the longest that ends in "/" and is a prefix."""
    if path in routes:
        return routes[path]
    prefixes = [key for key in routes if key.endswith("/") and path.startswith(key)]
    return routes[max(prefixes, key=len)] if prefixes else None


async def start(
    routes: Mapping[str, Route],
    host: str,
    port: int,
    context: ssl.SSLContext | None = None,
    guard: Guard | None = None,
    ask: Callable[[Request], Ask] | None = None,
) -> Server:
    """Listens. With a guard all but the health paths want a user who may; `ask` says what a request wants (default: its path)."""

    async def handle(request: Request) -> Answer:
        path = request.raw_path.decode("latin-1")
        if guard is not None and not path.startswith(ALWAYS_ALLOWED):
            attributes = (
                ask(request) if ask is not None else Ask(VERBS.get(request.method, request.method.lower()), path)
            )
            refusal = await refused(guard, request, attributes)
            if refusal is not None:
                return refusal
        route = find(routes, path)
        return await route(request) if route is not None else text(404, "404 page not found\n")

    return await serve(handle, host, port, context)


async def refused(guard: Guard, request: Request, attributes: Ask) -> Response | None:
    """None if the request may go on."""
    try:
        user = await guard.authenticate(request)
        if user is None:
            return text(401, "Unauthorized")
        reason = await guard.authorize(user, attributes)
    except ConnectionError as error:
        return text(500, f"Internal Server Error: the API server could not be asked: {error}")
    if reason is None:
        return None
    subject = (
        f"path={attributes.path}"
        if attributes.path
        else f"resource={attributes.resource}, subresource={attributes.subresource}"
    )
    return text(403, f"Forbidden (user={user.name}, verb={attributes.verb}, {subject})")
