"""What load balancers and probes are told."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from pybernetes.api import types
from pybernetes.api.types import core_v1
from pybernetes.proxy.health import ProxyHealth, ServiceHealth, eligible, service_answer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_change_that_waits_too_long_is_unhealthy() -> None:
    health = ProxyHealth(60)
    assert health.healthy(NOW), "while it starts"
    health.queue("IPv4", NOW)
    health.queue("IPv4", NOW + timedelta(seconds=50))
    assert health.healthy(NOW + timedelta(seconds=59))
    assert not health.healthy(NOW + timedelta(seconds=60))
    health.update("IPv4", NOW + timedelta(seconds=61))
    assert health.healthy(NOW + timedelta(hours=1))


def test_answers() -> None:
    health = ProxyHealth(60)
    health.update("IPv4", NOW)
    later = NOW + timedelta(seconds=10)
    healthz = health.answer(later, with_node=True)
    assert healthz.status == 200
    assert json.loads(healthz.body) == {
        "lastUpdated": "2026-01-02 03:04:15.000000000 +0000 UTC",
        "currentTime": "2026-01-02 03:04:15.000000000 +0000 UTC",
        "nodeEligible": True,
    }
    health.queue("IPv4", NOW)
    late = health.answer(NOW + timedelta(seconds=70), with_node=False)
    assert late.status == 503
    assert json.loads(late.body)["lastUpdated"] == "2026-01-02 03:04:05.000000000 +0000 UTC"


def node(**spec: object) -> core_v1.Node:
    return types.decode(types.encode({"metadata": {"name": "node1"}, "spec": spec}), core_v1.Node)


def test_a_node_that_goes_away_is_not_eligible_but_lives() -> None:
    health = ProxyHealth(60)
    for given, expected in (
        (node(), True),
        (node(taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]), False),
    ):
        health.node_eligible = eligible(given)
        assert health.answer(NOW, with_node=True).status == (200 if expected else 503)
        assert health.answer(NOW, with_node=False).status == 200


def test_services() -> None:
    answer = service_answer("px", "web", 2, True)
    assert answer.status == 200
    assert answer.body.decode() == (
        '{\n\t"service": {\n\t\t"namespace": "px",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
    )
    assert ("X-Load-Balancing-Endpoint-Weight", "2") in answer.headers
    assert service_answer("px", "web", 0, True).status == 503
    assert service_answer("px", "web", 2, False).status == 503


def test_a_taken_port_is_told_and_tried_again() -> None:
    async def scenario() -> None:
        services = {0: ("px", "web", 1)}
        health = ServiceHealth(["127.0.0.1"], lambda: True)
        assert await health.sync(services) == []
        (server,) = health._servers[0]
        other = ServiceHealth(["127.0.0.1"], lambda: True)
        (problem,) = await other.sync({server.port: ("px", "web", 1)})
        assert (problem.namespace, problem.service) == ("px", "web")
        assert f'failed to start healthcheck "px/web" on port {server.port}' in problem.text
        await health.close()
        assert await other.sync({server.port: ("px", "web", 1)}) == []
        await other.close()

    asyncio.run(scenario())
