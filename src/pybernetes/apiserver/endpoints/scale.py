"""The subresource scale: autoscaling/v1 Scale of anything with replicas (upstream: pkg/registry/apps/*/storage)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pybernetes.api import errors, field
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.mediatypes import PatchKind
from pybernetes.wire.http import Request

from ..generic import fields, patching, scaled, strategy
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..generic.typemeta import Kind
from ..kinds import meta
from ..resource import Object, Resource
from ..schema import CompiledSchema, compiled_type, read_json
from ..types import RequestInfo
from . import negotiate


def kind_of(resource: Resource) -> Kind:
    """Of the Scale of a resource."""
    group, _, version = resource.scale_version.rpartition("/")
    return Kind(group, version, "Scale")


async def get(store: GenericStore, info: RequestInfo) -> Object:
    """GET; what is missing is the subresource, as upstream says it."""
    try:
        return _scale(store.resource, (await store.read(info.namespace, info.name)).obj)
    except StatusError as error:
        if error.code != 404:
            raise
        if store.resource.unstructured:
            raise  # where it is the object
        group = store.resource.group or "autoscaling"  # replication controllers are in no group
        raise errors.not_found(group, f"{store.resource.name}/scale", info.name) from None


async def update(store: GenericStore, info: RequestInfo, request: Request, options: WriteOptions) -> Object:
    """PUT of a Scale."""
    kind = kind_of(store.resource)
    body = negotiate.json_body(request, kind.kind)
    negotiate.require_kind(kind, read_json(body, kind.kind), request.body)
    asked, warnings = _schema(store.resource).decode(body, options.validation)
    options.warnings.extend(warnings)
    check_name(asked, info)
    return await _changed(store, info, lambda old: asked, options, (asked.get("metadata") or {}).get("uid", ""))


async def patch(store: GenericStore, info: RequestInfo, kind: PatchKind, body: Any, options: WriteOptions) -> Object:
    """PATCH of a Scale."""
    schema = _schema(store.resource)

    def patched(old: Object) -> Object:
        scale = patching.patched(kind, old, body, schema, options.validation)
        scale = patching.of_kind(kind, kind_of(store.resource), scale, info.name)
        problems = options.learned.patch_problems
        asked, told = patching.read(schema, scale, body, kind, options.validation, problems)
        options.warnings.extend(told)
        check_name(asked, info)
        return asked

    return await _changed(store, info, patched, options)


async def apply(store: GenericStore, info: RequestInfo, config: Object, options: WriteOptions, force: bool) -> Object:
    """Server-side apply of a Scale: of its number, whose managers are the object's. StatusError 409 where that is another's."""
    resource, kind = store.resource, kind_of(store.resource)
    store.get(info.namespace, info.name)
    where = f"{info.namespace}/{info.name}; {kind.api_version}, Kind={config.get('kind') or ''}"
    fields.check_types(config, _schema(resource).apply_node, where)
    applied: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": info.name}}
    if "replicas" in (config.get("spec") or {}):
        replicas_of(resource, {**config, "metadata": {"name": info.name, "namespace": info.namespace}}, info.name)
        scaled.set_replicas(resource, applied, config["spec"]["replicas"])
    options = replace(options, managed_subresource="scale")
    written, _ = await store.apply(info.namespace, info.name, applied, options, "", force)
    return _scale(resource, written)


def check_name(asked: Object, info: RequestInfo) -> None:
    """StatusError 400 where a Scale is another object's than the one on the URL (upstream: handlers/rest.go checkName)."""
    metadata = asked.get("metadata") or {}
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if namespace and namespace != info.namespace:
        raise errors.bad_request(strategy.OTHER_NAMESPACE)
    if not name:
        raise patching.unnamed(info.name)
    if name != info.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({info.name})")


def replicas_of(resource: Resource, asked: Object, name: str) -> int:
    """The number that a Scale asks for; StatusError 400, 422. Of a custom resource's its own checks say what it may be."""
    replicas = int((asked.get("spec") or {}).get("replicas") or 0)
    if resource.unstructured:
        if replicas == scaled.UNSET:
            raise errors.bad_request(f'the spec replicas field "{scaled.replicas_path(resource)}" cannot be empty')
        return replicas
    problems = meta.validate_object_meta(
        asked.get("metadata") or {}, True, meta.name_errors("subdomain"), Path("metadata")
    )
    if replicas < 0:
        problems.append(field.invalid(Path("spec") / "replicas", replicas, "must be greater than or equal to 0"))
    if problems:
        raise errors.invalid("autoscaling", "Scale", name, problems)
    return replicas


def _schema(resource: Resource) -> CompiledSchema:
    kind = kind_of(resource)
    return compiled_type(f"io.k8s.api.{kind.group}.{kind.version}.Scale", kind.api_version, "Scale")


def _scale(resource: Resource, obj: Object, unset: int | None = None) -> Object:
    """The Scale of an object, in the resource's version: in the first ones labels are a map, and the text stands beside it."""
    scale = scaled.of(resource, obj, unset)
    if resource.scale_version == "autoscaling/v1":
        return scale
    status = dict(scale["status"])
    if text := status.pop("selector", ""):
        status["targetSelector"] = text
        if labels := ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels"):
            status["selector"] = labels
    return {**scale, "apiVersion": resource.scale_version, "status": status}


async def _changed(
    store: GenericStore, info: RequestInfo, make: Callable[[Object], Object], options: WriteOptions, uid: str = ""
) -> Object:
    resource = store.resource

    async def mutate(old: Object) -> Object:
        asked = make(_scale(resource, old, scaled.UNSET))
        new: Object = json_copy(old)
        scaled.set_replicas(resource, new, replicas_of(resource, asked, info.name))
        version = (asked.get("metadata") or {}).get("resourceVersion")
        if version:
            new["metadata"]["resourceVersion"] = version
        return new

    options = replace(options, managed_subresource="scale")
    written = await store.change(info.namespace, info.name, mutate, options, patching=True, uid=uid)
    return _scale(resource, written)
