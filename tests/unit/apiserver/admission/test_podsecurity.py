"""The Pod Security Standards, and where they are asked."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission import podsecurity
from pybernetes.apiserver.admission.podsecurity import PodSecurity
from pybernetes.apiserver.admission.podsecuritystandards import violations
from pybernetes.apiserver.authentication.user import LOOPBACK
from pybernetes.apiserver.kinds.apps import deployment
from pybernetes.apiserver.kinds.core import namespace, pod
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, meta

Object = dict[str, Any]
GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def a_pod(security: Object | None = None, container: Object | None = None, **spec: Any) -> Object:
    one = {"name": "c", "securityContext": security or {}, **(container or {})}
    return {"metadata": meta("p", "a"), "spec": {"containers": [one], **spec}}


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (a_pod(), []),
        (a_pod(hostNetwork=True, hostPID=True), ["host namespaces (hostNetwork=true, hostPID=true)"]),
        (
            a_pod({"privileged": True}),
            ['privileged (container "c" must not set securityContext.privileged=true)'],
        ),
        (
            a_pod({"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}),
            [
                'non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)'
            ],
        ),
        (a_pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), ['hostPath volumes (volume "v")']),
        (a_pod(container={"ports": [{"hostPort": 80}]}), ['hostPort (container "c" uses hostPort 80)']),
        (
            a_pod({"procMount": "Unmasked"}),
            ['procMount (container "c" must not set securityContext.procMount to "Unmasked")'],
        ),
        (a_pod(securityContext={"sysctls": [{"name": "kernel.msgmax"}]}), ["forbidden sysctls (kernel.msgmax)"]),
        (
            a_pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            ['seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'],
        ),
    ],
)
def test_baseline(made: Object, found: list[str]) -> None:
    assert violations(made, "baseline") == found
    assert violations(made, "privileged") == []


def test_restricted() -> None:
    assert violations(a_pod(GOOD), "restricted") == []
    assert violations(a_pod(), "restricted") == [
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ]
    volumes = [{"name": "v", "nfs": {}}, {"name": "w", "emptyDir": {}}]
    assert violations(a_pod(GOOD, volumes=volumes), "restricted") == [
        'restricted volume types (volume "v" uses restricted volume type "nfs")'
    ]
    assert violations(a_pod({**GOOD, "runAsUser": 0}), "restricted") == [
        'runAsUser=0 (container "c" must not set runAsUser=0)'
    ]


def attributes(resource: Resource, obj: Object, old: Object | None = None) -> Attributes:
    operation: Any = "UPDATE" if old else "CREATE"
    return Attributes(LOOPBACK, operation, resource, "", "a", obj["metadata"]["name"], obj, old)


def plugin(**labels: str) -> PodSecurity:
    named = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
    return PodSecurity(Objects(("", "namespaces", {"metadata": meta("a", labels=named)})))


def test_pods_are_refused_and_workloads_warned_of() -> None:
    bad = a_pod({"privileged": True})
    plugin().validate(attributes(pod.RESOURCE, bad))
    with pytest.raises(StatusError, match='violates PodSecurity "baseline:latest": privileged'):
        plugin(enforce="baseline").validate(attributes(pod.RESOURCE, bad))
    asked = attributes(deployment.RESOURCE, {"metadata": meta("d", "a"), "spec": {"template": bad}})
    plugin(enforce="baseline", warn="baseline").validate(asked)
    assert [text.partition(" (")[0] for text in asked.warnings] == [
        'would violate PodSecurity "baseline:latest": privileged'
    ]


def test_an_update_that_changes_no_spec_passes() -> None:
    bad = a_pod({"privileged": True})
    plugin(enforce="baseline").validate(attributes(pod.RESOURCE, {**bad, "status": {}}, bad))


def test_a_level_nobody_knows() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "lax"}
    with pytest.raises(StatusError, match="must be one of privileged, baseline, restricted"):
        plugin().validate(attributes(namespace.RESOURCE, {"metadata": meta("a", labels=labels)}))
    with pytest.raises(StatusError, match="restricted:latest"):
        plugin(enforce="lax").validate(attributes(pod.RESOURCE, a_pod()))


LABEL = "pod-security.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "policies", "odd"),
    [
        ({}, ("privileged:latest", "privileged:latest", "privileged:latest"), []),
        (
            {"enforce": "baseline", "enforce-version": "v1.25"},
            ("baseline:v1.25", "privileged:latest", "baseline:v1.25"),
            [],
        ),
        (
            {"enforce": "baseline", "enforce-version": "v1.25", "warn-version": "v1.30"},
            ("baseline:v1.25", "privileged:latest", "baseline:v1.30"),
            [],
        ),
        (
            {"enforce": "baseline", "warn": "privileged"},
            ("baseline:latest", "privileged:latest", "privileged:latest"),
            [],
        ),
        ({"enforce": "lax"}, ("restricted:latest", "privileged:latest", "privileged:latest"), ["enforce"]),
        ({"audit": "lax", "warn": "x"}, ("privileged:latest",) * 3, ["audit", "warn"]),
        ({"enforce-version": "senseless"}, ("privileged:latest",) * 3, ["enforce-version"]),
        (
            {"enforce-version": "1.25", "audit-version": "v1.025", "warn-version": "v2.0"},
            ("privileged:latest",) * 3,
            ["enforce-version", "audit-version", "warn-version"],
        ),
        (
            {"warn-version": "v1.0", "audit-version": "v1.9999"},
            ("privileged:latest", "privileged:v1.9999", "privileged:v1.0"),
            [],
        ),
        ({"enforce-version": ""}, ("privileged:latest",) * 3, ["enforce-version"]),
        ({"warn-version": f"v1.{2**64}"}, ("privileged:latest",) * 3, ["warn-version"]),
    ],
)
def test_what_labels_ask_for(labels: Any, policies: tuple[str, ...], odd: list[str]) -> None:
    asked, problems = podsecurity.policy({LABEL + name: value for name, value in labels.items()})
    assert tuple(str(asked[mode]) for mode in ("enforce", "audit", "warn")) == policies
    assert [error.field for error in problems] == [f"metadata.labels[{LABEL}{name}]" for name in odd]


def test_namespaces_that_ask_for_what_there_is_not() -> None:
    """Refused as they are made, and when the labels change; what was let in once may stay."""

    def labelled(**labels: str) -> Object:
        return {"metadata": meta("a", labels={LABEL + name.replace("_", "-"): value for name, value in labels.items()})}

    bad = labelled(enforce_version="senseless")
    for old in (None, labelled(), labelled(enforce_version="other")):
        with pytest.raises(StatusError, match='must be "latest"') as refused:
            plugin().validate(attributes(namespace.RESOURCE, bad, old))
        assert refused.value.code == 422
    plugin().validate(attributes(namespace.RESOURCE, {**bad, "spec": {"x": 1}}, bad))


def test_who_makes_a_namespace_stricter_is_told_of_its_pods() -> None:
    def owned(name: str, uid: str) -> Object:
        made = a_pod({"privileged": True})
        owners = [{"uid": uid, "controller": True}]
        return {**made, "metadata": meta(name, "a", ownerReferences=owners)}

    pods = [
        owned("web-2", "u"),
        owned("web-1", "u"),
        a_pod(hostNetwork=True),
        a_pod() | {"metadata": meta("fine", "a")},
    ]
    old: Object = {"metadata": meta("a")}
    new = {"metadata": meta("a", labels={LABEL + "enforce": "baseline"})}
    reader = Objects(("", "namespaces", old), *(("", "pods", one) for one in pods))
    asked = attributes(namespace.RESOURCE, new, old)
    PodSecurity(reader).validate(asked)
    assert asked.warnings == [
        'existing pods in namespace "a" violate the new PodSecurity enforce level "baseline:latest"',
        "p: host namespaces",
        "web-1 (and 1 other pod): privileged",
    ]
    asked = attributes(namespace.RESOURCE, old, new)
    PodSecurity(reader).validate(asked)
    assert asked.warnings == []
    first = podsecurity.of_existing(pods * 500, "a", podsecurity.LevelVersion("baseline"))[0]
    assert first == "new PodSecurity enforce level only checked against the first 1000 of 2000 existing pods"
