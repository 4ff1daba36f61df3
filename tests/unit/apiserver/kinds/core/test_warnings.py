"""What is odd, though not wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS
from pybernetes.apiserver.kinds.apps import deployment
from pybernetes.apiserver.kinds.core import persistentvolume, podwarnings, service
from pybernetes.apiserver.kinds.networking import ingress


def told(spec: Any, annotations: Any = None, name: str = "a") -> list[str]:
    """Where, of each warning."""
    pod = {"metadata": {"name": name, "annotations": annotations or {}}, "spec": spec}
    return [text.split(": ")[0] for text in podwarnings.on_create(pod, None)]


TERM = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        ({}, []),
        ({"nodeSelector": {"beta.kubernetes.io/arch": "a", "x": "y"}}, ["spec.nodeSelector[beta.kubernetes.io/arch]"]),
        (
            {
                "affinity": {
                    "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [TERM]}, PREFERRED: [{"preference": TERM}]}
                }
            },
            [
                f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].key",
                f"spec.affinity.nodeAffinity.{PREFERRED}[0].preference.matchExpressions[0].key",
            ],
        ),
        ({"affinity": {"podAffinity": {REQUIRED: [{}]}}}, [f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector"]),
        ({"topologySpreadConstraints": [{"topologyKey": "x"}]}, ["spec.topologySpreadConstraints[0].labelSelector"]),
        ({"volumes": [{"name": "v", "gitRepo": {}}]}, ["spec.volumes[0].gitRepo"]),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, ["spec.imagePullSecrets[1].name"]),
        (
            {"containers": [{"resources": {"limits": {"memory": "100m"}}}]},
            ["spec.containers[0].resources.limits[memory]"],
        ),
        (
            {"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]},
            ["spec.containers[0].env[1]"],
        ),
        ({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}]}, []),
        (
            {"containers": [{"ports": [{"containerPort": 1}]}], "initContainers": [{"ports": [{"containerPort": 1}]}]},
            ["spec.containers[0].ports[0]"],
        ),
        ({"terminationGracePeriodSeconds": -1}, ["spec.terminationGracePeriodSeconds"]),
    ],
)
def test_pods(spec: Any, places: list[str]) -> None:
    assert told(spec) == places


def test_names_and_annotations() -> None:
    assert told({}, name="a.b") == ["metadata.name"]
    annotations = {"scheduler.alpha.kubernetes.io/critical-pod": "", podwarnings.SECCOMP_POD: "x"}
    assert len(told({}, annotations)) == 2
    assert len(told({"securityContext": {"seccompProfile": {}}}, annotations)) == 1


def test_templates_are_looked_at_when_they_may_have_changed() -> None:
    spec = {"template": {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "a"}}}}
    new: Any = {"metadata": {"name": "a", "generation": 2}, "spec": spec}
    old = copy.deepcopy(new)
    hook = deployment.RESOURCE.warnings
    wanted = (
        'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    )
    assert list(hook(new, None)) == [wanted]
    assert list(hook(new, old)) == []
    old["metadata"]["generation"] = 1
    assert list(hook(new, old)) == [wanted]


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"type": "ClusterIP"}, 0),
        ({"type": "ClusterIP", "clusterIP": "None", "externalIPs": ["1.2.3.4"], "sessionAffinity": "ClientIP"}, 2),
        ({"type": "ClusterIP", "externalIPs": ["1.2.3.4"], "externalName": "x"}, 2),
        ({"type": "ExternalName", "externalIPs": ["1.2.3.4"], "externalName": "x"}, 1),
        ({"type": "ClusterIP", "trafficDistribution": "PreferClose"}, 1),
    ],
)
def test_services(spec: Any, count: int) -> None:
    made = {"metadata": {"name": "a"}, "spec": {"sessionAffinity": "None", **spec}}
    assert len(service.warnings(made, None)) == count


def test_others() -> None:
    annotated = {"metadata": {"annotations": {ANNOTATION_INGRESS_CLASS: "x"}}}
    assert len(ingress.warnings(annotated, None)) == 1
    volume = {
        "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}},
        "spec": {"persistentVolumeReclaimPolicy": "Recycle"},
    }
    assert len(persistentvolume.warnings(volume, None)) == 2
