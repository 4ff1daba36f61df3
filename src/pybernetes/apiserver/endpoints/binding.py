"""POST pods/NAME/binding and bindings: a scheduler's word (upstream: pkg/registry/core/pod/storage BindingREST)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.field import aggregate
from pybernetes.api.jsoncopy import json_copy
from pybernetes.wire.http import Request, Response

from ..authentication.user import User
from ..generic import strategy
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..kinds.core import binding as kind
from ..kinds.core.pod import RESOURCE
from ..query import Query
from ..resource import Object
from ..types import RequestInfo
from .posted import read


async def create(pods: GenericStore, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
    """201 with a Status; 409 for a pod that has a node, may not have one yet, or goes away."""
    posted = await read(request, info, query, user, kind.RESOURCE, keep_uid=True)
    body, dry_run = posted.body, posted.options.dry_run
    name = body["metadata"].get("name", "")
    if info.name and name != info.name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    problems = kind.RESOURCE.validate(body)
    if problems:  # of which upstream makes no Status
        raise errors.unclassified(aggregate(problems))
    if not name:  # of a binding that is posted to all of a namespace's (upstream: registry.NamespaceKeyFunc)
        raise errors.bad_request("Name parameter required.")
    await pods.admit_creation(user, "binding", info.namespace, name, body, dry_run)

    async def bound(old: Object) -> Object:
        check(old, body, pods.told_key(info.namespace, name))
        return assigned(old, body, pods.now_text())

    options = WriteOptions(user, dry_run, admission=False)
    await pods.change(info.namespace, name, bound, options, subresource="binding", patching=True)
    return posted.done()


def check(pod: Object, body: Object, key: str) -> None:
    """Raises 409 where the pod cannot be bound; `key` is where it is stored, for the words."""
    metadata, given, name = pod["metadata"], body["metadata"], pod["metadata"]["name"]
    strategy.require(RESOURCE, name, key, "UID", metadata["uid"], given.get("uid") or "")
    version = given.get("resourceVersion") or ""
    strategy.require(RESOURCE, name, key, "ResourceVersion", metadata["resourceVersion"], version)
    if why := unbindable(pod):
        raise errors.conflict("", "pods/binding", name, why)


def unbindable(pod: Object) -> str:
    """Why the pod gets no node, "" where it may."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if node := spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{node}"'
    if spec.get("schedulingGates"):
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""


def assigned(old: Object, body: Object, now: str) -> Object:
    """The pod on its node, with the binding's annotations and labels."""
    pod: Object = json_copy(old)
    spec, status = pod["spec"], pod.setdefault("status", {})
    spec["nodeName"] = body["target"]["name"]
    metadata, given = pod["metadata"], body["metadata"]
    if given.get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **given["annotations"]}
    if given.get("labels"):  # those of the pod win
        metadata["labels"] = {**given["labels"], **(metadata.get("labels") or {})}
    status.pop("nominatedNodeName", None)
    status["conditions"] = scheduled(status.get("conditions") or [], now)
    return pod


def scheduled(conditions: list[Any], now: str) -> list[Any]:
    """The conditions with PodScheduled true."""
    others = [c for c in conditions if c.get("type") != "PodScheduled"]
    return [*others, {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}]
