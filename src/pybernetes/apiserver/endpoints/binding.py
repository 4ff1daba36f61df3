"""POST pods/NAME/binding and bindings: a scheduler's word (upstream: pkg/registry/core/pod/storage BindingREST)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.jsoncopy import json_copy
from pybernetes.wire.http import Request, Response

from ..authentication.user import User
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..kinds.core import binding as kind
from ..resource import Object
from ..schema import compiled
from ..types import RequestInfo
from . import negotiate
from .handlers import answer


async def create(
    pods: GenericStore, request: Request, info: RequestInfo, query: dict[str, str], user: User
) -> Response:
    """201 with a Status; 409 for a pod that has a node or goes away."""
    form = negotiate.accepted(request, query)
    body, _ = compiled(kind.RESOURCE).decode(negotiate.json_body(request, kind.RESOURCE.kind))
    name = info.name or (body.get("metadata") or {}).get("name", "")
    found = kind.RESOURCE.validate(body)
    if found:
        raise errors.invalid("", "Binding", name, found)
    body["metadata"] = body.get("metadata") or {}
    await pods.admit_creation(user, "binding", info.namespace, name, body, False)

    async def bound(old: Object) -> Object:
        check(old, body, name)
        pod: Object = json_copy(old)
        spec, status = pod["spec"], pod.setdefault("status", {})
        spec["nodeName"] = body["target"]["name"]
        metadata, given = pod["metadata"], body["metadata"]
        if given.get("annotations"):
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **given["annotations"]}
        if given.get("labels"):  # those of the pod win
            metadata["labels"] = {**given["labels"], **(metadata.get("labels") or {})}
        status.pop("nominatedNodeName", None)
        status["conditions"] = scheduled(status.get("conditions") or [], pods.now_text())
        return pod

    options = WriteOptions(user, admission=False)
    await pods.change(info.namespace, name, bound, options, subresource="binding", patching=True)
    return answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, form)


def check(pod: Object, body: Object, name: str) -> None:
    """Raises 409 where the pod cannot be bound."""
    metadata = pod["metadata"]
    uid = (body.get("metadata") or {}).get("uid")
    if uid and uid != metadata["uid"]:
        text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise errors.conflict("", "pods/binding", name, text)
    if metadata.get("deletionTimestamp"):
        raise errors.conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    node = pod["spec"].get("nodeName")
    if node:
        raise errors.conflict("", "pods/binding", name, f'pod {name} is already assigned to node "{node}"')


def scheduled(conditions: list[Any], now: str) -> list[Any]:
    """The conditions with PodScheduled true."""
    others = [c for c in conditions if c.get("type") != "PodScheduled"]
    return [*others, {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}]
