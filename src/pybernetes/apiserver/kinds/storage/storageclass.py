"""StorageClass of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/storageclass)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION, IS_DEFAULT_STORAGE_CLASS_ANNOTATION

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable, qualified_name, same
from . import names

DEFAULT_ANNOTATIONS = (
    IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
    BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
)
RECLAIM, BINDING = ("Delete", "Retain"), ("Immediate", "WaitForFirstConsumer")


def default(storage_class: Object) -> None:
    """Deleted with its claim, bound at once."""
    for name, value in (("reclaimPolicy", RECLAIM[0]), ("volumeBindingMode", BINDING[0])):
        if storage_class.get(name) is None:
            storage_class[name] = value


def validate(storage_class: Object) -> Errors:
    """ValidateStorageClass."""
    errors = names.provisioner(Path("provisioner"), storage_class.get("provisioner") or "")
    errors += names.parameters(Path("parameters"), storage_class.get("parameters"))
    for name, valid in (("reclaimPolicy", RECLAIM), ("volumeBindingMode", BINDING)):
        given = storage_class.get(name)
        if given is not None and given not in valid and (given or name != "reclaimPolicy"):
            errors.append(field.not_supported(Path(name), given, valid))
    return errors + topologies(Path("allowedTopologies"), storage_class.get("allowedTopologies") or ())


def topologies(path: Path, terms: Sequence[Mapping[str, Any]]) -> Errors:
    """TopologySelectorTerms, each once, and none that is empty: to upstream's comparison one of those was there before."""
    errors: Errors = []
    seen: set[frozenset[tuple[str, frozenset[str]]]] = {frozenset()}
    for index, term in enumerate(terms):
        at, keys = path / index / "matchLabelExpressions", {}
        for number, expression in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = expression.get("key") or "", expression.get("values") or ()
            errors += _expression(at / number, key, values)
            if key in keys:
                errors.append(field.duplicate(at / number / "key", key))
            keys[key] = frozenset(values)
        whole = frozenset(keys.items())
        errors += [field.duplicate(at, "")] if whole in seen else []
        seen.add(whole)
    return errors


def _expression(path: Path, key: str, values: Sequence[str]) -> Errors:
    at = path / "values"
    errors = [] if values else [field.required(at)]
    errors += [field.duplicate(at / i, value) for i, value in field.repeats(values)]
    return errors + qualified_name(path / "key", key)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation, and what volumes were made with stays."""
    errors = validate(new)
    errors += [
        field.forbidden(Path(name), f"updates to {name} are forbidden.")
        for name in ("parameters", "provisioner", "reclaimPolicy")
        if not same(new.get(name), old.get(name))
    ]
    return errors + immutable(Path("volumeBindingMode"), new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def row(storage_class: Object, now: datetime) -> list[Any]:
    """Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age."""
    name, annotations = storage_class["metadata"]["name"], storage_class["metadata"].get("annotations") or {}
    is_default = any(annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)
    return [
        f"{name} (default)" if is_default else name,
        storage_class.get("provisioner") or "",
        storage_class.get("reclaimPolicy") or RECLAIM[0],
        storage_class.get("volumeBindingMode") or BINDING[0],
        bool(storage_class.get("allowVolumeExpansion")),
        object_age(storage_class, now),
    ]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="storageclasses",
    kind="StorageClass",
    schema="io.k8s.api.storage.v1.StorageClass",
    returns_deleted=True,
    namespaced=False,
    short_names=("sc",),
    generation=False,
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(
        NAME,
        Column("Provisioner", description="Who makes volumes of this class"),
        Column("ReclaimPolicy", description="What becomes of a volume whose claim is gone"),
        Column("VolumeBindingMode", description="When claims are bound"),
        Column("AllowVolumeExpansion", description="Whether volumes may grow"),
        AGE,
    ),
    row=row,
)
