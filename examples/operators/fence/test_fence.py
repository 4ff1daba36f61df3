"""The operator runs on a thread, with its own rights; watches end, expire and are cut."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fence import LABEL, policy, run
from kubernetes import client

from pybernetes.testing import Kube

RIGHTS = [
    {"resources": ["namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["create", "patch", "delete"]},
]
SECONDS = 60.0


def namespace(name: str, fence: str = "closed") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: fence}}}


@pytest.fixture
def operator(kube: Kube) -> Iterator[None]:
    stop, failure = threading.Event(), list[BaseException]()
    api: client.ApiClient = kube.user("fence", rules=RIGHTS).client("kubernetes")

    def work() -> None:
        try:
            run(api, stop.is_set, lambda: None)
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    while thread.is_alive():  # its watch may begin only after this has ended all of them
        kube.faults.end_watches("namespaces")
        thread.join(0.1)
    assert not failure, failure


def test_a_fence_comes_and_goes_with_the_label(kube: Kube, operator: None) -> None:
    kube.apply(namespace("a"))
    there = kube.in_namespace("a")
    assert there.wait_for("networkpolicy", "fence", "created")
    kube.apply(namespace("a", "open"))
    there.wait_for("networkpolicy", "fence", "deleted")


@pytest.mark.parametrize("gone", [True, False], ids=["expired", "ended"])
def test_what_happens_after_a_watch(kube: Kube, operator: None, gone: bool) -> None:
    kube.apply(namespace("before"))
    kube.in_namespace("before").wait_for("networkpolicy", "fence", "created")
    kube.faults.end_watches("namespaces", gone=gone)
    kube.apply(namespace("after"))
    kube.in_namespace("after").wait_for("networkpolicy", "fence", "created")


def test_a_connection_that_is_cut_and_an_answer_that_is_lost(kube: Kube, operator: None) -> None:
    """The policy is there, and the operator finds that out by itself."""
    lost = kube.faults.add(verb="create", resource="networkpolicies", error="Timeout", after=True, times=1)
    cut = kube.faults.add(verb="list", resource="namespaces", user="fence", drop=True, times=1)
    kube.apply(namespace("a"))
    kube.in_namespace("a").wait_for("networkpolicy", "fence", "created")
    kube.apply(namespace("b"))
    kube.in_namespace("b").wait_for("networkpolicy", "fence", "created")
    assert (lost.hits, cut.hits) == (1, 1)
    assert [one.code for one in kube.requests.where(verb="create", name="fence")][:2] == [504, 409]


@pytest.mark.parametrize(
    ("labels", "closed"), [(None, False), ({}, False), ({"fence": "open"}, False), ({"fence": "closed"}, True)]
)
def test_who_has_a_fence(labels: dict[str, str] | None, closed: bool) -> None:
    assert (policy(labels) is not None) == closed
