"""Conversions of custom resources: by name, and by a webhook, whose answers may be anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.conversion import UnknownVersion
from pybernetes.apiserver.crd import conversion, conversionreview
from pybernetes.apiserver.crd.conversion import Failed
from pybernetes.apiserver.crd.conversionreview import BadAnswer
from pybernetes.apiserver.crd.schema import CustomSchema

Object = dict[str, Any]
METADATA = {"name": "n", "uid": "u", "generation": 2, "labels": {"a": "b"}}


def schemas() -> dict[str, CustomSchema]:
    """v1 has spec.x, v2 spec.y with a default, v3 both."""
    x, y = {"x": {"type": "string"}}, {"y": {"type": "string", "default": "d"}}
    spec = {"v1": x, "v2": y, "v3": {**x, **y}}
    return {
        f"g/{name}": CustomSchema(
            "g", name, "K", {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
        )
        for name, properties in spec.items()
    }


def definition(**more: Any) -> Object:
    versions = [{"name": "v1"}, {"name": "v2", "storage": True}, {"name": "v3"}]
    return {"group": "g", "names": {"kind": "K"}, "versions": versions, **more}


async def nobody(config: Mapping[str, Any], body: bytes, seconds: int) -> Object:
    raise AssertionError("nobody is asked")


def thing(version: str, **spec: str) -> Object:
    return {"apiVersion": f"g/{version}", "kind": "K", "metadata": dict(METADATA), "spec": spec}


# --- None ---------------------------------------------------------------------------------------


def test_by_name() -> None:
    """What the schema of the version it comes to does not know is gone; its defaults are for who reads it."""
    table = conversion.of(definition(), schemas(), nobody)
    assert (table.hub, sorted(table.versions), table.waits) == ("g/v2", ["g/v1", "g/v2", "g/v3"], False)
    assert table.converted(thing("v3", x="1", y="2"), "g/v1") == thing("v1", x="1")
    assert table.converted(thing("v1", x="1"), "g/v2") == thing("v2")
    obj = thing("v2", x="1")
    table.default(obj)
    assert obj == thing("v2", y="d")
    for version in ("g/v9", "v1"):
        with pytest.raises(UnknownVersion):
            table.converted(thing("v1"), version)
        with pytest.raises(UnknownVersion):
            table.schema(version)
    with pytest.raises(UnknownVersion):
        table.converted(thing("v9"), "g/v1")


# --- Webhook ------------------------------------------------------------------------------------


class Hook:
    """Says of each object in which version it was; keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Object] = []

    async def ask(self, config: Mapping[str, Any], body: bytes, seconds: int) -> Object:
        review = msgspec.json.decode(body)
        request = review.pop("request")
        self.seen.append(request)
        objects = [
            {**obj, "apiVersion": request["desiredAPIVersion"], "spec": {"x": obj["apiVersion"], "z": "?"}}
            for obj in request["objects"]
        ]
        result = {"status": "Success"}
        return {**review, "response": {"uid": request["uid"], "result": result, "convertedObjects": objects}}


def asking(ask: conversion.Call, reviews: tuple[str, ...] = ("v2", "v1")) -> conversion.Conversions:
    webhook = {"clientConfig": {"url": "https://h"}, "conversionReviewVersions": list(reviews)}
    return conversion.of(definition(conversion={"strategy": "Webhook", "webhook": webhook}), schemas(), ask)


def test_all_that_are_of_another_version_are_sent_together() -> None:
    """In the order they came; what is in the version already, or empty, is not sent, and what v3 does not know is gone."""
    hook = Hook()
    table, empty = asking(hook.ask), {"apiVersion": "g/v1", "kind": "K"}
    objects = [thing("v1", x="a"), thing("v3", x="b"), dict(empty), thing("v2", y="c")]
    converted = asyncio.run(table.convert(objects, "g/v3"))
    assert [obj.get("spec") for obj in converted] == [{"x": "g/v1"}, {"x": "b"}, None, {"x": "g/v2"}]
    assert {obj["apiVersion"] for obj in converted} == {"g/v3"}
    [request] = hook.seen
    assert [obj["apiVersion"] for obj in request["objects"]] == ["g/v1", "g/v2"]
    assert asyncio.run(table.convert([thing("v3"), dict(empty)], "g/v3"))[1]["apiVersion"] == "g/v3"
    assert len(hook.seen) == 1


def test_who_does_not_wait_gets_none_but_the_own_version() -> None:
    table = asking(nobody)
    assert table.waits
    assert table.converted(thing("v1", x="1"), "g/v1") == thing("v1", x="1")
    with pytest.raises(StatusError, match="conversion webhook for g/v1, Kind=K was not asked in time"):
        table.converted(thing("v1"), "g/v2")


def test_a_webhook_that_fails() -> None:
    async def ask(config: Mapping[str, Any], body: bytes, seconds: int) -> Object:
        raise Failed("connection refused")

    with pytest.raises(StatusError, match=r"^conversion webhook for g/v1, Kind=K failed: connection refused$") as error:
        asyncio.run(asking(ask).convert([thing("v1")], "g/v2"))
    assert error.value.code == 500


# --- answers ------------------------------------------------------------------------------------

ORIGINALS = [{"apiVersion": "g/v1", "kind": "K", "metadata": METADATA}]
REVIEW = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}


def answered(*objects: Any, **response: Any) -> Object:
    body = {"uid": "1", "result": {"status": "Success"}, "convertedObjects": list(objects), **response}
    return {**REVIEW, "response": body}


def converted(**metadata: Any) -> Object:
    return {"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "n", "uid": "u", **metadata}}


def test_a_webhook_may_change_labels_but_not_who_it_is() -> None:
    obj = converted(generation=9, labels={"c": "d"}, annotations={})
    (read,) = conversionreview.read(answered(obj), "v1", "1", ORIGINALS, "g/v2")
    assert read["metadata"] == {"name": "n", "uid": "u", "generation": 2, "labels": {"c": "d"}}


def test_an_old_review_says_neither_its_type_nor_its_uid() -> None:
    answer = answered(converted())["response"]
    del answer["uid"]
    assert len(conversionreview.read({"response": answer}, "v1beta1", "1", ORIGINALS, "g/v2")) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (REVIEW, "failed: no response provided"),
        ({**REVIEW, "response": []}, "failed: no response provided"),
        (
            {"response": {}},
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind=",
        ),
        (
            {"apiVersion": 1, "kind": "AdmissionReview"},
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /1, Kind=AdmissionReview",
        ),
        (answered(uid="2"), 'failed: expected response.uid="1", got "2"'),
        (answered(uid=[2]), 'failed: expected response.uid="1", got ""'),
        (answered(result={"status": "Failed", "message": "no"}), "failed: no"),
        (answered(result="Success"), "failed: response.result.status was '', not 'Success'"),
        (answered(), "returned 0 objects, expected 1"),
        (answered(convertedObjects={"a": 1}), "returned 0 objects, expected 1"),
        (answered(1), "failed: the converted object is no object"),
        (
            answered({"apiVersion": "g/v1"}),
            "returned invalid object at index 0: invalid groupVersion (expected g/v2, received g/v1)",
        ),
        (
            answered({"apiVersion": "g/v2", "kind": "J"}),
            "returned invalid object at index 0: invalid kind (expected K, received J)",
        ),
        (answered(converted(name="m")), "returned invalid object: must have the same name: n != m"),
        (answered(converted(uid=None)), "returned invalid object: must have the same UID: u != "),
        (
            answered({**converted(), "metadata": []}),
            "returned invalid object: must have the same name: n != ",
        ),
        (
            answered(converted(labels=[])),
            "returned invalid metadata: invalid metadata.labels of type []interface {} in converted object",
        ),
        (
            answered(converted(annotations={"a": 1})),
            "returned invalid metadata: metadata.annotations[a] must be a string, but is int64 in converted object",
        ),
    ],
)
def test_answers_that_are_none(answer: Object, why: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        conversionreview.read(answer, "v1", "1", ORIGINALS, "g/v2")
    assert str(caught.value) == why


def test_labels_of_a_webhook_are_checked() -> None:
    with pytest.raises(BadAnswer, match=r'^returned invalid metadata: metadata.labels: Invalid value: "x y": '):
        conversionreview.read(answered(converted(labels={"a": "x y"})), "v1", "1", ORIGINALS, "g/v2")
