"""What versions refuse and answer that left, or changed since, one field at a time: see `test_refusals`."""

from __future__ import annotations

import asyncio
import copy

import pytest

from .golden import server
from .test_legacy_workloads import call, options
from .test_refusals import CORE, DEFINITIONS, Object, causes, created

POLICY: Object = {
    "seLinux": {"rule": "RunAsAny"},
    "runAsUser": {"rule": "RunAsAny"},
    "supplementalGroups": {"rule": "RunAsAny"},
    "fsGroup": {"rule": "RunAsAny"},
}
RANGES = [{"min": 1, "max": 2}]
POLICIES: list[tuple[Object, list[str]]] = [
    ({}, []),
    ({"runAsGroup": {"rule": "RunAsAny"}}, []),
    ({"runAsGroup": {"rule": "RunAsAny", "ranges": RANGES}}, ["spec.runAsGroup.ranges Invalid"]),
    ({"runAsGroup": {"rule": "MustRunAs", "ranges": []}}, ["spec.runAsGroup.ranges Invalid"]),
    ({"runAsGroup": {"rule": "MayRunAs"}}, ["spec.runAsGroup.ranges Invalid"]),
    ({"runAsGroup": {"rule": "MayRunAs", "ranges": RANGES}}, []),
    ({"runAsGroup": {"rule": "None"}}, ["spec.runAsGroup.rule NotSupported"]),
    ({"allowedFlexVolumes": [{}]}, ["spec.allowedFlexVolumes.allowedFlexVolumes[0].driver Required"]),
    (
        {"allowedCSIDrivers": [{"name": ""}, {"name": "A_"}]},
        [
            "spec.allowedCSIDrivers.allowedCSIDriver[0].name Required",
            "spec.allowedCSIDrivers.allowedCSIDriver[0].name Invalid",
            "spec.allowedCSIDrivers.allowedCSIDriver[1].name Invalid",
        ],
    ),
    ({"allowedCSIDrivers": [{"name": "a" * 64}]}, ["spec.allowedCSIDrivers.allowedCSIDriver[0].name TooLong"]),
]


def test_pod_security_policies() -> None:
    path = "/apis/policy/v1beta1/podsecuritypolicies"
    bodies = [{"metadata": {"name": "a"}, "spec": {**POLICY, **spec}} for spec, _ in POLICIES]
    assert [causes(one) for one in created(path, *bodies)] == [refused for _, refused in POLICIES]
    marked = {"seccomp.security.alpha.kubernetes.io/defaultProfileName": ""}
    body = {"metadata": {"name": "a", "annotations": marked}, "spec": POLICY}
    assert [causes(one) for one in created(path, body)] == [[]]


@pytest.mark.parametrize("version", ["v2beta1", "v2beta2"])
def test_scalers_of_then_refer_without_a_version(version: str) -> None:
    """The kind: what is checked since 1.34 is not in versions that left with 1.25 and 1.26."""
    path = f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers"
    bodies = [
        {"metadata": {"name": "a"}, "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "D", "name": "d", **more}}}
        for more in ({}, {"apiVersion": "v1"}, {"apiVersion": "a/b/c"})
    ]
    assert [causes(one) for one in created(path, *bodies)] == [[], [], []]
    today = created(path.replace(version, "v2"), bodies[0])
    assert [causes(one) for one in today] == [["spec.scaleTargetRef.apiVersion Invalid"]]


def test_an_object_s_metric_of_v2beta1_has_a_value_in_any_case() -> None:
    source = {"target": {"kind": "D", "name": "d"}, "metricName": "m", "averageValue": "2"}
    bodies = [
        {
            "metadata": {"name": "a"},
            "spec": {
                "maxReplicas": 1,
                "scaleTargetRef": {"kind": "D", "name": "d"},
                "metrics": [{"type": "Object", "object": {**source, **more}}],
            },
        }
        for more in ({}, {"targetValue": "0"}, {"targetValue": "1"})
    ]
    path = "/apis/autoscaling/v2beta1/namespaces/default/horizontalpodautoscalers"
    wrong = ["spec.metrics[0].object.target.value Invalid"]
    assert [causes(one) for one in created(path, *bodies)] == [wrong, wrong, []]


@pytest.mark.parametrize("group", ["extensions", "networking.k8s.io"])
def test_ingresses_of_v1beta1_may_name_any_secret(group: str) -> None:
    spec: Object = {"backend": {"serviceName": "s", "servicePort": 80}, "tls": [{"secretName": "A_b"}]}
    path = f"/apis/{group}/v1beta1/namespaces/default/ingresses"
    assert [causes(one) for one in created(path, {"metadata": {"name": "a"}, "spec": spec})] == [[]]


def test_an_ingress_that_named_any_secret_may_go_on() -> None:
    spec: Object = {"backend": {"serviceName": "s", "servicePort": 80}, "tls": [{"secretName": "A_b"}]}
    old = "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses"
    now = old.replace("v1beta1", "v1")

    async def main() -> None:
        async with server(server_options=options) as client:
            assert (await call(client, f"POST {old}", {"metadata": {"name": "a"}, "spec": spec}))[0] == 201
            _, made = await call(client, f"GET {now}/a")
            made["spec"]["ingressClassName"] = "c"
            assert (await call(client, f"PUT {now}/a", made))[0] == 200
            made = {"metadata": {"name": "b"}, "spec": made["spec"]}
            answer = await call(client, f"POST {now}", made)
            assert causes(answer) == ["spec.tls[0].secretName Invalid"]

    asyncio.run(main())


def test_subjects_of_v1alpha1_are_answered_as_they_are_read() -> None:
    """The kind: a write's answer went without the way to the stored version and back."""
    subjects = [
        {"kind": "User", "name": "*"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiVersion": "x/y"},
        {"kind": "Group", "name": "g", "apiVersion": "x/y"},
    ]
    binding = {"metadata": {"name": "a"}, "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": subjects}
    alpha = "rbac.authorization.k8s.io/v1alpha1"
    ((code, answer),) = created(f"/apis/{alpha}/namespaces/default/rolebindings", binding)
    assert code == 201
    assert answer["subjects"] == [
        {"kind": "Group", "name": "system:authenticated", "apiVersion": alpha},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiVersion": "v1"},
        {"kind": "Group", "name": "g", "apiVersion": alpha},
    ]


LEVEL: Object = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}, "assuredConcurrencyShares": 2}}


@pytest.mark.parametrize(("version", "fields"), [("v1alpha1", set()), ("v1beta1", {"lendablePercent"})])
def test_priority_levels_are_answered_in_fields_of_their_version(version: str, fields: set[str]) -> None:
    """The kind: a field that the version has not, which a patch of the answer is then warned of."""
    path = f"/apis/flowcontrol.apiserver.k8s.io/{version}/prioritylevelconfigurations"

    async def main() -> None:
        async with server(server_options=options) as client:
            made = await call(client, f"POST {path}", {"metadata": {"name": "a"}, "spec": LEVEL})
            for code, answer in (made, await call(client, f"GET {path}/a")):
                assert code < 300
                assert set(answer["spec"]["limited"]) == {"assuredConcurrencyShares", "limitResponse"} | fields

    asyncio.run(main())


STATUS_ALONE = [
    (
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
        {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
    ),
    (
        "/apis/flowcontrol.apiserver.k8s.io/v1beta1/flowschemas",
        {"spec": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 9000}},
    ),
    (
        "/apis/apiregistration.k8s.io/v1/apiservices",
        {"spec": {"group": "a.b", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}},
    ),
]


@pytest.mark.parametrize(("path", "body"), STATUS_ALONE)
def test_who_writes_the_status_writes_no_metadata(path: str, body: Object) -> None:
    name = "v1.a.b" if "apiservices" in path else "a"
    labels = {"metadata": {"labels": {"x": "y"}, "annotations": {"x": "y"}, "ownerReferences": []}}

    async def main() -> None:
        async with server(server_options=options) as client:
            code, made = await call(client, f"POST {path}", {"metadata": {"name": name}, **copy.deepcopy(body)})
            assert code == 201
            merge = "application/merge-patch+json"
            code, answer = await call(client, f"PATCH {path}/{name}/status", labels, merge)
            assert code == 200
            kept = [one["metadata"].get(key) for one in (made, answer) for key in ("labels", "annotations")]
            assert kept[:2] == kept[2:]
            stale = {**answer, "metadata": {**answer["metadata"], "resourceVersion": "1"}}
            assert (await call(client, f"PUT {path}/{name}/status", stale))[0] == 409

    asyncio.run(main())


OTHERS = [
    ("/apis/policy/v1beta1/podsecuritypolicies", {"spec": POLICY}, "PodSecurityPolicy.extensions"),
    (
        "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses",
        {"spec": {"backend": {"serviceName": "s", "servicePort": 80}}},
        "Ingress.extensions",
    ),
    (
        "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
        {"spec": {"podSelector": {}}},
        "NetworkPolicy.extensions",
    ),
    (
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        {"spec": {"minAvailable": 1}},
        "PodDisruptionBudget.policy",
    ),
]


@pytest.mark.parametrize(("path", "body", "kind"), OTHERS)
def test_a_deletion_that_meant_another_object_names_the_kind_as_refusals_do(path: str, body: Object, kind: str) -> None:
    async def main() -> None:
        async with server(server_options=options) as client:
            assert (await call(client, f"POST {path}", {"metadata": {"name": "a"}, **copy.deepcopy(body)}))[0] == 201
            code, answer = await call(client, f"DELETE {path}/a", {"preconditions": {"uid": "x"}})
            assert code == 409
            assert answer["message"].startswith(
                f'Operation cannot be fulfilled on {kind} "a": the UID in the precondition'
            )

    asyncio.run(main())


def test_namespaces_and_definitions_have_words_of_their_own_for_that() -> None:
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "ex.io", "scope": "Cluster", "names": names, "versions": [version]}

    async def main() -> None:
        async with server(server_options=options) as client:
            for path, name, body in (
                (f"{CORE}/namespaces", "a", {}),
                (DEFINITIONS.format("v1"), "things.ex.io", {"spec": spec}),
            ):
                assert (await call(client, f"POST {path}", {"metadata": {"name": name}, **body}))[0] == 201
                for key, title in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
                    code, answer = await call(client, f"DELETE {path}/{name}", {"preconditions": {key: "1"}})
                    assert (code, answer["details"]["kind"]) == (409, path.rpartition("/")[2])
                    assert (
                        f"precondition failed: {title} in precondition: 1, {title} in object meta: "
                        in answer["message"]
                    )

    asyncio.run(main())


def test_a_path_to_a_resource_has_a_port_of_none() -> None:
    resource = {"apiGroup": "a.b", "kind": "K", "name": "n"}
    paths = [{"path": "/", "pathType": "Exact", "backend": {"resource": resource}}]
    body = {"metadata": {"name": "a"}, "spec": {"rules": [{"http": {"paths": paths}}]}}
    path = "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses"

    async def main() -> None:
        async with server(server_options=options) as client:
            await call(client, f"POST {path}", body)
            _, answer = await call(client, f"GET {path}/a")
            (told,) = answer["spec"]["rules"][0]["http"]["paths"]
            assert told["backend"] == {"resource": resource, "servicePort": 0}

    asyncio.run(main())
