"""Who owns which fields of what controllers, scheduler and kubelet write: managers, operations and subresources as upstream's have them.

Whoever applies with other tools meets these names in conflicts. The recorded cases of controllers have no managedFields.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.client.rest import RESTClient
from pybernetes.testing import TestCluster

SECONDS = 60.0
MANAGER, KUBELET, SCHEDULER = "kube-controller-manager", "kubelet", "kube-scheduler"


def template(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def workload(name: str, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, "template": template(name), **spec}}


APPS, CORE, NAMESPACE = "/apis/apps/v1/namespaces/default", "/api/v1/namespaces/default", "/namespaces/default"
GIVEN: list[tuple[str, dict[str, Any]]] = [
    (f"{APPS}/deployments", workload("web", replicas=2)),
    (f"{APPS}/statefulsets", workload("s", serviceName="web")),
    (f"{APPS}/daemonsets", workload("d")),
    (
        f"/apis/batch/v1{NAMESPACE}/jobs",
        {"metadata": {"name": "j"}, "spec": {"template": template("j", restartPolicy="Never")}},
    ),
    (f"{CORE}/services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    (
        f"/apis/policy/v1{NAMESPACE}/poddisruptionbudgets",
        {"metadata": {"name": "p"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
    ),
    (
        f"/apis/autoscaling/v2{NAMESPACE}/horizontalpodautoscalers",
        {
            "metadata": {"name": "h"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "maxReplicas": 3,
            },
        },
    ),
    (f"{CORE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "20"}}}),
    ("/apis/networking.k8s.io/v1/servicecidrs", {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.200.0.0/24"]}}),
    (
        f"{CORE}/pods",
        {
            "metadata": {"name": "nowhere"},
            "spec": {"nodeSelector": {"no": "such"}, "containers": [{"name": "c", "image": "i"}]},
        },
    ),
]
STATUS = ("Update", "status")
WHOLE = ("Update", "")
# path -> (manager, operation, subresource) -> paths of fields that it owns, and how many parts of a path are shown
EXPECTED: dict[str, dict[tuple[str, str, str], set[str]]] = {
    f"{APPS}/deployments/web": {
        (MANAGER, *STATUS): {
            "f:metadata.f:annotations",
            "f:status.f:availableReplicas",
            "f:status.f:conditions",
            "f:status.f:observedGeneration",
            "f:status.f:readyReplicas",
            "f:status.f:replicas",
            "f:status.f:terminatingReplicas",
            "f:status.f:updatedReplicas",
        }
    },
    f"{APPS}/daemonsets/d": {
        (MANAGER, *STATUS): {
            "f:status.f:currentNumberScheduled",
            "f:status.f:desiredNumberScheduled",
            "f:status.f:numberAvailable",
            "f:status.f:numberReady",
            "f:status.f:observedGeneration",
            "f:status.f:updatedNumberScheduled",
        }
    },
    f"{APPS}/statefulsets/s": {
        (MANAGER, *STATUS): {
            "f:status.f:availableReplicas",
            "f:status.f:collisionCount",
            "f:status.f:currentReplicas",
            "f:status.f:currentRevision",
            "f:status.f:observedGeneration",
            "f:status.f:readyReplicas",
            "f:status.f:replicas",
            "f:status.f:updateRevision",
            "f:status.f:updatedReplicas",
        }
    },
    f"/apis/policy/v1{NAMESPACE}/poddisruptionbudgets/p": {
        (MANAGER, *STATUS): {
            "f:status.f:conditions",
            "f:status.f:currentHealthy",
            "f:status.f:desiredHealthy",
            "f:status.f:disruptionsAllowed",
            "f:status.f:expectedPods",
            "f:status.f:observedGeneration",
        }
    },
    f"{CORE}/resourcequotas/q": {(MANAGER, *STATUS): {"f:status.f:hard", "f:status.f:used"}},
    f"{CORE}/endpoints/web": {(MANAGER, *WHOLE): {"f:metadata.f:annotations", "f:metadata.f:labels", "f:subsets"}},
    "/apis/networking.k8s.io/v1/servicecidrs/more": {
        (MANAGER, *WHOLE): {"f:metadata.f:finalizers"},
        ("service-cidr-controller", "Apply", "status"): {"f:status.f:conditions"},
    },
    f"{CORE}/pods/nowhere": {(SCHEDULER, *STATUS): {"f:status.f:conditions"}},
    f"{CORE}/pods/s-0": {
        (MANAGER, *WHOLE): {
            "f:metadata.f:generateName",
            "f:metadata.f:labels",
            "f:metadata.f:ownerReferences",
            "f:spec.f:containers",
            "f:spec.f:dnsPolicy",
            "f:spec.f:enableServiceLinks",
            "f:spec.f:hostname",
            "f:spec.f:restartPolicy",
            "f:spec.f:schedulerName",
            "f:spec.f:securityContext",
            "f:spec.f:subdomain",
            "f:spec.f:terminationGracePeriodSeconds",
        },
        (KUBELET, *STATUS): {
            "f:status.f:conditions",
            "f:status.f:containerStatuses",
            "f:status.f:hostIP",
            "f:status.f:hostIPs",
            "f:status.f:observedGeneration",
            "f:status.f:phase",
            "f:status.f:podIP",
            "f:status.f:podIPs",
            "f:status.f:startTime",
        },
    },
}


def owned(obj: dict[str, Any]) -> dict[tuple[str, str, str], set[str]]:
    """As EXPECTED has it; the test's own client is left out."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for entry in obj["metadata"].get("managedFields", ()):
        key = (entry["manager"], entry["operation"], entry.get("subresource", ""))
        fields = found.setdefault(key, set())
        for name, inner in entry["fieldsV1"].items():
            inside = [part for part in inner if part != "."]
            if name in ("f:metadata", "f:spec", "f:status"):
                fields.update(f"{name}.{part}" for part in inside)
            else:
                fields.add(name)
    return {key: fields for key, fields in found.items() if key[0] not in ("test", "kube-apiserver")}


async def settled(client: RESTClient, path: str, wanted: dict[tuple[str, str, str], set[str]]) -> Any:
    """What is owned as soon as it is as it should be, or in the end."""
    found: Any = None
    try:
        async with asyncio.timeout(SECONDS):
            while found != wanted:
                await asyncio.sleep(0.1)
                try:
                    found = owned(json.loads(await client.raw("GET", path)))
                except Exception as error:  # not there yet
                    found = error
    except TimeoutError:
        pass
    return found


def test_owners(tmp_path: Path) -> None:
    async def main() -> dict[str, Any]:
        cluster = TestCluster(tmp_path, hollow_nodes=1, controllers="all", scheduler=True)
        await cluster.start()
        client = cluster.client("admin", agent="test")
        try:
            async with asyncio.timeout(
                SECONDS
            ):  # a node that takes pods: else the scheduler says of each that there is none
                while json.loads(await client.raw("GET", "/api/v1/nodes/hollow-0"))["spec"].get("taints"):
                    await asyncio.sleep(0.05)
            for path, body in GIVEN:
                await client.raw("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            found = await asyncio.gather(*(settled(client, path, wanted) for path, wanted in EXPECTED.items()))
        finally:
            await cluster.stop()
        return dict(zip(EXPECTED, found, strict=True))

    found = asyncio.run(main())
    assert {path: found[path] for path, wanted in EXPECTED.items() if found[path] != wanted} == {}


@pytest.mark.parametrize(
    ("part", "name"),
    [("kube-controller-manager", MANAGER), ("kube-scheduler", SCHEDULER), ("kubelet", KUBELET)],
)
def test_the_commands_say_who_they_are(part: str, name: str) -> None:
    """A manager is the first word of the user agent: each part's is its name."""
    from pybernetes.controllers.options import NAME as controllers
    from pybernetes.scheduler.options import NAME as scheduler

    assert {"kube-controller-manager": controllers, "kube-scheduler": scheduler}.get(part, part) == name
