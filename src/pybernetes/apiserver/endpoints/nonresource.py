"""Paths that are no resources: health, version, discovery, OpenAPI, metrics (upstream: apiserver/pkg/server/routes, healthz)."""

from __future__ import annotations

import functools
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pybernetes.aio import apart
from pybernetes.api import version
from pybernetes.component.exposition import merged
from pybernetes.component.metrics import CONTENT_TYPE
from pybernetes.wire.http import Request, Response

from ..documents.discovery import Discovery
from ..documents.openapi import OpenAPI
from ..query import Query
from ..types import RequestInfo
from . import gorestful, negotiate
from .handlers import answer
from .health import HEALTH, TEXT, Health
from .negotiate import Accepted
from .routes import not_allowed, not_found

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PATHS = (
    "/api",
    "/api/v1",
    "/apis",
    "/apis/",
    "/healthz",
    "/livez",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
)


OtherMetrics = Callable[[], Awaitable[Sequence[str]]]


class NonResource:
    """`pages` are of paths that are always answered alike; `metrics` gives the text of /metrics, `debug` the pages below /debug."""

    def __init__(
        self,
        discovery: Discovery,
        openapi: OpenAPI,
        health: Health,
        metrics: Callable[[], str],
        pages: Mapping[str, Response],
        debug: Callable[[str, Query], Response | None] | None = None,
        others: OtherMetrics | None = None,
    ) -> None:
        """`others`: what further processes of this server have counted."""
        self._discovery, self._openapi, self._health, self._metrics = discovery, openapi, health, metrics
        self._pages, self._debug, self._others = pages, debug, others

    async def answer(self, request: Request, info: RequestInfo, query: Query) -> Response:
        """StatusError for what there is not."""
        if info.path in self._pages:
            page = self._pages[info.path]
            _require_get(request, [dict(page.headers)["Content-Type"]])
            return page
        path = info.path.rstrip("/") or "/"
        parts = path.strip("/").split("/")
        if parts[0] == "debug" and self._debug is not None:
            shown = self._debug(info.path, query)
            if shown is not None:
                return shown
        if parts[0] in HEALTH:
            health = await self._health.answer(parts[0], "/".join(parts[1:]), request, query)
            return self._no_page() if health is None else health
        if path == "/version":
            _require_get(request, [negotiate.JSON])
            return answer(200, version_info(), Accepted(pretty=True))
        if path == "/metrics":
            text = self._metrics()
            if self._others is not None:
                text = merged(text, await self._others())
            return Response(200, [("Content-Type", CONTENT_TYPE)], text.encode())
        if parts[0] == "openapi":
            document = await apart.run(apart.LARGE, self._openapi.answer, path, request)
            if document is not None:
                return document
        if self._is_routed(parts):
            _require_get(request, negotiate.SUPPORTED)
        body = self._discover(request, parts)
        if isinstance(body, Response):
            return body
        if body is not None:
            return answer(200, body, negotiate.accepted(request, query, kinds=()))
        if parts[0] == "apis" and len(parts) > 1 and parts[1] not in self._discovery.groups:
            return Response(404, TEXT[:1], b"404 page not found\n")
        if path == "/":
            return answer(200, {"paths": self._paths()}, Accepted(pretty=True))
        if parts[0] not in ("api", "apis"):
            return self._no_page()
        raise not_found()

    def _is_routed(self, parts: list[str]) -> bool:
        """Whether upstream's router has the path, for GET alone; what is no route of it answers every method alike."""
        match parts:
            case ["api"]:
                return True
            case ["api", version]:
                return version in self._discovery.versions("")
            case ["apis", group, version]:
                return self._discovery.is_builtin(group, version)
        return False

    def _no_page(self) -> Response:
        return answer(404, {"paths": self._paths()}, Accepted(pretty=True))

    def _discover(self, request: Request, parts: list[str]) -> Any:
        accept = (request.header("accept") or "").replace(" ", "")
        if parts in (["api"], ["apis"]) and AGGREGATED.split(";", 1)[1] in accept:
            body, etag = self._discovery.aggregated(parts == ["api"])
            if etag in (request.header("if-none-match") or ""):
                return Response(304, [("ETag", f'"{etag}"')])
            return Response(200, [("Content-Type", AGGREGATED), ("ETag", f'"{etag}"'), ("Vary", "Accept")], body)
        match parts:
            case ["api"]:
                return self._discovery.core_versions(request.header("host") or "")
            case ["apis"]:
                return self._discovery.group_list()
            case ["api", version]:
                return self._discovery.resource_list("", version)
            case ["apis", group]:
                return self._discovery.group(group)
            case ["apis", group, version]:
                return self._discovery.resource_list(group, version)
        return None

    def _paths(self) -> list[str]:
        paths = list(PATHS)
        for group in self._discovery.groups:
            paths.append(f"/apis/{group}")
            paths.extend(f"/apis/{group}/{version}" for version in self._discovery.versions(group))
        return sorted(paths)


def _require_get(request: Request, produced: Sequence[str]) -> None:
    """StatusError 405, 406, as of a route for GET."""
    if request.method != "GET":
        raise not_allowed()
    gorestful.check(request, produced)


@functools.cache
def version_info() -> dict[str, Any]:
    """/version."""
    major, minor = version.MINOR.split(".")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version.GIT_VERSION,
        "gitCommit": version.commit(),
        "gitTreeState": "clean",
        "buildDate": version.build_date(),
        "goVersion": "none",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{machine}",
    }
