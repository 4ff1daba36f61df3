"""What pods ask for in all, and their quality of service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.api import pods
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import decode


def spec(*containers: dict[str, Any], **more: Any) -> core.PodSpec:
    named = [{"name": f"c{number}", **container} for number, container in enumerate(containers)]
    return decode(json.dumps({"containers": named, **more}), core.PodSpec)


def asks(cpu: str = "", memory: str = "", /, **limits: str) -> dict[str, Any]:
    requests = {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount}
    return {"resources": {"requests": requests, "limits": limits}}


def written(amounts: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


SIDECAR = {"name": "s", "restartPolicy": "Always", **asks("1")}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec(asks("1"), asks("500m", "1Gi")), {"cpu": "1500m", "memory": "1Gi"}),
        (spec(asks("1"), initContainers=[{"name": "i", **asks("3")}]), {"cpu": "3"}),
        (spec(asks("1"), initContainers=[SIDECAR, {"name": "i", **asks("3")}]), {"cpu": "4"}),
        (spec(asks("1"), initContainers=[{"name": "i", **asks("3")}, SIDECAR]), {"cpu": "3"}),
        (spec(asks("1"), resources={"requests": {"cpu": "2"}}), {"cpu": "2"}),
        (spec(asks("1"), overhead={"cpu": "100m", "memory": "1Mi"}), {"cpu": "1100m", "memory": "1Mi"}),
    ],
)
def test_requests(given: core.PodSpec, expected: dict[str, str]) -> None:
    assert written(pods.requests(given)) == expected


def test_overhead_raises_only_limits_that_are_there() -> None:
    given = spec(asks(cpu="1"), overhead={"cpu": "100m", "memory": "1Mi"})
    assert written(pods.limits(given)) == {"cpu": "1100m"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec({}), "BestEffort"),
        (spec({"resources": {"requests": {"example.com/gpu": "1"}}}), "BestEffort"),
        (spec(asks("0")), "BestEffort"),
        (spec(asks("1")), "Burstable"),
        (spec(asks(), asks("1", "1", cpu="1", memory="1")), "Burstable"),
        (spec(asks("1", "1", cpu="1", memory="1")), "Guaranteed"),
        (spec(asks(cpu="1", memory="1")), "Guaranteed"),
        (spec(asks("1", "1", cpu="2", memory="1")), "Burstable"),
        (spec(asks("1", "1", cpu="1", memory="1"), initContainers=[{"name": "i"}]), "Burstable"),
        (spec({}, resources={"requests": {"cpu": "1"}}), "Burstable"),
        (spec({}, resources={"limits": {"cpu": "1", "memory": "1"}}), "Guaranteed"),
    ],
)
def test_quality_of_service(given: core.PodSpec, expected: str) -> None:
    assert pods.qos_class(given) == expected
