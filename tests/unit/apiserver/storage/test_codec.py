"""Values are upstream's: each of theirs is read, and written again it is what it was.

The kind is the form of a stored value: envelope, version, field names. Not among the recorded ones: what is encrypted, what is cut off, an
Ingress with numbers and names of ports, a definition with one version and columns, a priority level of v1beta2.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.api import protobuf, protobufencode
from pybernetes.apiserver.generic.keys import GROUPED, Keys
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.schema import compiled
from pybernetes.apiserver.storage import codec
from pybernetes.apiserver.storage.layout import Layout
from pybernetes.apiserver.storage.older import converted

from .values import VALUES

LAYOUT = Layout(Keys(), (resource.stored_at[:2] for resource in RESOURCES))
BY_KIND = {(resource.api_version, resource.kind): resource for resource in RESOURCES}
OBJECTS = sorted(key for key in VALUES if not key.startswith(("/registry/ranges/", "/registry/masterleases/")))


def read(data: bytes) -> dict[str, Any]:
    obj: dict[str, Any] = json.loads(codec.read(data, None))
    resource = BY_KIND.get((obj["apiVersion"], obj["kind"]))
    obj = json.loads(codec.read(data, resource))
    return obj


@pytest.mark.parametrize("key", OBJECTS)
def test_upstreams_value_is_read_in_a_version_that_is_served_and_valid(key: str) -> None:
    obj = read(VALUES[key])
    assert list(obj)[:3] == ["apiVersion", "kind", "metadata"]  # the watch cache counts on it
    assert not {"resourceVersion", "selfLink"} & set(obj["metadata"])
    if obj["apiVersion"] == "example.com/v1":
        return
    resource = BY_KIND[obj["apiVersion"], obj["kind"]]
    assert (obj["apiVersion"], obj["kind"]) == (resource.api_version, resource.kind)
    plain, warnings = compiled(resource).normalize(obj, "Strict")
    assert (plain, warnings) == (obj, [])
    resource.default(obj)
    if key != "/registry/jobs/shop/once":  # labels of its pods had no domain then: only who creates one needs them
        assert resource.validate(obj) == []


@pytest.mark.parametrize("key", OBJECTS)
def test_written_again_it_has_the_same_form(key: str) -> None:
    theirs, built_in = VALUES[key], not key.startswith("/registry/example.com/")
    ours = codec.stored(codec.read(theirs, None), built_in=built_in)
    if not theirs.startswith(protobuf.MAGIC):
        assert ours.endswith(b"}\n") and list(json.loads(ours))[:3] == list(json.loads(theirs))[:3]
        assert json.loads(ours) == converted(json.loads(theirs))
        return
    before, after = protobuf.decode(theirs), protobuf.decode(ours)
    assert after == protobuf.decode(protobufencode.encode(converted(before)))
    if before["apiVersion"] == after["apiVersion"]:
        if before["kind"] == "StatefulSet":
            del after["status"]["availableReplicas"]  # since 1.25, written also when 0
        assert after == before
        envelope = theirs.index(before["kind"].encode()) + len(before["kind"])
        assert ours[:envelope] == theirs[:envelope]
        assert ours.endswith(b'\x1a\x00"\x00') and theirs.endswith(b'\x1a\x00"\x00')


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Input data was truncated"),
        (b"null", "Expected `object`"),
        (b"{}", "no metadata"),
        (b'{"kind":"A","metadata":[]}', "no metadata"),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x0a\xff", "unexpected EOF"),
        (b"k8s:enc:aescbc:v1:key:abc", "it is encrypted"),
        (b"\xff\xfe", "malformed|invalid"),
        (b'{"a":' * 5000, "truncated|depth|deep"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, why: str) -> None:
    with pytest.raises(codec.Unreadable, match=why):
        codec.read(data, None)


def test_every_value_that_is_cut_off_is_refused_or_read() -> None:
    """Never anything but Unreadable."""
    for key in OBJECTS[::5]:
        for end in range(0, len(VALUES[key]), 7):
            try:
                codec.read(VALUES[key][:end], None)
            except codec.Unreadable:
                continue


def test_a_custom_resource_is_json_in_order() -> None:
    value = b'{"apiVersion":"a.b/v1","kind":"T","metadata":{"name":"t"},"spec":{"b":1,"a":"<"},"aaa":1}'
    stored = codec.stored(value, built_in=False)
    assert stored == (
        b'{"aaa":1,"apiVersion":"a.b/v1","kind":"T","metadata":{"name":"t"},"spec":{"a":"\\u003c","b":1}}\n'
    )
    assert json.loads(codec.read(stored, None)) == json.loads(value)
    assert codec.read(stored, None).startswith(b'{"apiVersion":"a.b/v1","kind":"T","metadata":{')


def test_a_custom_kind_that_is_called_as_a_built_in_one_stays_json() -> None:
    value = b'{"apiVersion":"apps.example.com/v1","kind":"Deployment","metadata":{"name":"t"},"spec":{"x":1}}'
    assert codec.stored(value, built_in=False).startswith(b"{")


@pytest.mark.parametrize("group", GROUPED)
def test_definitions_are_json_that_begins_with_their_kind(group: str) -> None:
    value = json.dumps({"apiVersion": f"{group}/v1", "kind": "K", "metadata": {"name": "n"}, "spec": {}}).encode()
    assert codec.stored(value, built_in=True).startswith(b'{"kind":"K","apiVersion":"' + group.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {
                "apiVersion": "networking.k8s.io/v1beta1",
                "kind": "Ingress",
                "spec": {
                    "backend": {"serviceName": "d", "servicePort": 80},
                    "rules": [
                        {
                            "host": "h",
                            "http": {"paths": [{"path": "/", "backend": {"serviceName": "s", "servicePort": "web"}}]},
                        },
                        {"host": "i"},
                    ],
                },
            },
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "spec": {
                    "defaultBackend": {"service": {"name": "d", "port": {"number": 80}}},
                    "rules": [
                        {
                            "host": "h",
                            "http": {
                                "paths": [
                                    {
                                        "pathType": "ImplementationSpecific",
                                        "path": "/",
                                        "backend": {"service": {"name": "s", "port": {"name": "web"}}},
                                    }
                                ]
                            },
                        },
                        {"host": "i"},
                    ],
                },
            },
        ),
        (
            {
                "apiVersion": "discovery.k8s.io/v1beta1",
                "kind": "EndpointSlice",
                "endpoints": [
                    {
                        "addresses": ["a"],
                        "topology": {"kubernetes.io/hostname": "n", "topology.kubernetes.io/zone": "z", "x": "y"},
                    },
                    {"addresses": ["b"], "nodeName": "m", "topology": {"kubernetes.io/hostname": "n"}},
                ],
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "endpoints": [
                    {"addresses": ["a"], "nodeName": "n", "zone": "z", "deprecatedTopology": {"x": "y"}},
                    {"addresses": ["b"], "nodeName": "m"},
                ],
            },
        ),
        (
            {
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1beta2",
                "kind": "PriorityLevelConfiguration",
                "spec": {"type": "Limited", "limited": {"assuredConcurrencyShares": 7}},
            },
            {
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
                "kind": "PriorityLevelConfiguration",
                "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 7}},
            },
        ),
        (
            {
                "apiVersion": "apiextensions.k8s.io/v1beta1",
                "kind": "CustomResourceDefinition",
                "spec": {
                    "version": "v1",
                    "preserveUnknownFields": False,
                    "validation": {"openAPIV3Schema": {"type": "object"}},
                    "additionalPrinterColumns": [{"name": "A", "type": "string", "JSONPath": ".a"}],
                    "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "https://a"}},
                },
            },
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "spec": {
                    "versions": [
                        {
                            "name": "v1",
                            "served": True,
                            "storage": True,
                            "schema": {"openAPIV3Schema": {"type": "object"}},
                            "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".a"}],
                        }
                    ],
                    "conversion": {
                        "strategy": "Webhook",
                        "webhook": {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v1beta1"]},
                    },
                },
            },
        ),
        (
            {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"},
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"},
        ),
        ({"apiVersion": "example.com/v1beta1", "kind": "T"}, {"apiVersion": "example.com/v1beta1", "kind": "T"}),
    ],
)
def test_what_older_releases_have_stored(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert converted(before) == after


def test_behavior_that_was_kept_with_internal_names_is_behavior() -> None:
    spec = read(VALUES["/registry/horizontalpodautoscalers/shop/web"])["spec"]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}},
            {"internalTrafficPolicy": "Cluster"},  # which 1.20 did not have
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {"template": {"metadata": {"labels": {"job-name": "x"}}, "spec": {}}},
            },
            {"labels": {"job-name": "x"}},  # which a server gives a job as it reads it, and does not store
        ),
    ],
)
def test_who_reads_gives_the_defaults(before: dict[str, Any], after: dict[str, Any]) -> None:
    resource = next(one for one in RESOURCES if (one.api_version, one.kind) == (before["apiVersion"], before["kind"]))
    data = protobufencode.encode({**before, "metadata": {"name": "x"}})
    read = json.loads(codec.read(data, resource))
    assert after.items() <= {**read["metadata"], **read["spec"]}.items()
