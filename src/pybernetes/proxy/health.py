"""Health of the proxy and of services with externalTrafficPolicy Local (upstream: pkg/proxy/healthcheck)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pybernetes.api.types import core_v1
from pybernetes.component.metrics import Counter
from pybernetes.wire.http import Request, Response, Server, serve

from .model import HealthPorts

TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"  # the autoscaler's taint: load balancers should leave the node
HEADERS = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]


@dataclass(slots=True)
class ProxyHealth:
    """Healthy unless a change has waited for longer than `timeout` seconds to become rules."""

    timeout: float
    updated: dict[str, datetime] = field(default_factory=dict)  # by family
    queued: dict[str, datetime] = field(default_factory=dict)  # the oldest change that waits
    node_eligible: bool = True  # see `eligible`

    def queue(self, family: str, now: datetime) -> None:
        """A change has come."""
        self.queued.setdefault(family, now)

    def update(self, family: str, now: datetime) -> None:
        """All changes are in the kernel."""
        self.queued.pop(family, None)
        self.updated[family] = now

    def healthy(self, now: datetime) -> bool:
        """Whether rules keep up."""
        return all((now - since).total_seconds() < self.timeout for since in self.queued.values())

    def answer(self, now: datetime, with_node: bool) -> Response:
        """/healthz (with the node's state) and /livez."""
        good = self.healthy(now) and (self.node_eligible or not with_node)
        last = now if good else max(self.updated.values(), default=None)
        shown = f'"lastUpdated": {_time(last)},"currentTime": {_time(now)}'
        node = f', "nodeEligible": {json.dumps(self.node_eligible)}' if with_node else ""
        return Response(200 if good else 503, HEADERS, f"{{{shown}{node}}}".encode())


def eligible(node: core_v1.Node) -> bool:
    """A node that is going away gets no new traffic from load balancers."""
    return node.metadata.deletion_timestamp is None and all(t.key != TO_BE_DELETED for t in node.spec.taints)


def _time(moment: datetime | None) -> str:
    """As Go prints a time."""
    if moment is None:
        return '"0001-01-01 00:00:00 +0000 UTC"'
    return f'"{moment:%Y-%m-%d %H:%M:%S.%f}000 +0000 UTC"'


def routes(
    health: ProxyHealth, now: Callable[[], datetime], healthz: Counter, livez: Counter
) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """/healthz and /livez of the proxy itself, counted by code."""

    def route(counter: Counter, with_node: bool) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            response = health.answer(now(), with_node)
            counter.inc(str(response.status))
            return response

        return answer

    return {"/healthz": route(healthz, True), "/livez": route(livez, False)}


def service_answer(namespace: str, service: str, endpoints: int, proxy_healthy: bool) -> Response:
    """What a load balancer is told about one service on this node, whatever path it asks for."""
    body = (
        f'{{\n\t"service": {{\n\t\t"namespace": {json.dumps(namespace)},\n\t\t"name": {json.dumps(service)}\n\t}},\n'
        f'\t"localEndpoints": {endpoints},\n\t"serviceProxyHealthy": {json.dumps(proxy_healthy)}\n}}'
    )
    headers = [*HEADERS, ("X-Load-Balancing-Endpoint-Weight", str(endpoints))]
    return Response(200 if endpoints and proxy_healthy else 503, headers, body.encode())


@dataclass(frozen=True, slots=True)
class Problem:
    """A health-check port of a service that cannot be opened."""

    namespace: str
    service: str
    text: str


class ServiceHealth:
    """A small server on each health-check port, on each address."""

    def __init__(self, addresses: Sequence[str], proxy_healthy: Callable[[], bool]) -> None:
        self._addresses, self._proxy_healthy = addresses, proxy_healthy
        self._services: dict[int, tuple[str, str, int]] = {}
        self._servers: dict[int, list[Server]] = {}

    async def sync(self, services: HealthPorts) -> list[Problem]:
        """Opens and closes ports; a port that cannot be opened is tried again at the next call."""
        self._services = dict(services)
        for port in [p for p in self._servers if p not in services]:
            for server in self._servers.pop(port):
                await server.stop(0)
        opened = [await self._open(port) for port in services if port not in self._servers]
        return [problem for problem in opened if problem is not None]

    async def _open(self, port: int) -> Problem | None:
        async def answer(request: Request) -> Response:
            namespace, service, endpoints = self._services[port]
            return service_answer(namespace, service, endpoints, self._proxy_healthy())

        servers: list[Server] = []
        try:
            for address in self._addresses:
                servers.append(await serve(answer, address, port))
        except OSError as error:
            for server in servers:
                await server.stop(0)
            namespace, service, _ = self._services[port]
            text = f'failed to start healthcheck "{namespace}/{service}" on port {port}: {error.strerror}'
            return Problem(namespace, service, text)
        self._servers[port] = servers
        return None

    async def close(self) -> None:
        """Closes all ports."""
        await self.sync({})
