"""The subresource scale: autoscaling/v1 Scale of anything with replicas (upstream: pkg/registry/apps/*/storage)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.field import FieldError
from pybernetes.api.mediatypes import PatchKind
from pybernetes.wire.http import Request

from ..generic import patching, scaled
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..generic.typemeta import Kind
from ..resource import Object
from ..schema import CompiledSchema, compiled_type, read_json
from ..types import RequestInfo
from . import negotiate

SCALE = Kind("autoscaling", "v1", "Scale")


async def get(store: GenericStore, info: RequestInfo) -> Object:
    """GET; what is missing is the subresource, as upstream says it."""
    try:
        return scaled.of(store.resource, (await store.read(info.namespace, info.name)).obj)
    except StatusError as error:
        if error.code != 404:
            raise
        group = store.resource.group or "autoscaling"  # replication controllers are in no group
        raise errors.not_found(group, f"{store.resource.name}/scale", info.name) from None


async def update(store: GenericStore, info: RequestInfo, request: Request, options: WriteOptions) -> Object:
    """PUT of a Scale."""
    body = negotiate.json_body(request, SCALE.kind)
    negotiate.require_kind(SCALE, read_json(body, SCALE.kind), request.body)
    wanted, _ = _schema().decode(body)
    return await _changed(store, info, lambda old: wanted, options, (wanted.get("metadata") or {}).get("uid", ""))


async def patch(store: GenericStore, info: RequestInfo, kind: PatchKind, body: Any, options: WriteOptions) -> Object:
    """PATCH of a Scale."""

    def patched(old: Object) -> Object:
        made = patching.patched(kind, old, body, _schema(), options.validation)
        made = patching.of_kind(kind, SCALE, made, info.name)
        try:
            return _schema().normalize(made, whole_floats=kind == "strategic")[0]
        except StatusError as error:
            raise patching.invalid(made, error) from None

    return await _changed(store, info, patched, options)


def _schema() -> CompiledSchema:
    return compiled_type("io.k8s.api.autoscaling.v1.Scale", "autoscaling/v1", "Scale")


async def _changed(
    store: GenericStore, info: RequestInfo, make: Callable[[Object], Object], options: WriteOptions, uid: str = ""
) -> Object:
    resource = store.resource

    async def mutate(old: Object) -> Object:
        wanted = make(scaled.of(resource, old))
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
        if metadata.get("resourceVersion"):
            new["metadata"]["resourceVersion"] = metadata["resourceVersion"]
        return new

    options = replace(options, managed_subresource="scale")
    made = await store.change(info.namespace, info.name, mutate, options, patching=True, uid=uid)
    return scaled.of(resource, made)
