"""The metrics APIs: what is asked and how answers are read."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from pybernetes.api import errors
from pybernetes.api.types import autoscaling_v2 as autoscaling
from pybernetes.api.types import meta_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.controllers.podautoscaler.calculator import Unknown
from pybernetes.controllers.podautoscaler.metrics import MetricsClient

METRIC = autoscaling.MetricIdentifier(name="rate", selector=meta_v1.LabelSelector(match_labels={"a": "b"}))
TIME = "2026-01-01T00:00:00Z"


PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods?labelSelector=app%3Dweb"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/rate?labelSelector=a%3Db"


def serving(items: list[dict[str, Any]], *paths: str) -> MemoryClient:
    """The same at each of the paths."""
    client = MemoryClient()
    for path in paths:
        client.answers["GET", path] = json.dumps({"items": items}).encode()
    return client


def ask(client: MemoryClient, name: str, *arguments: Any) -> Any:
    return asyncio.run(getattr(MetricsClient(client), name)(*arguments))


def pod_metrics(name: str, **usage: str) -> dict[str, Any]:
    containers = [{"name": part, "usage": {"cpu": value}} for part, value in usage.items()]
    return {"metadata": {"name": name}, "timestamp": TIME, "window": "30s", "containers": containers}


def test_resource_metrics() -> None:
    mute = pod_metrics("mute", c="1")
    mute["containers"][0]["usage"] = {"memory": "1Mi"}
    server = serving([pod_metrics("a", c="100m", d="1"), mute], PODS)
    found = ask(server, "resource", "cpu", "ns", "app=web")
    assert {name: (s.value, s.window) for name, s in found.items()} == {"a": (1100, timedelta(seconds=30))}
    assert ask(server, "resource", "cpu", "ns", "app=web", "c")["a"].value == 100


def test_custom_metrics() -> None:
    item = {"describedObject": {"name": "a"}, "timestamp": TIME, "windowSeconds": 60, "value": "1500m"}
    server = serving(
        [item],
        f"{CUSTOM}/pods/*/rate?labelSelector=app%3Dweb&metricLabelSelector=a%3Db",
        f"{CUSTOM}/ingresses.networking.k8s.io/i/rate?metricLabelSelector=a%3Db",
    )
    assert ask(server, "pods", METRIC, "ns", "app=web")["a"].value == 1500
    ingress = autoscaling.CrossVersionObjectReference(api_version="networking.k8s.io/v1", kind="Ingress", name="i")
    assert ask(server, "object", METRIC, "ns", ingress) == 1500


def test_external_metrics_add_up() -> None:
    server = serving([{"value": "2"}, {"value": "500m"}], EXTERNAL)
    assert ask(server, "external", METRIC, "ns") == 2500


class Refusing(MemoryClient):
    """Answers every path with a code and no Status, as a server does that has no such API, or whose aggregated one is down."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self._code = code

    async def raw(self, method: str, path: str, *arguments: Any, **options: Any) -> bytes:
        raise errors.generic(self._code, method, "", "", "", f"GET {path} was answered {self._code}: what a proxy says")


NOWHERE = "the server could not find the requested resource"
DOWN = "the server is currently unable to handle the request"


@pytest.mark.parametrize(
    ("code", "asked", "text"),
    [
        (404, ("resource", "cpu", "ns", ""), f"resource metrics API: {NOWHERE} (get pods.metrics.k8s.io)"),
        (503, ("resource", "cpu", "ns", ""), f"resource metrics API: {DOWN} (get pods.metrics.k8s.io)"),
        (404, ("external", METRIC, "ns"), f"external metrics API: {NOWHERE} (get rate.external.metrics.k8s.io)"),
        (503, ("external", METRIC, "ns"), f"external metrics API: {DOWN} (get rate.external.metrics.k8s.io)"),
        (
            404,
            ("pods", METRIC, "ns", ""),
            "custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
        ),
    ],
)
def test_without_a_metrics_server(code: int, asked: tuple[Any, ...], text: str) -> None:
    """In upstream's words, whatever text came with the code."""
    with pytest.raises(Unknown) as raised:
        ask(Refusing(code), *asked)
    assert str(raised.value) == f"unable to fetch metrics from {text}"


def test_without_figures() -> None:
    with pytest.raises(Unknown, match="no metrics returned from external metrics API"):
        ask(serving([], EXTERNAL), "external", METRIC, "ns")
