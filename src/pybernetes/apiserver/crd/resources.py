"""The records of a CustomResourceDefinition's served versions (upstream: pkg/apiserver/customresource_handler.go,
pkg/registry/customresource/strategy.go)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.version import version_rank

from ..conversion import Conversions
from ..generic.scaled import accessor_error
from ..resource import Errors, Object, Resource, ScalePaths
from . import columns, conversion, jsonpath, listtypes, objectmeta, schemarules, structural
from .conditions import is_true
from .conversion import Call
from .schema import CustomSchema
from .values import MISSING

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")
MAX_REPLICAS = 2**31 - 1

# (object, the one before, what else is wrong with it) -> what its rules find, and what they warn of.
Ask = Callable[[Object, Any, Errors], tuple[Errors, list[str]]]


def records(crd: Object, ask: Call) -> list[Resource]:
    """One for each served version of an established definition; `ask` asks its conversion webhook, if it has one."""
    spec = crd["spec"]
    schemas = {f"{spec['group']}/{version['name']}": _schema(spec, version) for version in spec["versions"]}
    conversions = conversion.of(spec, schemas, ask)
    served = [version for version in spec["versions"] if version.get("served")]
    return [_record(crd, version, schemas[f"{spec['group']}/{version['name']}"], conversions) for version in served]


def _schema(spec: Object, version: Object) -> CustomSchema:
    given = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    preserving = bool(spec.get("preserveUnknownFields"))
    scale = _scale((version.get("subresources") or {}).get("scale"))
    counts = (scale.spec_replicas, scale.status_replicas) if scale else ()
    return CustomSchema(spec["group"], version["name"], spec["names"]["kind"], given, preserving, counts)


def _record(crd: Object, version: Object, schema: CustomSchema, conversions: Conversions) -> Resource:
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    subresources = version.get("subresources") or {}
    rules = _Checks(schema, subresources.get("scale"))
    status = subresources.get("status") is not None
    given = version.get("additionalPrinterColumns") or ()
    fields = tuple(one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or ())
    ends = is_true(crd, "Terminating")
    return Resource(
        unstructured=True,
        known_finalizers=False,
        compile=lambda: schema,
        group=spec["group"],
        version=version["name"],
        name=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or "",
        list_kind_name=names.get("listKind") or "",
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=TERMINATING_VERBS if ends else VERBS,
        ends=ends,
        conversions=conversions,
        default=lambda obj: structural.prepare(obj, schema.structural),
        prepare_create=_drop_status if status else _keep_everything,
        prepare_status=_keep_all_but_status,
        validate=rules.create,
        validate_update=rules.update,
        validate_status=rules.update,
        warnings=rules.warnings,
        deprecated=_deprecated(spec, version),
        allow_unconditional_update=False,
        status=status,
        scale=_scale(subresources.get("scale")),
        selectable=_selectable(fields),
        selectable_fields=fields,
        columns=columns.columns(given),
        row=columns.row(given),
    )


def _deprecated(spec: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    usual = f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    return version.get("deprecationWarning") or usual + _instead(spec, version)


def _instead(spec: Object, version: Object) -> str:
    """The newest version that is served and not deprecated, where that is a better one."""
    order = sorted(
        (v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")), key=version_rank
    )
    if not order or version_rank(order[0]) > version_rank(version["name"]):
        return ""
    return f"; use {spec['group']}/{order[0]} {spec['names']['kind']}"


def _scale(given: Mapping[str, str] | None) -> ScalePaths | None:
    if given is None:
        return None
    selector = jsonpath.simple(given.get("labelSelectorPath") or "")
    spec, status = (jsonpath.simple(given[f"{part}ReplicasPath"]) for part in ("spec", "status"))
    return ScalePaths(spec, status, selector)


def _selectable(fields: Sequence[str]) -> Callable[[Object], Mapping[str, str]]:
    paths = {name: jsonpath.simple(f".{name}") for name in fields}

    def read(obj: Object) -> dict[str, str]:
        return {name: _text(_dig(obj, path)) for name, path in paths.items()}

    return read


def _dig(obj: Any, path: Sequence[str]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


# --- what a write may not touch ----------------------------------------------------------------


def _keep_everything(obj: Object) -> None:
    """Without the subresource, status is a field like others."""


def _drop_status(obj: Object) -> None:
    obj.pop("status", None)


def _keep_all_but_status(new: Object, old: Object) -> None:
    """Of an update of the status, metadata included."""
    status, version = new.get("status"), new["metadata"].get("resourceVersion")
    new.clear()
    new.update(json_copy(old))
    new["metadata"]["resourceVersion"] = version
    new.pop("status", None)
    if status is not None:
        new["status"] = status


# --- validation --------------------------------------------------------------------------------


class _Checks:
    """Of objects whose metadata the registry has checked."""

    def __init__(self, schema: CustomSchema, scale: Mapping[str, str] | None) -> None:
        self._schema, self._scale = schema, scale
        self._told = threading.local()  # what is large is checked in threads, several objects at a time
        self._ask: Ask | None = None
        if schemarules.ruled(schema.source):
            from .validations import of_resource  # CEL is loaded with the first rule

            self._ask = of_resource(schema.source)

    def create(self, obj: Object) -> Errors:
        return self._all(obj, MISSING)

    def update(self, new: Object, old: Object) -> Errors:
        return self._all(new, old)

    def _all(self, obj: Object, old: Any) -> Errors:
        schema, self._told.warnings = self._schema, []
        errors = schema.rules.check(obj, "", old)
        if self._scale is not None:
            errors += _replicas(obj, self._scale["specReplicasPath"])
            errors += _replicas(obj, self._scale["statusReplicasPath"])
            errors += _label_selector(obj, self._scale.get("labelSelectorPath") or "")
        for name, value in obj.items():
            below = schema.structural.properties.get(name)
            if below is not None and (below.embeds or below.lists) and (old is MISSING or old.get(name) != value):
                errors += objectmeta.validate_embedded(value, below, Path(name))
                errors += listtypes.duplicates(value, below, Path(name))
        if self._ask is not None:
            broken, self._told.warnings = self._ask(obj, old, errors)
            errors += broken
        return errors

    def warnings(self, new: Object, old: Object | None) -> Sequence[str]:
        """Of the object that this thread has checked last, which is the one that the store asks about."""
        told: list[str] = getattr(self._told, "warnings", [])
        self._told.warnings = []
        return told


def _replicas(obj: Object, path: str) -> list[FieldError]:
    parts, at = jsonpath.simple(path), Path(path)  # with its leading dot, as upstream says it
    value = _dig(obj, parts)
    if value is None:
        return []
    if type(value) is not int:
        return [field.invalid(at, 0, accessor_error(parts, value, "int64"))]
    if value < 0:
        return [field.invalid(at, value, "should be a non-negative integer")]
    if value > MAX_REPLICAS:
        return [field.invalid(at, value, f"should be less than or equal to {MAX_REPLICAS}")]
    return []


def _label_selector(obj: Object, path: str) -> list[FieldError]:
    parts = jsonpath.simple(path)
    value = _dig(obj, parts) if parts else None
    if value is None or isinstance(value, str):
        return []
    return [field.invalid(Path(path), "", accessor_error(parts, value, "string"))]
