"""What pods ask for in all, their quality of service, and their state."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
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


READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}
DELETED = "2026-01-01T00:00:00Z"
NOW = datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC)


def both_forms(phase: str = "Running", deleted: str | None = None, *conditions: dict[str, Any]) -> list[pods.Pod]:
    """The same pod as a client has it, and as the API server."""
    metadata = {"name": "p", "labels": {"l": "1"}, **({"deletionTimestamp": deleted} if deleted else {})}
    told = {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": list(conditions)}}
    return [decode(json.dumps(told), core.Pod), pods.state_of(told)]


@pytest.mark.parametrize(
    ("phase", "deleted", "finished", "active", "terminating"),
    [
        ("Running", None, False, True, False),
        ("Running", DELETED, False, False, True),
        ("", None, False, True, False),
        ("Unknown", DELETED, False, False, True),
        ("Succeeded", None, True, False, False),
        ("Failed", None, True, False, False),
        ("Failed", DELETED, True, False, False),
    ],
)
def test_states(phase: str, deleted: str | None, finished: bool, active: bool, terminating: bool) -> None:
    for pod in both_forms(phase, deleted):
        assert (pods.is_finished(pod), pods.is_active(pod), pods.is_terminating(pod)) == (finished, active, terminating)


def test_readiness() -> None:
    for pod in both_forms("Running", None, {"type": "PodScheduled", "status": "True"}, READY):
        assert pods.is_ready(pod) and pods.ready_since(pod) == NOW - timedelta(seconds=10)
        assert pods.available_in(pod, 15, NOW) == timedelta(seconds=5) and not pods.is_available(pod, 15, NOW)
        assert pods.is_available(pod, 10, NOW) and pods.is_available(pod, 0, NOW)
    for condition in ({**READY, "status": "False"}, {**READY, "type": "ContainersReady"}):
        for pod in both_forms("Running", None, condition):
            assert not pods.is_ready(pod) and pods.ready_since(pod) is None and pods.available_in(pod, 0, NOW) is None


def test_the_next_to_be_available() -> None:
    ready = both_forms("Running", None, READY)
    assert pods.next_availability([*ready, *both_forms()], 15, NOW) == 5
    assert pods.next_availability(ready, 10, NOW) is None


def test_a_pod_of_the_api_server_may_lack_everything() -> None:
    for told in ({}, {"metadata": {}}, {"metadata": {"deletionTimestamp": None}, "status": {"conditions": None}}):
        pod = pods.state_of(told)
        assert pods.is_active(pod) and not pods.is_ready(pod)
