"""Rules in a kernel, as iptables-save prints them; `tests/unit` says what they do to packets beside those of a real kube-proxy."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from pybernetes.component import serving
from pybernetes.net.iptables import IPTables
from pybernetes.proxy.backends import Change, Options
from pybernetes.proxy.backends.iptables import rules
from pybernetes.proxy.backends.iptables.backend import IPTablesBackend
from pybernetes.proxy.backends.iptables.rules import JUMPS
from pybernetes.proxy.backends.iptables.ruleset import desired
from pybernetes.proxy.backends.iptables.tables import parse, plan
from pybernetes.proxy.cleanup import clean, remove
from pybernetes.proxy.health import ProxyHealth, ServiceHealth, routes
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort, health_ports, service_ports
from tests.unit.proxy.backends.iptables.test_rules import CASES, KUBERNETES, NODE_ADDRESS, options, typed
from tests.unit.proxy.backends.randomly import random_ports

from .namespaces import Namespace


async def sync(backend: IPTablesBackend, ports: list[ServicePort], options: Options) -> bool:
    """As at the start: everything is new, and the kernel is read."""
    services: dict[ServiceKey, list[ServicePort]] = {}
    for port in ports:
        services.setdefault((port.namespace, port.service), []).append(port)
    changes = {key: Change([], own) for key, own in services.items()}
    return await backend.sync(changes, services, options, reread=True)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rules_are_written_as_the_kernel_prints_them(path: Path, node: Namespace) -> None:
    case = yaml.safe_load(path.read_text())
    services, slices = typed(KUBERNETES + case["objects"], path.stem)
    ports = service_ports(services, slices, "node1")
    chosen = options(case.get("proxy_flags", ["--cluster-cidr=10.244.0.0/16"]))

    async def apply() -> str:
        assert await sync(IPTablesBackend("IPv4", IPTables(), Metrics()), ports, chosen)
        return await IPTables().save()

    saved = parse(node.inside(lambda: uvloop.run(apply())))
    for table, chain in {(table, chain): None for table, chain, _ in JUMPS}:
        own = [rule for t, c, rule in JUMPS if (t, c) == (table, chain)]
        assert [rule for rule in saved[table][chain] if "KUBE-" in rule] == own, "the order of the jumps"
    # The chains that are laid out as ever are the recorded ones to the letter, hashes of names included.
    for line in case["expect"]["nat"]["rules"]:
        _, chain, rule = line.split(" ", 2)
        if chain.startswith("KUBE-SEP-"):
            assert rule in saved["nat"][chain]
    # What the kernel prints is what was asked for: nothing is written twice.
    assert plan(saved, desired(ports, chosen).tables) == ""


WITH_HTTP = [path for path in CASES if "http" in yaml.safe_load(path.read_text())["expect"]]


@pytest.mark.parametrize("path", WITH_HTTP, ids=lambda path: path.stem)
def test_same_health(path: Path, node: Namespace) -> None:
    """Today's answers say one thing more: serviceProxyHealthy, nodeEligible."""
    case = yaml.safe_load(path.read_text())
    services, slices = typed(KUBERNETES + case["objects"], path.stem)
    ports = health_ports(service_ports(services, slices, "node1"))
    node.run(f"ip addr add {NODE_ADDRESS}/32 dev lo")

    async def scenario() -> dict[str, tuple[int, Any, dict[str, Any]]]:
        now, metrics = datetime(2026, 1, 2, tzinfo=UTC), Metrics()
        proxy = ProxyHealth(60)
        pages = routes(proxy, lambda: now, metrics.healthz, metrics.livez)
        server = await serving.start(pages, "0.0.0.0", 10256)
        health = ServiceHealth(["0.0.0.0"], lambda: proxy.healthy(now))
        assert await health.sync(ports) == []
        try:
            return {url: await asyncio.to_thread(asked, url) for url in case["expect"]["http"]}
        finally:
            await health.close()
            await server.stop(0)

    answers = node.inside(lambda: uvloop.run(scenario()))
    for url, expected in case["expect"]["http"].items():
        code, headers, body = answers[url]
        assert code == expected["code"]
        assert {name: headers[name] for name in expected["headers"]} == expected["headers"]
        recorded = json.loads(expected["body"])
        assert recorded.keys() <= body.keys()
        assert {k: v for k, v in recorded.items() if "<" not in str(v)}.items() <= body.items()


def asked(url: str) -> tuple[int, Any, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


def test_foreign_changes_are_repaired_and_everything_can_be_removed(node: Namespace) -> None:
    case = yaml.safe_load(next(p for p in CASES if p.stem == "clusterip-3").read_text())
    ports = service_ports(*typed(case["objects"], ""), "node1")

    async def scenario() -> tuple[str, str, str]:
        tables = IPTables()
        await tables.restore("*nat\n:MINE - [0:0]\n-A MINE -j RETURN\n-A PREROUTING -j MINE\nCOMMIT\n")
        backend = IPTablesBackend("IPv4", tables, Metrics())
        assert await sync(backend, ports, Options("10.244.0.0/16"))
        whole = await tables.save()
        await tables.restore("*nat\n:KUBE-SERVICES - [0:0]\n-D PREROUTING 1\n:KUBE-SVC-STALE - [0:0]\nCOMMIT\n")
        assert await sync(backend, ports, Options("10.244.0.0/16"))
        repaired = await tables.save()
        await remove()
        return whole, repaired, await tables.save()

    whole, repaired, cleaned = map(parse, node.inside(lambda: uvloop.run(scenario())))
    assert repaired == whole
    assert cleaned["nat"]["MINE"] == ["-j RETURN"]
    assert cleaned["nat"]["PREROUTING"] == ["-j MINE"]
    assert not [chain for chains in cleaned.values() for chain in chains if chain.startswith("KUBE-")]
    node.inside(clean)  # nothing to do is no error


def test_ipv6_rules_are_as_the_kernel_prints_them(node: Namespace) -> None:
    service = {
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "fd00:96::10",
            "ports": [{"port": 80, "nodePort": 30080}],
            "externalIPs": ["2001:db8::7"],
            "sessionAffinity": "ClientIP",
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["2001:db8:1::/48"],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::8"}]}},
    }
    endpoint_slice = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv6",
        "endpoints": [{"addresses": [f"fd00:244::{n}"], "nodeName": f"node{n}"} for n in (1, 2)],
        "ports": [{"name": "", "port": 8080}],
    }
    lonely = {
        "kind": "Service",
        "metadata": {"name": "lonely"},
        "spec": {"clusterIP": "fd00:96::11", "ports": [{"port": 80}]},
    }
    services, slices = typed([service, lonely, endpoint_slice], "")
    for number, item in enumerate(slices[0].endpoints, 1):
        item.node_name = f"node{number}"
    ports = service_ports(services, slices, "node1", "IPv6")

    async def apply(chosen: rules.Options) -> str:
        assert await sync(IPTablesBackend("IPv6", IPTables("IPv6"), Metrics()), ports, chosen)
        return await IPTables("IPv6").save()

    by_cidr = rules.Options("fd00:244::/64", family="IPv6", localhost_node_ports=False)
    by_interface = rules.Options(pod_interface="cni0", family="IPv6", localhost_node_ports=False)
    saved = parse(node.inside(lambda: uvloop.run(apply(by_cidr))))
    assert plan(saved, desired(ports, by_cidr).tables) == ""
    assert any(chain.startswith("KUBE-SVL-") for chain in saved["nat"])
    saved = parse(node.inside(lambda: uvloop.run(apply(by_interface))))
    assert plan(saved, desired(ports, by_interface).tables) == ""


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_after_any_changes_the_kernel_holds_what_is_desired(family: str, node: Namespace) -> None:
    chance = random.Random(f"2026 {family}")
    chosen = Options("10.244.0.0/16" if family == "IPv4" else "fd00:244::/64", localhost_node_ports=False)
    full = rules.Options(chosen.cluster_cidr, family=family, localhost_node_ports=False)

    async def scenario() -> None:
        tables = IPTables(family)
        backend = IPTablesBackend(family, tables, Metrics())
        before: dict[ServiceKey, list[ServicePort]] = {}
        for number in range(20):
            services: dict[ServiceKey, list[ServicePort]] = {}
            for port in random_ports(chance, family=family):
                services.setdefault((port.namespace, port.service), []).append(port)
            changes = {n: Change(before.get(n, []), services.get(n, [])) for n in {**before, **services}}
            changes = {name: change for name, change in changes.items() if change.before != change.after}
            assert await backend.sync(changes, services, chosen, reread=number == 0)
            ports = [port for own in services.values() for port in own]
            assert plan(parse(await tables.save()), desired(ports, full).tables) == "", number
            before = services

    node.inside(lambda: uvloop.run(scenario()))
