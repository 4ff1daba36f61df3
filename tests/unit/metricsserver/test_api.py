"""metrics.k8s.io/v1beta1 as documents and tables, and where kubelets are asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.component import serving
from pybernetes.component.delegated import Ask
from pybernetes.metricsserver.api import MetricsAPI, ask
from pybernetes.metricsserver.kubelets import NoAddress, NodeFacts, Resolver
from pybernetes.metricsserver.points import NANOS, Batch, Point
from pybernetes.metricsserver.storage import PodFacts, Storage
from pybernetes.wire.http import Request, Response

BASE = "/apis/metrics.k8s.io/v1beta1"
AT = int(datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()) * NANOS
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass
class Known:
    storage: Storage = field(default_factory=lambda: Storage(60 * NANOS))
    nodes: dict[str, NodeFacts] = field(default_factory=dict)
    pods: dict[tuple[str, str], PodFacts] = field(default_factory=dict)


def known() -> Known:
    made = Known()
    for name in ("a", "b", "silent"):
        made.nodes[name] = NodeFacts((("InternalIP", "10.0.0.1"),), 0, True, {"zone": name})
    for name, phase in (("x", True), ("y", True), ("ended", False)):
        made.pods["default", name] = PodFacts("a", phase, frozenset({"c", "d"}), {"app": name})

    def batch(second: int, cpu: int) -> Batch:
        point = Point(AT + second * NANOS, cpu, 5 << 20)
        return Batch(
            {"a": point, "b": point},
            {
                ("default", "x"): {"c": point, "d": point},
                ("default", "y"): {"c": point},
                ("default", "ended"): {"c": point},
            },
        )

    made.storage.store(batch(0, NANOS))
    made.storage.store(batch(15, 4 * NANOS))
    return made


def get(path: str, accept: str = "", method: str = "GET", **query: str) -> tuple[int, Any]:
    routes = MetricsAPI(known(), VirtualClock(epoch=datetime(2030, 1, 1, 12, 1, tzinfo=UTC))).routes()
    asked = "&".join(f"{name}={value}" for name, value in query.items()).encode()
    request = Request(method, path.encode(), asked, [("accept", accept)])
    route = serving.find(routes, path)
    assert route is not None
    answer = asyncio.run(route(request))  # type: ignore[arg-type]
    assert isinstance(answer, Response)
    return answer.status, json.loads(answer.body)


def test_a_node() -> None:
    code, body = get(f"{BASE}/nodes/a")
    assert (code, body) == (
        200,
        {
            "kind": "NodeMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {"name": "a", "creationTimestamp": "2030-01-01T12:01:00Z", "labels": {"zone": "a"}},
            "timestamp": "2030-01-01T12:00:15Z",
            "window": "15s",
            "usage": {"cpu": "200m", "memory": "5Mi"},
        },
    )


def test_a_pod() -> None:
    _, body = get(f"{BASE}/namespaces/default/pods/x")
    assert body["metadata"]["namespace"] == "default"
    assert body["containers"] == [{"name": name, "usage": {"cpu": "200m", "memory": "5Mi"}} for name in ("c", "d")]


@pytest.mark.parametrize(
    ("path", "query", "names"),
    [
        ("nodes", {}, ["a", "b"]),
        ("nodes", {"labelSelector": "zone%3Db"}, ["b"]),
        ("nodes", {"fieldSelector": "metadata.name%3Da"}, ["a"]),
        ("pods", {}, ["x", "y"]),
        ("namespaces/default/pods", {"labelSelector": "app%20in%20(y)"}, ["y"]),
        ("namespaces/default/pods", {"fieldSelector": "metadata.name%3Dx"}, ["x"]),
        ("namespaces/other/pods", {}, []),
    ],
)
def test_lists(path: str, query: dict[str, str], names: list[str]) -> None:
    code, body = get(f"{BASE}/{path}", **query)
    assert (code, [item["metadata"]["name"] for item in body["items"]]) == (200, names)
    assert body["kind"] == ("NodeMetricsList" if path == "nodes" else "PodMetricsList")


def test_a_table() -> None:
    _, body = get(f"{BASE}/namespaces/default/pods", TABLE)
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert [row["cells"] for row in body["rows"]] == [["x", "400m", "10Mi", "15s"], ["y", "200m", "5Mi", "15s"]]
    assert body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, body = get(f"{BASE}/namespaces/other/pods", TABLE)
    assert (body["columnDefinitions"], body["rows"]) == (None, [])


@pytest.mark.parametrize(
    ("method", "path", "query", "code", "message"),
    [
        ("GET", "nodes/none", {}, 404, 'nodes "none" not found'),
        ("GET", "nodes/silent", {}, 404, 'nodemetrics.metrics.k8s.io "silent" not found'),
        ("GET", "namespaces/default/pods/none", {}, 404, 'pods "none" not found'),
        ("GET", "namespaces/default/pods/ended", {}, 404, 'podmetrics.metrics.k8s.io "default/ended" not found'),
        ("GET", "services", {}, 404, "the server could not find the requested resource"),
        ("GET", "nodes", {"watch": "true"}, 405, "watch is not supported on resources of kind"),
        ("DELETE", "nodes/a", {}, 405, "is not supported on resources of kind"),
        ("GET", "nodes", {"labelSelector": "!!"}, 400, "unable to parse"),
    ],
)
def test_refusals(method: str, path: str, query: dict[str, str], code: int, message: str) -> None:
    answered, body = get(f"{BASE}/{path}", method=method, **query)
    assert (answered, body["kind"]) == (code, "Status")
    assert message in body["message"]


def test_discovery() -> None:
    assert get("/apis")[1]["groups"][0]["preferredVersion"]["groupVersion"] == "metrics.k8s.io/v1beta1"
    assert get("/apis/metrics.k8s.io")[1]["name"] == "metrics.k8s.io"
    resources = get(BASE)[1]["resources"]
    assert [(one["name"], one["kind"], one["namespaced"]) for one in resources] == [
        ("nodes", "NodeMetrics", False),
        ("pods", "PodMetrics", True),
    ]


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", f"{BASE}/nodes", b"", Ask("list", "", "metrics.k8s.io", "nodes", version="v1beta1")),
        ("GET", f"{BASE}/nodes", b"watch=1", Ask("watch", "", "metrics.k8s.io", "nodes", version="v1beta1")),
        (
            "GET",
            f"{BASE}/namespaces/s/pods/p",
            b"",
            Ask("get", "", "metrics.k8s.io", "pods", name="p", namespace="s", version="v1beta1"),
        ),
        ("DELETE", f"{BASE}/nodes/a", b"", Ask("delete", "", "metrics.k8s.io", "nodes", name="a", version="v1beta1")),
        ("GET", "/metrics", b"", Ask("get", "/metrics")),
    ],
)
def test_what_is_judged(method: str, path: str, query: bytes, wanted: Ask) -> None:
    assert ask(Request(method, path.encode(), query, [])) == wanted


def test_where_a_kubelet_is_asked() -> None:
    node = NodeFacts((("InternalIP", "10.0.0.1"), ("Hostname", "n1")), 10251, True, {})
    assert Resolver().place("n1", node) == ("n1", 10250)
    assert Resolver(("InternalIP",), 10250, True).place("n1", node) == ("10.0.0.1", 10251)
    with pytest.raises(NoAddress, match=r"node n1 had no addresses that matched types \[ExternalIP\]"):
        Resolver(("ExternalIP",)).place("n1", node)
