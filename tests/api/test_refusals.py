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
