"""Nights pass in a moment, on the cluster's clock; conflicts and lost answers come by rule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("kr8s", reason="kr8s is not installed")

import kr8s
from night import AWAKE, HOURS, change, is_night, look

from pybernetes.testing import Kube

# It warns of each version that came after it.
pytestmark = pytest.mark.filterwarnings("ignore:Kubernetes version:UserWarning")
RIGHTS = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "patch"]}]


def deployment(name: str, hours: str, replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "annotations": {HOURS: hours}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@pytest.fixture
def api(kube: Kube) -> Any:
    """With the operator's own rights."""
    return kube.user("night", rules=RIGHTS).client("kr8s")


def replicas(kube: Kube, name: str) -> int:
    return int(kube.get("deployment", name)["spec"]["replicas"])


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, 30, tzinfo=UTC)


@pytest.mark.kubernetes(controllers=["deployment", "replicaset", "serviceaccount"], scheduler=True, nodes=1)
def test_a_night(kube: Kube, api: Any) -> None:
    hour = kube.clock.now().hour
    night = f"{(hour + 1) % 24}-{(hour + 2) % 24}"  # the next hour
    kube.apply([deployment("web", night), deployment("always", "never")])
    kube.wait_for("deployment", "web", "Available")
    kube.clock.advance("1h")
    assert look(api, kube.clock.now) == ["web"]
    kube.wait_for("deployment", "web", lambda obj: not obj.get("status", {}).get("replicas"))
    assert look(api, kube.clock.now) == [] and replicas(kube, "always") == 2
    kube.clock.advance("1h")
    assert look(api, kube.clock.now) == ["web"]
    kube.wait_for("deployment", "web", lambda obj: obj["status"].get("readyReplicas") == 2)
    assert AWAKE not in kube.get("deployment", "web")["metadata"]["annotations"]


def test_somebody_else_writes_at_the_same_time(kube: Kube, api: Any) -> None:
    kube.apply(deployment("web", "0-24"))
    with kube.faults.storm("deployments") as storm:
        assert look(api, kube.clock.now, pause=0) == ["web"]
    assert storm.hits == 1 and replicas(kube, "web") == 0


def test_an_answer_that_is_lost(kube: Kube, api: Any) -> None:
    """The patch took effect: the second try sees that, and does not take 0 for the number of the day."""
    kube.apply(deployment("web", "0-24", 3))
    kube.faults.add(verb="patch", resource="deployments", error="Timeout", after=True, times=1)
    look(api, kube.clock.now, pause=0)
    assert replicas(kube, "web") == 0
    assert kube.get("deployment", "web")["metadata"]["annotations"][AWAKE] == "3"


def test_a_deployment_that_goes_meanwhile(kube: Kube, api: Any) -> None:
    kube.apply(deployment("web", "0-24"))
    kube.faults.add(verb="get", resource="deployments", error="NotFound", times=1)
    assert look(api, kube.clock.now, pause=0) == []


def test_it_gives_up_some_time(kube: Kube, api: Any) -> None:
    refused = kube.faults.add(verb="list", error="ServiceUnavailable")
    with pytest.raises(kr8s.ServerError):
        look(api, kube.clock.now, pause=0)
    assert refused.hits == 5


@pytest.mark.parametrize(
    ("hours", "hour", "night"),
    [
        ("22-6", 21, False),
        ("22-6", 22, True),
        ("22-6", 3, True),
        ("22-6", 6, False),
        ("1-5", 3, True),
        ("1-5", 5, False),
        ("0-24", 23, True),
        ("", 3, None),
        ("22", 3, None),
        ("22-99", 3, None),
        ("a-b", 3, None),
    ],
)
def test_hours(hours: str, hour: int, night: bool | None) -> None:
    assert is_night(hours, at(hour)) is night


def test_who_never_slept_is_not_woken() -> None:
    assert change({HOURS: "22-6"}, 0, at(12)) is None
