"""The plugin kubernetes: denials, fall-through, names that lead outside, and a cluster that changes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.dns import wire
from pybernetes.dns.app import App
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins import kubernetes
from pybernetes.dns.records import PodMode
from pybernetes.dns.wire import Answer, Query
from pybernetes.testing.cluster import TestCluster

from .chains import Behind, address, context, directive, query, serve
from .test_app import ask
from .test_records import Fake

TEXT = "kubernetes cluster.local in-addr.arpa {\n fallthrough in-addr.arpa\n}"


def made(text: str = TEXT, lookup: Behind | None = None) -> kubernetes.Kubernetes:
    block = context()
    if lookup is not None:
        block.lookup = lookup
    plugin = kubernetes.Kubernetes(kubernetes.parse(directive(text), block), block, Fake())
    plugin.next = Behind(address("behind."))
    return plugin


@pytest.mark.parametrize(
    ("name", "type", "rcode"),
    [
        ("svc1.testns.svc.cluster.local.", wire.A, wire.NOERROR),
        ("svc1.testns.svc.cluster.local.", wire.AAAA, wire.NOERROR),
        ("svc0.testns.svc.cluster.local.", wire.A, wire.NXDOMAIN),
    ],
)
def test_answers_are_authoritative_and_denials_have_an_soa(name: str, type: int, rcode: int) -> None:
    answer = serve(made(), query(name, type))
    assert (answer.rcode, answer.flags, answer.plugin) == (rcode, wire.AA, "kubernetes")
    if not answer.answer:
        (soa,) = answer.authority
        assert (soa.name, soa.type, soa.ttl) == ("cluster.local.", wire.SOA, 5)


@pytest.mark.parametrize(
    ("name", "goes_on"),
    [
        ("9.9.9.9.in-addr.arpa.", True),
        ("1.0.0.10.in-addr.arpa.", False),
        ("svc0.testns.svc.cluster.local.", False),
        ("example.org.", True),
        ("xcluster.local.", True),
    ],
)
def test_fallthrough(name: str, goes_on: bool) -> None:
    answer = serve(made(), query(name, wire.PTR))
    assert (answer.answer[:1] == address("behind.").answer) == goes_on


def test_names_outside_are_asked_of_the_whole_server() -> None:
    lookup = Behind(lambda q: address(q.name))
    answer = serve(made(lookup=lookup), query("external.testns.svc.cluster.local."))
    assert [(r.name, r.type) for r in answer.answer] == [
        ("external.testns.svc.cluster.local.", wire.CNAME),
        ("ext.interwebs.test.", wire.A),
    ]
    assert lookup.asked == [("ext.interwebs.test.", wire.A)]


def test_a_name_outside_without_an_answer_leaves_the_alias() -> None:
    def fails(asked: Query) -> Answer:
        raise ServeError("nobody there")

    answer = serve(made(lookup=Behind(fails)), query("external.testns.svc.cluster.local."))
    assert [r.type for r in answer.answer] == [wire.CNAME]


def test_before_the_first_list_nothing_is_denied() -> None:
    plugin = made()
    plugin._synced = False
    assert not plugin.ready()
    assert serve(plugin, query("svc0.testns.svc.cluster.local.")).rcode == wire.SERVFAIL
    assert serve(plugin, query("svc1.testns.svc.cluster.local.")).rcode == wire.NOERROR


def test_options() -> None:
    parsed = kubernetes.parse(
        directive(
            "kubernetes Cluster.Local {\n pods verified\n ttl 30\n namespaces a b\n endpoint_pod_names\n"
            " ignore empty_service\n endpoint 10.0.0.1:8080\n tls c k a\n labels app in (x, y)\n}"
        ),
        context(),
    )
    options = parsed.options
    assert (options.zones, options.pods, options.ttl) == (("cluster.local.",), PodMode.VERIFIED, 30)
    assert (options.namespaces, options.endpoint_pod_names, options.ignore_empty_service) == (
        frozenset("ab"),
        True,
        True,
    )
    assert (parsed.access.endpoint, parsed.access.tls) == ("http://10.0.0.1:8080", ("c", "k", "a"))
    assert parsed.labels == "app in (x, y)"
    assert replace(options, zones=("in-addr.arpa.", "b.")).primary == "b."


@pytest.mark.parametrize(
    "option",
    [
        "pods maybe",
        "ttl 3601",
        "ttl x",
        "namespaces",
        "tls a b",
        "ignore x",
        "foo",
        "namespaces a\n namespace_labels b",
    ],
)
def test_mistakes(option: str) -> None:
    with pytest.raises(CorefileError, match="Corefile:"):
        kubernetes.parse(directive(f"kubernetes cluster.local {{\n {option}\n}}"), context())


def test_a_cluster_that_changes(tmp_path: Path) -> None:
    def service(name: str, ip: str) -> core_v1.Service:
        body = {"metadata": {"name": name, "namespace": "default"}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}
        return types.decode(types.encode(body), core_v1.Service)

    def endpoint_slice(name: str, ip: str) -> discovery_v1.EndpointSlice:
        labels = {"kubernetes.io/service-name": name}
        meta = {"name": name, "namespace": "default", "labels": labels}
        endpoint = {"addresses": [ip], "hostname": "web-0", "conditions": {"ready": True}}
        body = {"metadata": meta, "addressType": "IPv4", "endpoints": [endpoint], "ports": [{"name": "", "port": 80}]}
        return types.decode(types.encode(body), discovery_v1.EndpointSlice)

    async def answered(port: int, name: str, rcode: int, last: int = 0) -> None:
        """Until the answer is this one."""
        async with asyncio.timeout(60):
            while True:
                reply = await ask(port, name)
                if reply.answer.rcode == rcode and [r.data[-1] for r in reply.answer.answer] == (
                    [last] if last else []
                ):
                    return
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        cluster = TestCluster(tmp_path)
        found = await cluster.start()
        client = RESTClient(load(found.kubeconfig))
        corefile = tmp_path / "Corefile"
        corefile.write_text(
            f". {{\n bind 127.0.0.1\n errors\n kubernetes cluster.local {{\n kubeconfig {found.kubeconfig}\n }}\n cache\n}}"
        )
        app = App(corefile, 0)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(cluster.stop)
            stack.push_async_callback(client.close)
            stack.push_async_callback(app.stop)
            await client.create(service("web", "10.96.0.21"))
            await app.start()
            (listener,) = app.listeners.values()
            await answered(listener.port, "web.default.svc.cluster.local.", wire.NOERROR, 21)
            await client.create(service("pods", "None"))
            await client.create(endpoint_slice("pods", "10.244.0.7"))
            await answered(listener.port, "web-0.pods.default.svc.cluster.local.", wire.NOERROR, 7)
            await answered(listener.port, "nothing.default.svc.cluster.local.", wire.NXDOMAIN)

    asyncio.run(scenario())


def test_answers_are_remembered_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    resolve = kubernetes.resolve

    def counting(name: str, *rest: Any) -> Any:
        asked.append(name)
        return resolve(name, *rest)

    monkeypatch.setattr(kubernetes, "resolve", counting)
    monkeypatch.setattr(kubernetes, "MAX_RESULTS", 2)
    directory = Fake()
    block = context()
    plugin = kubernetes.Kubernetes(kubernetes.parse(directive(TEXT), block), block, directory)
    for name, count in (
        ("svc1", 1),
        ("svc1", 1),
        ("SVC1", 2),
        ("svc1", 3),
        ("svc1", 3),
    ):  # another case is another answer
        serve(plugin, query(f"{name}.testns.svc.cluster.local."))
        assert len(asked) == count
    directory.generation += 1
    serve(plugin, query("svc1.testns.svc.cluster.local."))
    assert len(asked) == 4


def test_what_is_remembered_does_not_grow_by_what_is_asked_elsewhere() -> None:
    plugin = made(lookup=Behind(lambda q: address(q.name)))
    for _ in range(3):
        assert len(serve(plugin, query("external.testns.svc.cluster.local.")).answer) == 2
