"""Namespace of v1 (upstream: pkg/registry/core/namespace, core validation)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors

from ...resource import Column, Errors, Object, Part, Resource
from ..meta import STANDARD_FINALIZERS
from ..printing import AGE, NAME, object_age
from ..strategy import keep, keep_spec, keep_status
from ..validation import each

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"  # taken away by who has deleted everything in the namespace


def default(namespace: Object) -> None:
    """A label with its name, and the phase."""
    meta = namespace.setdefault("metadata", {})
    if name := meta.get("name"):
        labels = meta.get("labels")
        if labels is None:
            labels = meta["labels"] = {}
        labels[NAME_LABEL] = name
    status = namespace.setdefault("status", {})
    status["phase"] = status.get("phase") or "Active"


def prepare_create(namespace: Object) -> None:
    """Active, and kept until it is emptied. A generated name gets its label here."""
    namespace["status"] = {"phase": "Active"}
    spec = namespace.setdefault("spec", {})
    finalizers = spec.get("finalizers") or []
    if FINALIZER not in finalizers:
        spec["finalizers"] = [*finalizers, FINALIZER]
    default(namespace)


def prepare_update(new: Object, old: Object) -> None:
    """Finalizers and status have paths of their own."""
    keep_status(new, old)
    keep(new.setdefault("spec", {}), old.get("spec") or {}, "finalizers")


def validate(namespace: Object) -> Errors:
    """Its finalizers."""
    names = (namespace.get("spec") or {}).get("finalizers") or ()
    return [error for name in names for error in finalizer_name(Path("spec.finalizers"), name)]


def finalizer_name(path: Path, name: str) -> Errors:
    """A qualified name with a domain, or one of upstream's."""
    errors = each(path, name, label_key_errors(name))
    if "/" not in name and name not in STANDARD_FINALIZERS:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(field.invalid(path, name, why))
    return errors


def validate_status(new: Object, old: Object) -> Errors:
    """The phase goes with the deletion timestamp."""
    phase = (new.get("status") or {}).get("phase") or ""
    deleted = (new.get("metadata") or {}).get("deletionTimestamp")
    if deleted and phase != "Terminating":
        why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        return [field.invalid(Path("status.Phase"), phase, why)]
    if not deleted and phase != "Active":
        why = "may only be 'Active' if `deletionTimestamp` is empty"
        return [field.invalid(Path("status.Phase"), phase, why)]
    return []


def validate_finalize(new: Object, old: Object) -> Errors:
    """PUT .../finalize."""
    names = (new.get("spec") or {}).get("finalizers") or ()
    at = Path("spec.finalizers")
    return [error for index, name in enumerate(names) for error in finalizer_name(at / index, name)]


def held(namespace: Object) -> bool:
    """By finalizers of its own kind, which go when its content is gone."""
    return bool((namespace.get("spec") or {}).get("finalizers"))


def deleting(namespace: Object, now: str) -> None:
    """It takes nothing in any longer."""
    namespace.setdefault("status", {})["phase"] = "Terminating"


def selectable(namespace: Object) -> Mapping[str, str]:
    """The phase."""
    return {"status.phase": (namespace.get("status") or {}).get("phase") or ""}


def row(namespace: Object, now: datetime) -> list[Any]:
    """Name, Status, Age."""
    phase = (namespace.get("status") or {}).get("phase") or ""
    return [namespace["metadata"]["name"], phase, object_age(namespace, now)]


RESOURCE = Resource(
    group="",
    version="v1",
    name="namespaces",
    kind="Namespace",
    schema="io.k8s.api.core.v1.Namespace",
    meta_again=1,
    short_names=("ns",),
    namespaced=False,
    name_check="label",
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    status=True,
    parts={"finalize": Part(keep_status, validate_finalize, ("update",))},
    subresources=("finalize",),
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    validate=validate,
    validate_status=validate_status,
    held=held,
    own_deletion=True,
    deleting=deleting,
    selectable=selectable,
    selectable_fields=("status.phase",),
    columns=(NAME, Column("Status", description="The status of the namespace"), AGE),
    row=row,
)
