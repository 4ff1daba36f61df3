"""What a conversion webhook is sent, and what of its answer is taken (upstream: pkg/apiserver/conversion/webhook_converter.go). Pure.

Objects that upstream would send one by one may be sent together here; the words for what is wrong are those for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api.field import Path, aggregate, quote
from pybernetes.api.govalues import go_type

from ..kinds import meta
from ..resource import Object

GROUP, KIND = "apiextensions.k8s.io", "ConversionReview"
OWN = ("labels", "annotations")  # all of metadata that a webhook may change


class BadAnswer(Exception):
    """An answer that is none; the text goes on after "conversion webhook for KIND "."""


def is_empty(obj: Object) -> bool:
    """Whether there is nothing in it but its type: nobody is asked about that."""
    return obj.keys() == {"apiVersion", "kind"}


def review(version: str, uid: str, desired: str, objects: Sequence[Object]) -> Object:
    """The ConversionReview to send, in that version of its own."""
    request = {"uid": uid, "desiredAPIVersion": desired, "objects": objects}
    return {"kind": KIND, "apiVersion": f"{GROUP}/{version}", "request": request}


def read(answer: Object, version: str, uid: str, originals: Sequence[Object], desired: str) -> list[Object]:
    """The converted objects, with the metadata that they had but for labels and annotations. BadAnswer."""
    response = answer.get("response")
    if version == "v1":  # who answers in v1beta1 may leave both out
        _require_type(answer)
    if not isinstance(response, dict):
        raise BadAnswer("failed: no response provided")
    if version == "v1" and response.get("uid") != uid:
        given = response.get("uid")
        raise BadAnswer(
            f"failed: expected response.uid={quote(uid)}, got {quote(given if isinstance(given, str) else '')}"
        )
    result = response.get("result")
    result = result if isinstance(result, dict) else {}
    status = result.get("status") or ""
    if status != "Success":
        unnamed = f"response.result.status was '{status}', not 'Success'"
        raise BadAnswer(f"failed: {result.get('message') or unnamed}")
    objects = response.get("convertedObjects") or []
    if not isinstance(objects, list) or len(objects) != len(originals):
        count = len(objects) if isinstance(objects, list) else 0
        raise BadAnswer(f"returned {count} objects, expected {len(originals)}")
    return [_taken(obj, original, desired) for obj, original in zip(objects, originals, strict=True)]


def _require_type(answer: Object) -> None:
    api_version, kind = answer.get("apiVersion") or "", answer.get("kind") or ""
    if (api_version, kind) != (f"{GROUP}/v1", KIND):
        group_version = api_version if "/" in str(api_version) else f"/{api_version}"
        raise BadAnswer(
            f"failed: expected webhook response of {GROUP}/v1, Kind={KIND}, got {group_version}, Kind={kind}"
        )


def _taken(obj: Any, original: Object, desired: str) -> Object:
    if not isinstance(obj, dict):
        raise BadAnswer("failed: the converted object is no object")
    version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    if version != desired:
        why = f"invalid groupVersion (expected {desired}, received {version})"
        raise BadAnswer(f"returned invalid object at index 0: {why}")
    if kind != original["kind"]:
        why = f"invalid kind (expected {original['kind']}, received {kind})"
        raise BadAnswer(f"returned invalid object at index 0: {why}")
    metadata = obj.get("metadata")
    before, after = original["metadata"], metadata if isinstance(metadata, dict) else {}
    for name, called in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        was, now = before.get(name) or "", after.get(name) or ""
        if was != now:
            raise BadAnswer(f"returned invalid object: must have the same {called}: {was} != {now}")
    if "metadata" not in obj:
        raise BadAnswer("returned invalid metadata: missing metadata in converted object")
    rest = {name: value for name, value in before.items() if name not in OWN}
    return {**obj, "metadata": rest | {name: after[name] for name in OWN if _own(name, before, after)}}


def _own(name: str, before: Object, after: Object) -> bool:
    """Whether there are labels, or annotations, which are such. BadAnswer."""
    value = after.get(name)
    if value is None:
        return False
    if not isinstance(value, Mapping):
        raise BadAnswer(
            f"returned invalid metadata: invalid metadata.{name} of type {go_type(value)} in converted object"
        )
    for key, text in value.items():
        if not isinstance(text, str):
            why = f"metadata.{name}[{key}] must be a string, but is {go_type(text)} in converted object"
            raise BadAnswer(f"returned invalid metadata: {why}")
    if value != before.get(name):
        validate, path = {
            "labels": (meta.validate_labels, Path("metadata") / "labels"),
            "annotations": (meta.validate_annotations, Path("metadata") / "annotation"),
        }[name]
        problems = validate(value, path)
        if problems:
            raise BadAnswer(f"returned invalid metadata: {aggregate(problems)}")
    return bool(value)
