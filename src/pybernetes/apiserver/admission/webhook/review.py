"""AdmissionReview: what is asked, and what the answer says (upstream: webhook/request/admissionreview.go, webhook/errors). Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pybernetes.api.errors import StatusError

from ...authentication.user import User
from ...resource import Object, Resource
from ...types import Attributes
from . import subject

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
JSON_PATCH = "JSONPatch"
META = "meta.k8s.io/v1"
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class BadReply(Exception):
    """An answer that cannot be used."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a webhook decided. `patch` is a JSON patch as sent, b"" for none."""

    allowed: bool
    patch: bytes = b""
    patch_type: str = ""
    result: Object | None = None
    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)  # for the audit event


def version(offered: Sequence[str]) -> str:
    """The first that we speak, of those that the webhook understands. BadReply for none."""
    for one in offered:
        if one in VERSIONS:
            return one
    raise BadReply("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def request(
    attributes: Attributes, resource: Resource, uid: str, spoken: str, obj: Object | None, old: Object | None
) -> Object:
    """The review to send. `obj` and `old` as in `subject.shown`."""
    own = attributes.resource
    asked: Object = {
        "uid": uid,
        "kind": _kind(subject.kind(attributes, resource)),
        "resource": _resource(resource),
        "subResource": attributes.subresource,
        "requestKind": _kind(subject.kind(attributes, own)),
        "requestResource": _resource(own),
        "requestSubResource": attributes.subresource,
        "name": attributes.name,
        "namespace": subject.namespace(attributes),
        "operation": attributes.operation,
        "userInfo": _user(attributes.user),
    }
    asked = {key: value for key, value in asked.items() if value != ""}
    asked |= {"object": obj, "oldObject": old, "dryRun": attributes.dry_run, "options": _options(attributes)}
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{spoken}", "request": asked}


def _kind(named: tuple[str, str]) -> dict[str, str]:
    group, _, number = named[0].rpartition("/")
    return {"group": group, "version": number, "kind": named[1]}


def _resource(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.name}


def _user(user: User) -> Object:
    extra = {key: list(values) for key, values in user.extra.items()}
    told: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    return {key: value for key, value in told.items() if value}


def _options(attributes: Attributes) -> Object | None:
    kind = OPTIONS.get(attributes.operation)
    if kind is None:
        return None
    dry = {"dryRun": ["All"]} if attributes.dry_run else {}
    return {"kind": kind, "apiVersion": META, **dry, **attributes.options}


def reply(review: Object, uid: str, spoken: str, mutating: bool) -> Reply:
    """What an answer decides. BadReply where upstream refuses it; in v1beta1 much is let pass."""
    response = review.get("response")
    if not isinstance(response, dict):
        raise BadReply("webhook response was absent")
    patch, kind = _patch(response), response.get("patchType")
    if spoken == "v1":
        _verify(review, response, uid)
        _verify_patch(patch, kind, mutating)
    if not mutating:
        patch, kind = b"", None
    elif spoken == "v1beta1":
        kind = JSON_PATCH if patch else None
    result, warnings = response.get("status"), response.get("warnings") or ()
    annotations = response.get("auditAnnotations") or {}
    return Reply(
        allowed=response.get("allowed") is True,
        patch=patch,
        patch_type=kind or "",
        result=result if isinstance(result, dict) else None,
        warnings=tuple(text for text in warnings if isinstance(text, str)),
        annotations={k: v for k, v in annotations.items() if isinstance(v, str)}
        if isinstance(annotations, dict)
        else {},
    )


def _patch(response: Object) -> bytes:
    try:
        return base64.b64decode(response.get("patch") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadReply("webhook returned response.patch that is not base64") from None


def _verify(review: Object, response: Object, uid: str) -> None:
    if response.get("uid", "") != uid:
        raise BadReply(f"expected response.uid={_quoted(uid)}, got {_quoted(response.get('uid', ''))}")
    given = str(review.get("apiVersion") or ""), str(review.get("kind") or "")
    if given != (f"{GROUP}/v1", "AdmissionReview"):
        shown = f"{given[0] if '/' in given[0] else '/' + given[0]}, Kind={given[1]}"
        raise BadReply(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {shown}")


def _verify_patch(patch: bytes, kind: Any, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise BadReply("validating webhook may not return response.patch")
        if kind is not None:
            raise BadReply("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise BadReply("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise BadReply("webhook returned response.patchType but not response.patch")
    if kind is not None and not kind:
        raise BadReply(f"webhook returned invalid response.patchType of {_quoted(kind)}")


def operations(patch: bytes) -> list[Any]:
    """The operations of a JSON patch, [] for none. BadReply if it is none."""
    try:
        decoded = msgspec.json.decode(patch) if patch else []
    except msgspec.DecodeError as error:
        raise BadReply(str(error)) from None
    if decoded is None:
        return []
    if not isinstance(decoded, list):
        raise BadReply("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    return decoded


def denied(name: str, result: Object | None) -> StatusError:
    """The Status of a refusal (ToStatusErr): a code of 400 at least, which HTTP can carry, and never a success."""
    told = dict(result or {})
    given = told.pop("code", 0)
    code = min(max(given, 400), 999) if isinstance(given, int) else 400
    by = f"admission webhook {_quoted(name)} denied the request"
    why = told.pop("message", "") or told.get("reason")
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": told.pop("metadata", None) or {},
        "status": "Failure" if told.get("status", "") in ("", "Success") else told["status"],
        "message": f"{by}: {why}" if why else f"{by} without explanation",
    }
    for key in ("reason", "details"):
        if told.get(key):
            status[key] = told[key]
    return StatusError(status | {"code": code})


def _quoted(value: Any) -> str:
    return msgspec.json.encode(value).decode()
