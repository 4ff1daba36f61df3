"""One field at a time of full objects, over HTTP: what is refused, of which fields, and what is answered otherwise.

Found by mutating each field of a valid object of every kind, on a server of 1.20 and this one. Kinds of faults: a pointer to ""
taken for one that is not there, parts of an object that nobody checked, a rule of today applied to versions that left before it,
and words of Python's in refusals.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import Any

import pytest

from .golden import server
from .test_legacy_workloads import call, options

Object = dict[str, Any]
CORE, STORAGE = "/api/v1", "/apis/storage.k8s.io"
HERE = f"{CORE}/namespaces/default"
DEFINITIONS = "/apis/apiextensions.k8s.io/{}/customresourcedefinitions"


def created(path: str, *bodies: Object) -> list[tuple[int, Any]]:
    """What dry runs answer, one after the other."""

    async def main() -> list[tuple[int, Any]]:
        async with server(server_options=options) as client:
            return [await call(client, f"POST {path}?dryRun=All", copy.deepcopy(body)) for body in bodies]

    return asyncio.run(main())


def causes(answer: tuple[int, Any]) -> list[str]:
    """`field reason` of a refusal; [] of what was taken."""
    code, body = answer
    assert code in (201, 422), body
    told = body["details"]["causes"] if code == 422 else []
    return [f"{one['field']} {one['reason'].removeprefix('FieldValue')}" for one in told]


def volume(source: Object, **spec: Any) -> Object:
    given = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source, **spec}
    return {"metadata": {"name": "a"}, "spec": given}


CSI = {"driver": "d.io", "volumeHandle": "h"}
DISK = {"diskName": "d", "diskURI": "/subscriptions/x", "kind": "Managed"}
OS = {"volumeName": "v", "secretRef": {"name": "s"}}
VOLUMES: list[tuple[Object, list[str]]] = [
    (volume({"csi": CSI}), []),
    (volume({"csi": CSI}, volumeMode=""), ["spec.volumeMode NotSupported"]),
    (volume({"csi": CSI}, volumeMode=None), []),
    (volume({"azureDisk": {**DISK, "cachingMode": ""}}), ["spec.azureDisk.cachingMode NotSupported"]),
    (
        volume({"azureDisk": {**DISK, "kind": ""}}),
        ["spec.azureDisk.kind NotSupported", "spec.azureDisk.diskURI NotSupported"],
    ),
    (volume({"csi": {**CSI, "nodeStageSecretRef": {"name": "S", "namespace": "N"}}}), []),
    (
        volume({"csi": {**CSI, "nodePublishSecretRef": {"name": "S", "namespace": "a.b"}}}),
        ["spec.csi.nodePublishSecretRef.name Invalid", "spec.csi.nodePublishSecretRef.namespace Invalid"],
    ),
    (volume({"csi": {**CSI, "nodePublishSecretRef": {"name": "a.b", "namespace": "a"}}}), []),
    (volume({"storageos": OS}), ["spec.storageos.secretRef.namespace Required"]),
    (volume({"quobyte": {"registry": "::1", "volume": "v"}}), ["spec.quobyte.registry Invalid"]),
    (volume({"quobyte": {"registry": "[::1]:1,a:2", "volume": "v"}}), []),
    (volume({"csi": CSI}, capacity={"storage": "1Gi", "a.b/c": "1500m"}), ["spec.capacity NotSupported"]),
]


def test_volumes() -> None:
    answers = created(f"{CORE}/persistentvolumes", *(body for body, _ in VOLUMES))
    assert [causes(answer) for answer in answers] == [refused for _, refused in VOLUMES]


def test_a_capacity_below_nothing_is_told_as_a_number() -> None:
    ((_, answer),) = created(f"{CORE}/persistentvolumes", volume({"csi": CSI}, capacity={"storage": "-1Gi"}))
    assert [one["message"] for one in answer["details"]["causes"]] == [
        "Invalid value: -1073741824: must be a valid resource quantity",
        'Invalid value: "-1Gi": must be greater than zero',
    ]


def test_modes_of_claims_and_classes_that_are_empty() -> None:
    claim: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    bodies = [{"metadata": {"name": "a"}, "spec": {**claim, "volumeMode": mode}} for mode in ("", None, "Block")]
    answers = created(f"{HERE}/persistentvolumeclaims", *bodies)
    assert [causes(one) for one in answers] == [["spec.volumeMode NotSupported"], [], []]
    assert answers[1][1]["spec"]["volumeMode"] == "Filesystem"
    classes = [
        {"metadata": {"name": "a"}, "provisioner": "a.b/c", name: ""} for name in ("volumeBindingMode", "reclaimPolicy")
    ]
    assert [causes(one) for one in created(f"{STORAGE}/v1/storageclasses", *classes)] == [
        ["volumeBindingMode NotSupported"],
        [],
    ]


def test_changes_of_classes_are_checked_as_creations_are() -> None:
    path = f"{STORAGE}/v1/storageclasses"
    terms = [
        ([{"matchLabelExpressions": [{"key": "a", "values": ["b"]}]}], []),
        ([{"matchLabelExpressions": [{"key": "a b", "values": []}]}], ["values Required", "key Invalid"]),
    ]

    async def main() -> None:
        async with server(server_options=options) as client:
            _, made = await call(client, f"POST {path}", {"metadata": {"name": "a"}, "provisioner": "a.b/c"})
            for topologies, refused in terms:
                answer = await call(client, f"PUT {path}/a", {**made, "allowedTopologies": topologies})
                at = "allowedTopologies[0].matchLabelExpressions[0]."
                assert answer[0] == (422 if refused else 200)
                assert not refused or causes(answer) == [at + one for one in refused]
                made["metadata"].pop("resourceVersion", None)

    asyncio.run(main())


AT = "spec.source.inlineVolumeSpec"
INLINE: list[tuple[Object, list[str]]] = [
    ({"csi": CSI, "accessModes": ["ReadWriteOnce"]}, []),
    ({}, [f"{AT}.csi Required", f"{AT}.accessModes Required", f"{AT} Required"]),
    ({"hostPath": {"path": "/x"}, "accessModes": ["ReadWriteOnce"]}, [f"{AT}.csi Required"]),
    (
        {
            "csi": {"driver": "D_"},
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {},
            "nodeAffinity": {},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "c",
            "volumeMode": "Block",
        },
        [
            f"{AT}.claimRef Forbidden",
            f"{AT}.capacity Forbidden",
            f"{AT}.persistentVolumeReclaimPolicy Forbidden",
            f"{AT}.nodeAffinity Forbidden",
            f"{AT}.csi.driver Invalid",
            f"{AT}.csi.volumeHandle Required",
            f"{AT}.storageClassName Forbidden",
            f"{AT}.volumeMode Forbidden",
        ],
    ),
]


def attachment(source: Object) -> Object:
    return {"metadata": {"name": "a"}, "spec": {"attacher": "d.io", "nodeName": "n", "source": source}}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_volumes_that_are_written_into_attachments(version: str) -> None:
    path = f"{STORAGE}/{version}/volumeattachments"
    answers = created(path, *(attachment({"inlineVolumeSpec": spec}) for spec, _ in INLINE))
    assert [causes(answer) for answer in answers] == [refused for _, refused in INLINE]


def test_the_names_of_attached_volumes_are_names_since_v1() -> None:
    named = [attachment({"persistentVolumeName": name}) for name in ("a.b", "A_b", "a" * 254)]
    wrong = ["spec.source.persistentVolumeName Invalid"]
    assert [causes(one) for one in created(f"{STORAGE}/v1/volumeattachments", *named)] == [[], wrong, wrong]
    assert [causes(one) for one in created(f"{STORAGE}/v1beta1/volumeattachments", *named)] == [[], [], []]


def pod(container: Object, **spec: Any) -> Object:
    given = {"containers": [{"name": "c", "image": "i", **container}], **spec}
    return {"metadata": {"name": "a"}, "template": {"spec": given}}


def test_pods_name_secrets_for_drivers_and_images_that_are_too_long() -> None:
    def with_secret(name: str) -> Object:
        source = {"driver": "d.io", "nodePublishSecretRef": {"name": name}}
        return pod({}, volumes=[{"name": "v", "csi": source}])

    refused = ["template.spec.volumes[0].csi.name Invalid"]
    images = [pod({"image": name}) for name in ("a" * 247, "a" * 248, "h.io/" + "a" * 255, "h.io/" + "a" * 256)]
    answers = created(f"{HERE}/podtemplates", with_secret("a.b"), with_secret("A"), *images)
    assert [causes(one) for one in answers] == [[], refused, [], [], [], []]
    policies = [one[1]["template"]["spec"]["containers"][0]["imagePullPolicy"] for one in answers[2:]]
    assert policies == ["Always", "IfNotPresent", "Always", "IfNotPresent"]


DOCUMENTS = {
    b"\xc7": "invalid character 'Ç' looking for beginning of value",
    b"1\x89": "invalid character '\\u0089' after top-level value",
    b"{": "unexpected end of JSON input",
    b"": "unexpected end of JSON input",
    b" [1]": "json: cannot unmarshal array into Go value of type map[string]interface {}",
    b'"x"': "json: cannot unmarshal string into Go value of type map[string]interface {}",
    b"-1": "json: cannot unmarshal number into Go value of type map[string]interface {}",
    b"true": "json: cannot unmarshal bool into Go value of type map[string]interface {}",
    b"null": "",
    b' {"a": "\xff"}': "",
}


def test_credentials_that_are_no_json_are_refused_in_go_s_words() -> None:
    kind = {"type": "kubernetes.io/dockerconfigjson", "metadata": {"name": "a"}}
    bodies = [{**kind, "data": {".dockerconfigjson": base64.b64encode(one).decode()}} for one in DOCUMENTS]
    shown = 'Invalid value: "<secret contents redacted>": '
    for (code, answer), why in zip(created(f"{HERE}/secrets", *bodies), DOCUMENTS.values(), strict=True):
        assert code == (422 if why else 201)
        assert not why or [one["message"] for one in answer["details"]["causes"]] == [shown + why]


def test_a_dry_run_shows_the_port_that_upstream_s_does() -> None:
    body: Object = {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 1, "name": "a"}]}}
    ((code, answer),) = created(f"{HERE}/services", body)
    assert (code, answer["spec"]["ports"][0]["nodePort"]) == (201, 32769)


# --- versions that left -------------------------------------------------------------------------

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


# --- definitions --------------------------------------------------------------------------------


def crd(spec: Object) -> Object:
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    given = {"group": "ex.io", "scope": "Namespaced", "names": names, **spec}
    return {"metadata": {"name": "things.ex.io"}, "spec": given}


def beta(**spec: Any) -> Object:
    versions = [{"name": "v1", "served": True, "storage": True}]
    return crd({"versions": versions, "preserveUnknownFields": False, **spec})


WHOLE = {"openAPIV3Schema": {"type": "object"}}
BETAS: list[tuple[Object, list[str]]] = [
    (beta(validation=WHOLE), []),
    (beta(version="v1", validation=WHOLE), []),
    (beta(version="v2", validation=WHOLE), ["spec.version Invalid"]),
    (beta(version="V_2", validation=WHOLE), ["spec.version Invalid"] * 2),
    (beta(), ["spec.versions[0].schema.openAPIV3Schema Required"]),
    (beta(preserveUnknownFields=True), []),
    (beta(validation={"openAPIV3Schema": {}}), ["spec.validation.openAPIV3Schema.type Required"]),
]


def test_definitions_of_v1beta1() -> None:
    answers = created(DEFINITIONS.format("v1beta1"), *(body for body, _ in BETAS))
    assert [causes(answer) for answer in answers] == [refused for _, refused in BETAS]


def now(schema: Any, **more: Any) -> Object:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}
    return crd({"versions": [version]})


def of(**properties: Any) -> Object:
    return {"type": "object", "properties": properties}


P = "spec.validation.openAPIV3Schema"
LIST = {"type": "array", "items": {"type": "string"}}
SCHEMAS: list[tuple[Any, list[str]]] = [
    ({}, [f"{P}.type Required"]),
    (of(a=None), [f"{P}.properties[a].type Required"]),
    ({"type": "object", "required": [None]}, []),
    (of(a={**LIST, "x-kubernetes-list-type": ""}), [f"{P}.properties[a].x-kubernetes-list-type NotSupported"]),
    (of(a={**LIST, "x-kubernetes-list-type": "atomic"}), []),
]


def test_schemas_whose_parts_are_null_or_empty() -> None:
    answers = created(DEFINITIONS.format("v1"), *(now(schema) for schema, _ in SCHEMAS))
    assert [causes(answer) for answer in answers] == [refused for _, refused in SCHEMAS]


def test_numbers_of_schemas_are_written_as_go_writes_them() -> None:
    for given, written in ((2**63, 9223372036854776000), (1e3, 1000), (0.5, 0.5), (10**22, 1e22)):
        number = {"type": "number", "maximum": given}
        ((code, answer),) = created(DEFINITIONS.format("v1"), now(of(a=number)))
        assert code == 201
        schema = answer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert schema["properties"]["a"]["maximum"] == written


def test_the_subresource_status_has_no_fields() -> None:
    body = now({"type": "object"}, subresources={"status": {"x": "y"}})
    ((code, answer),) = created(DEFINITIONS.format("v1"), body)
    assert (code, answer["spec"]["versions"][0]["subresources"]) == (201, {"status": {}})
