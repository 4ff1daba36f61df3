"""The records of a CustomResourceDefinition's served versions (upstream: pkg/apiserver/customresource_handler.go,
pkg/registry/customresource/strategy.go)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ..resource import Errors, Object, Resource, ScalePaths
from . import columns, jsonpath, listtypes, objectmeta, structural
from .conditions import is_true
from .schema import CustomSchema
from .validations import BLOCKING, Validations, unchecked
from .values import MISSING

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")
MAX_REPLICAS = 2**31 - 1


# (spec, version, schemas) -> how the version's objects become stored ones, and back.
MakeForms = Callable[[Object, str, Mapping[str, CustomSchema]], "Forms"]


def records(crd: Object, make_forms: MakeForms | None = None) -> list[tuple[Resource, Forms]]:
    """One for each served version; `make_forms` where the definition asks for other than the usual conversion."""
    spec, made = crd["spec"], []
    schemas = {version["name"]: _schema(spec, version) for version in spec["versions"]}
    for version in spec["versions"]:
        if version.get("served"):
            forms = (make_forms or Forms)(spec, version["name"], schemas)
            made.append((_record(crd, version, schemas[version["name"]], forms), forms))
    return made


def _schema(spec: Object, version: Object) -> CustomSchema:
    given = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return CustomSchema(spec["group"], version["name"], spec["names"]["kind"], given)


def storage_version(spec: Mapping[str, Any]) -> str:
    """The version in which objects are kept."""
    return next(str(version["name"]) for version in spec["versions"] if version.get("storage"))


def _record(crd: Object, version: Object, schema: CustomSchema, forms: Forms) -> Resource:
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    subresources = version.get("subresources") or {}
    rules = _Checks(schema, subresources.get("scale"))
    status = subresources.get("status") is not None
    given = version.get("additionalPrinterColumns") or ()
    fields = tuple(one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or ())
    return Resource(
        custom=True,
        known_finalizers=False,
        compile=lambda: schema,
        # Where versions differ by their name alone; else a webhook would have to be asked in the midst of a patch.
        read_versions=tuple(one["name"] for one in spec["versions"]) if type(forms) is Forms else (),
        group=spec["group"],
        version=version["name"],
        name=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or "",
        list_kind_name=names.get("listKind") or "",
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=TERMINATING_VERBS if is_true(crd, "Terminating") else VERBS,
        storage=(spec["group"], names["plural"], storage_version(spec)),
        to_storage=forms.to_storage,
        from_storage=forms.from_storage,
        default=lambda obj: structural.prepare(obj, schema.structural),
        prepare_create=_drop_status if status else _keep_everything,
        prepare_status=_keep_all_but_status,
        validate=rules.create,
        validate_update=rules.update,
        validate_status=rules.update,
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
    return version.get("deprecationWarning") or usual


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
    new.update(copy.deepcopy(old))
    new["metadata"]["resourceVersion"] = version
    new.pop("status", None)
    if status is not None:
        new["status"] = status


# --- stored form -------------------------------------------------------------------------------


class Forms:
    """Between a version and the stored form, where nothing but apiVersion tells them apart (conversion strategy None)."""

    def __init__(self, spec: Object, version: str, schemas: Mapping[str, CustomSchema]) -> None:
        self._group, self._version, self._schemas = spec["group"], version, schemas
        self._storage = storage_version(spec)

    def from_storage(self, obj: Object) -> Object:
        """With today's defaults of the version it was stored in, and without fields that this version does not have."""
        stored = obj["apiVersion"].rsplit("/", 1)[-1]
        held = self._schemas.get(stored, self._schemas[self._storage]).structural
        structural.prune(obj, held, root=True)
        structural.prepare(obj, held)
        if stored != self._version:
            obj["apiVersion"] = f"{self._group}/{self._version}"
            structural.prune(obj, self._schemas[self._version].structural, root=True)
        return obj

    def to_storage(self, obj: Object) -> Object:
        """A copy in the stored version; the object itself where that is this one."""
        if self._version == self._storage:
            return obj
        made: Object = msgspec.json.decode(msgspec.json.encode(obj))
        made["apiVersion"] = f"{self._group}/{self._storage}"
        return self.stored(made)

    def stored(self, obj: Object) -> Object:
        """Pruned and defaulted as the stored version's, in place."""
        schema = self._schemas[self._storage].structural
        structural.prune(obj, schema, root=True)
        structural.prepare(obj, schema)
        return obj


# --- validation --------------------------------------------------------------------------------


class _Checks:
    """Of objects whose metadata the registry has checked."""

    def __init__(self, schema: CustomSchema, scale: Mapping[str, str] | None) -> None:
        self._schema, self._scale = schema, scale
        self._validations: Validations | None = None
        if b'"x-kubernetes-validations"' in msgspec.json.encode(schema.source):  # else CEL is not loaded
            self._validations = Validations(schema.source)

    def create(self, obj: Object) -> Errors:
        return self._all(obj, MISSING)

    def update(self, new: Object, old: Object) -> Errors:
        return self._all(new, old)

    def _all(self, obj: Object, old: Any) -> Errors:
        schema = self._schema
        errors = schema.rules.check(obj, "", old)
        if self._scale is not None:
            errors += _replicas(obj, self._scale["specReplicasPath"]) + _replicas(
                obj, self._scale["statusReplicasPath"]
            )
        for name, value in obj.items():
            below = schema.structural.properties.get(name)
            if below is not None and (below.embeds or below.lists) and (old is MISSING or old.get(name) != value):
                errors += objectmeta.validate_embedded(value, below, Path(name))
                errors += listtypes.duplicates(value, below, Path(name))
        return errors if self._validations is None else errors + self._asked(self._validations, obj, old, errors)

    @staticmethod
    def _asked(rules: Validations, obj: Object, old: Any, errors: Errors) -> Errors:
        if any(error.reason in BLOCKING for error in errors):
            return [unchecked()]
        return rules.check(obj, Path(""), old)


def _replicas(obj: Object, path: str) -> list[FieldError]:
    value, at = _dig(obj, jsonpath.simple(path)), Path(path.removeprefix("."))
    if value is None:
        return []
    if type(value) is not int:
        return [field.invalid(at, value, "should be an integer")]
    if value < 0:
        return [field.invalid(at, value, "should be a non-negative integer")]
    if value > MAX_REPLICAS:
        return [field.invalid(at, value, f"should be less than or equal to {MAX_REPLICAS}")]
    return []
