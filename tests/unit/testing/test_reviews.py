"""What a test's function may say of a review, and whom manifests ask then."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pybernetes.testing import reviews
from pybernetes.testing.events import Events, by_time

OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
REQUEST = {"uid": "u", "object": OBJECT}


def patched(answer: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(answer["patch"]))


@pytest.mark.parametrize(
    ("answered", "response"),
    [
        (None, {"allowed": True}),
        (True, {"allowed": True}),
        (False, {"allowed": False}),
        ("no", {"allowed": False, "status": {"message": "no", "code": 403}}),
        (OBJECT, {"allowed": True}),
        ({"allowed": False, "warnings": ["w"]}, {"allowed": False, "warnings": ["w"]}),
    ],
)
def test_answers(answered: object, response: dict[str, Any]) -> None:
    assert reviews.admission(REQUEST, answered) == {"uid": "u", **response}


def test_a_changed_object_is_a_patch() -> None:
    changed = {**OBJECT, "data": {"x": "2"}, "immutable": True, "a/b~c": 1}
    told = reviews.admission(REQUEST, changed)
    assert told["patchType"] == "JSONPatch" and patched(told) == [
        {"op": "add", "path": "/a~1b~0c", "value": 1},
        {"op": "add", "path": "/data", "value": {"x": "2"}},
        {"op": "add", "path": "/immutable", "value": True},
    ]
    without = {name: value for name, value in OBJECT.items() if name != "data"}
    assert patched(reviews.admission(REQUEST, without)) == [{"op": "remove", "path": "/data"}]
    own = [{"op": "test", "path": "/kind", "value": "ConfigMap"}]
    assert patched(reviews.admission(REQUEST, own)) == own


@pytest.mark.parametrize("answered", [0, 1.5, {}, {"allowed": "yes"}, ("no",), object])
def test_what_is_no_answer(answered: object) -> None:
    with pytest.raises(reviews.NoAnswer, match="want None or True"):
        reviews.admission(REQUEST, answered)


def test_conversions() -> None:
    request = {"uid": "u", "desiredAPIVersion": "example.com/v2", "objects": [{**OBJECT, "kind": "Widget"}]}
    told = reviews.conversion(request, lambda obj, version: {**obj, "data": version})
    [converted] = told["convertedObjects"]
    assert (converted["apiVersion"], converted["data"]) == ("example.com/v2", "example.com/v2")
    assert told["uid"] == "u" and told["result"] == {"status": "Success"}

    def fails(obj: dict[str, Any], version: str) -> dict[str, Any]:
        raise ValueError("no such version")

    message = "ValueError: no such version"
    assert reviews.conversion(request, fails)["result"] == {"status": "Failure", "message": message}
    nothing = reviews.conversion(request, lambda obj, version: None)  # type: ignore[arg-type,return-value]
    assert "converted Widget to None: want the object" in nothing["result"]["message"]


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({"service": {"name": "s", "namespace": "n", "path": "/mutate"}}, "https://here/mutate"),
        ({"service": {"name": "s", "namespace": "n"}}, "https://here/"),
        ({"url": "https://there:1/a/b", "caBundle": "x"}, "https://here/a/b"),
        ({"url": "https://there"}, "https://here/"),
        ({}, "https://here/"),
    ],
)
def test_manifests_ask_here(config: dict[str, Any], url: str) -> None:
    given = [
        {"kind": kind, "metadata": {"name": "c"}, "webhooks": [{"name": "w", "clientConfig": config}]}
        for kind in reviews.CONFIGURATIONS
    ]
    definition = {
        "kind": "CustomResourceDefinition",
        "spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": config}}},
    }
    other = {"kind": "CustomResourceDefinition", "spec": {"conversion": {"strategy": "None"}}}
    *configurations, converting, same = reviews.localized([*given, definition, other, OBJECT], "https://here", "ca")[:4]
    here = {"url": url, "caBundle": "ca"}
    assert [one["webhooks"][0]["clientConfig"] for one in configurations] == [here, here]
    assert converting["spec"]["conversion"]["webhook"] == {"clientConfig": here, "conversionReviewVersions": ["v1"]}
    assert same == other and given[0]["webhooks"][0]["clientConfig"] == config, "what was given stays as it is"


def event(reason: str, name: str, time: str, message: str = "") -> dict[str, Any]:
    about = {"kind": "Pod", "name": name}
    return {"reason": reason, "type": "Normal", "involvedObject": about, "lastTimestamp": time, "message": message}


def test_events_are_found_by_what_they_say() -> None:
    events = by_time([event("Pulled", "b", "2"), event("Created", "a", "1", "Created container c")])
    assert [one["reason"] for one in events] == ["Created", "Pulled"]
    assert [one["reason"] for one in events.where(name="a", kind="Pod", type="Normal", message="container c")] == [
        "Created"
    ]
    assert events.where(reason="Pulled").where(name="a") == Events() == events.where(kind="Node")
    with pytest.raises(TypeError, match="there is type, reason, kind, name, message"):
        events.where(object="a")
