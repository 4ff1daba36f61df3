"""What a pod asks of its node."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.computeresources import is_extended
from pybernetes.scheduler.model.requests import granted, is_scalar, nonzero_requests, pod_requests

from ..make import pod

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ({}, (100, 200 * MEBIBYTE)),
        ({"cpu": "0"}, (0, 200 * MEBIBYTE)),
        ({"cpu": "50m", "memory": "1Mi"}, (50, MEBIBYTE)),
    ],
)
def test_a_silent_container_counts_for_something(requests: dict[str, str], expected: tuple[int, int]) -> None:
    assert nonzero_requests(pod(requests=requests).spec) == expected


def init(name: str, cpu: str, sidecar: bool = False) -> dict[str, Any]:
    found = {"name": name, "resources": {"requests": {"cpu": cpu}}}
    return {**found, "restartPolicy": "Always"} if sidecar else found


@pytest.mark.parametrize(
    ("initial", "cpu"),
    [
        ([], 1000),
        ([init("a", "500m")], 1000),
        ([init("a", "3"), init("b", "2")], 3000),
        ([init("s", "1", sidecar=True)], 2000),
        # An init container runs beside the sidecars before it, not beside those after it.
        ([init("s", "1", sidecar=True), init("a", "3")], 4000),
        ([init("a", "3"), init("s", "1", sidecar=True)], 3000),
        ([init("s", "1", sidecar=True), init("t", "2", sidecar=True), init("a", "500m")], 4000),
    ],
)
def test_init_containers_and_sidecars(initial: list[dict[str, Any]], cpu: int) -> None:
    assert pod_requests(pod(requests={"cpu": "1"}, initContainers=initial).spec)["cpu"] == cpu


@pytest.mark.parametrize(
    ("wanted", "in_force", "allocated", "infeasible", "counts"),
    [
        ("1", "1", "1", False, 1000),
        ("2", "1", "1", False, 2000),  # a resize upwards is under way
        ("1", "2", "2", False, 2000),  # a resize downwards is
        ("9", "1", "1", True, 1000),
        ("1", "1", "3", False, 3000),
    ],
)
def test_resize_in_place(wanted: str, in_force: str, allocated: str, infeasible: bool, counts: int) -> None:
    status: dict[str, Any] = {
        "containerStatuses": [
            {
                "name": "c",
                "image": "i",
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "resources": {"requests": {"cpu": in_force}},
                "allocatedResources": {"cpu": allocated},
            }
        ]
    }
    if infeasible:
        status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]
    resized = pod(requests={"cpu": wanted}, node="n", status=status)
    assert pod_requests(granted(resized))["cpu"] == counts


@pytest.mark.parametrize(
    ("name", "extended", "scalar"),
    [
        ("cpu", False, False),
        ("ephemeral-storage", False, False),
        ("example.org/gpu", True, True),
        ("hugepages-2Mi", False, True),
        ("kubernetes.io/x", False, True),
    ],
)
def test_names_of_resources(name: str, extended: bool, scalar: bool) -> None:
    assert (is_extended(name), is_scalar(name)) == (extended, scalar)
