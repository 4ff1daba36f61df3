"""Metrics of a sync. The kind: what is told of all services was counted over all of them at each change (effort beyond what changed)."""

from __future__ import annotations

import random

from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import Change, ServiceKey, ServicePort

from .objects import port

LOCALITIES = ({}, {"local_only": True}, {"internal_local": True}, {"local_only": True, "internal_local": True})


def some_port(chance: random.Random, name: str) -> ServicePort:
    ips = ("10.0.0.1", "10.0.0.2")[: chance.randrange(3)]
    return port(name, *ips, local=ips[: chance.randrange(2)], **chance.choice(LOCALITIES))


def told(metrics: Metrics) -> list[str]:
    return [
        line for line in metrics.registry.text().splitlines() if line.startswith("kubeproxy_sync_proxy_rules_no_local")
    ]


def test_services_without_local_endpoints_are_counted_by_difference() -> None:
    chance = random.Random(5)
    metrics, services = Metrics(), dict[ServiceKey, list[ServicePort]]()
    seen = set()
    for turn in range(200):
        keys = {("px", f"s{chance.randrange(6)}") for _ in range(chance.randrange(3))}
        changes = {}
        for key in keys:
            before = services.pop(key, [])
            after = [some_port(chance, key[1]) for _ in range(chance.randrange(3))]
            changes[key] = Change(before, after)
            if after:
                services[key] = after
        metrics.observe_sync("IPv4", changes, services, full=turn % 50 == 0, seconds=0.1)
        counted = Metrics()
        counted.observe_sync("IPv4", {}, services, full=True, seconds=0.1)
        assert told(metrics) == told(counted)
        seen.update(told(metrics))
    assert len(seen) > 6
