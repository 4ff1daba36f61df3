"""The subresource scale: autoscaling/v1 Scale of anything with replicas (upstream: pkg/registry/apps/*/storage)."""

from __future__ import annotations

import copy
from typing import Any, Literal

from pybernetes.api import errors
from pybernetes.api import patch as patches
from pybernetes.api.errors import StatusError
from pybernetes.api.field import FieldError

from ..generic import scaled
from ..generic.options import WriteOptions
from ..generic.store import GenericStore, patch_invalid
from ..resource import Object
from ..schema import CompiledSchema, compiled_type
from ..types import RequestInfo

PatchKind = Literal["json", "merge", "strategic"]


def get(store: GenericStore, info: RequestInfo) -> Object:
    """GET; what is missing is the subresource, as upstream says it."""
    try:
        return scaled.of(store.resource, store.get(info.namespace, info.name).obj)
    except StatusError as error:
        if error.code != 404:
            raise
        group = store.resource.group or "autoscaling"  # replication controllers are in no group
        raise errors.not_found(group, f"{store.resource.name}/scale", info.name) from None


async def update(store: GenericStore, info: RequestInfo, body: Any, options: WriteOptions) -> Object:
    """PUT of a Scale."""
    kind = body.get("kind") if isinstance(body, dict) else ""
    if kind not in (None, "", "Scale"):
        version = str(body.get("apiVersion") or "").rsplit("/", 1)[-1]
        why = f"converting ({version}.{kind}) to (autoscaling.Scale): unknown conversion"
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a Scale: {why}')
    return await _changed(store, info, lambda old: body, options)


async def patch(store: GenericStore, info: RequestInfo, kind: str, body: Any, options: WriteOptions) -> Object:
    """PATCH of a Scale; it has no lists, so strategic and merge patches are the same."""

    options.patching = True

    def patched(old: Object) -> Any:
        try:
            return patches.json_patch(old, body) if kind == "json" else patches.merge_patch(old, body)
        except patches.PatchError as error:
            raise errors.bad_request(f"error decoding patch: {error.reason}") from None

    return await _changed(store, info, patched, options)


def _schema() -> CompiledSchema:
    return compiled_type("io.k8s.api.autoscaling.v1.Scale", "autoscaling/v1", "Scale")


def _normalized(made: Any, options: WriteOptions) -> Object:
    try:
        return _schema().normalize(made)[0]
    except StatusError as error:
        raise patch_invalid(made, error) if options.patching else error from None


async def _changed(store: GenericStore, info: RequestInfo, make: Any, options: WriteOptions) -> Object:
    resource = store.resource

    async def mutate(old: Object) -> Object:
        wanted = _normalized(make(scaled.of(resource, old)), options)
        replicas = wanted["spec"].get("replicas", 0)
        if replicas < 0:
            problem = FieldError(
                "FieldValueInvalid", "spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0"
            )
            raise errors.invalid("autoscaling", "Scale", info.name, [problem])
        metadata = wanted.get("metadata") or {}
        if metadata.get("name", info.name) != info.name:
            given = metadata["name"]
            raise errors.bad_request(
                f"the name of the object ({given}) does not match the name on the URL ({info.name})"
            )
        new: Object = copy.deepcopy(old)
        scaled.set_replicas(resource, new, replicas)
        for name in ("uid", "resourceVersion"):
            if metadata.get(name):
                new["metadata"][name] = metadata[name]
        return new

    options.managed_subresource = "scale"
    made = await store.change(info.namespace, info.name, mutate, options, patching=True)
    return scaled.of(resource, made)
