"""The protobuf form of an object reads as its JSON form."""

from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import protobuf, protobufencode

from .test_types import differences
from .wire import FIXTURES, WIRE, load


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_same_as_json(path: Path) -> None:
    want, (_, kind) = load(path)
    assert differences(want, protobuf.decode(path.with_suffix(".pb").read_bytes(), into=kind)) == set()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_same_bytes(path: Path) -> None:
    value, (_, kind) = load(path)
    assert protobufencode.encode(value, into=kind) == path.with_suffix(".pb").read_bytes()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": True, "items": {"type": "string"}, "default": {"a": [1, None]}},
        {"additionalProperties": {"type": "integer"}, "items": [{"type": "string"}], "enum": ["a", 1, None]},
        {"additionalProperties": False, "dependencies": {"a": ["b"], "c": {"type": "string"}}, "maximum": 1.5},
    ],
)
def test_schemas_of_custom_resources(schema: dict[str, Any]) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {"versions": [version]}}
    assert protobuf.decode(protobufencode.encode(crd))["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == schema


def test_zero_values_are_written_and_pointers_are_not() -> None:
    data = protobufencode.encode({"apiVersion": "policy/v1", "kind": "Eviction"})
    metadata = b"\x0a\x10\x0a\x00\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"
    assert metadata in data and data.endswith(b"\x1a\x00\x22\x00")
    assert protobuf.decode(data) == {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {}}


@pytest.mark.parametrize(
    "spec",
    [{"replicas": "1"}, {"replicas": True}, {"replicas": 1.5}, {"template": []}, {"selector": {"matchLabels": ["a"]}}],
    ids=str,
)
def test_values_of_other_types_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(protobuf.ProtobufError):
        protobufencode.encode({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec})


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\x00\x0a", b"k8s\x00\x0a\xff", b"k8s\x00\x0a\x06\x0a\x04none"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode(data)


def test_every_truncation_is_refused_or_read() -> None:
    data = (WIRE / "core.v1.Pod.pb").read_bytes()
    for size in range(0, len(data), 7):
        try:
            protobuf.decode(data[:size])
        except ValueError:
            continue
