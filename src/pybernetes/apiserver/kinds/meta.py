"""Checks of metadata that all kinds share (upstream: apimachinery/pkg/api/validation/objectmeta.go, core ValidateObjectMeta)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pybernetes.api import field
from pybernetes.api.annotations import SIZE_LIMIT, too_large
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors, label_key_errors, label_value_errors

from .validation import dns1035_label_errors

NameCheck = Callable[[str], list[str]]

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
FIELD_MANAGER_LIMIT = 128
SUBRESOURCE_LIMIT = 256
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
NAMED_CONTROLLERS = 16  # of an object with several: each fault shows the whole list
BANNED_OWNERS = frozenset({("v1", "Event")})


# --- names --------------------------------------------------------------------------------------


def path_segment_errors(name: str) -> list[str]:
    """Why a name cannot be one segment of a path (content.IsPathSegmentName)."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


NAME_CHECKS: Mapping[str, NameCheck] = {
    "subdomain": dns1123_subdomain_errors,
    "label": dns1123_label_errors,
    "label1035": dns1035_label_errors,
    "path": path_segment_errors,
}


def name_errors(check: Literal["subdomain", "label", "label1035", "path"] | NameCheck) -> NameCheck:
    """The function behind `Resource.name_check`."""
    return NAME_CHECKS[check] if isinstance(check, str) else check


def masked(prefix: str) -> str:
    """A name as it is checked: something follows a trailing dash, and upstream takes what is before it away, too (maskTrailingDash)."""
    return f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix


# --- creation -----------------------------------------------------------------------------------


def validate_object_meta(
    meta: Mapping[str, Any],
    namespaced: bool,
    name_errors: NameCheck,
    path: Path,
    *,
    known_finalizers: bool = True,
) -> list[FieldError]:
    """On creation, after a name was generated. `known_finalizers`: finalizers without a domain must be upstream's own,
    as for every built-in kind but for no custom resource."""
    errors: list[FieldError] = []
    if prefix := meta.get("generateName"):
        errors += [field.invalid(path / "generateName", prefix, e) for e in name_errors(masked(prefix))]
    name = meta.get("name") or ""
    if not name:
        errors.append(field.required(path / "name", "name or generateName is required"))
    else:
        errors += [field.invalid(path / "name", name, e) for e in name_errors(name)]
    errors += _namespace_errors(meta.get("namespace") or "", namespaced, path / "namespace")
    if (generation := meta.get("generation") or 0) < 0:
        errors.append(field.invalid(path / "generation", generation, NOT_NEGATIVE))
    errors += _details(meta, path)
    if finalizers := meta.get("finalizers"):
        errors += validate_finalizers(finalizers, path / "finalizers")
    if managed := meta.get("managedFields"):
        errors += validate_managed_fields(managed, path / "managedFields")
    if finalizers and known_finalizers:
        errors += _finalizers_without_domain(finalizers, path / "finalizers")
    return errors


def _namespace_errors(namespace: str, namespaced: bool, path: Path) -> list[FieldError]:
    if not namespaced:
        return [field.forbidden(path, "not allowed on this type")] if namespace else []
    if not namespace:
        return [field.required(path)]
    return [field.invalid(path, namespace, e) for e in dns1123_label_errors(namespace)]


def _details(meta: Mapping[str, Any], path: Path) -> list[FieldError]:
    """Labels, annotations and owners: checked alike on creation and update."""
    errors: list[FieldError] = []
    if labels := meta.get("labels"):
        errors += validate_labels(labels, path / "labels")
    if annotations := meta.get("annotations"):
        errors += validate_annotations(annotations, path / "annotations")
    if owners := meta.get("ownerReferences"):
        errors += validate_owner_references(owners, path / "ownerReferences")
    return errors


# --- update -------------------------------------------------------------------------------------

_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate_object_meta_update(
    new_meta: Mapping[str, Any], old_meta: Mapping[str, Any], path: Path, *, known_finalizers: bool = True
) -> list[FieldError]:
    """On update; `new_meta` carries the resource version it is based on."""
    errors: list[FieldError] = []
    if old_meta.get("deletionTimestamp"):
        errors += _no_new_finalizers(new_meta, old_meta, path / "finalizers")
    if not new_meta.get("resourceVersion"):
        errors.append(field.invalid(path / "resourceVersion", "", "must be specified for an update"))
    generation = new_meta.get("generation") or 0
    if generation < (old_meta.get("generation") or 0):
        errors.append(field.invalid(path / "generation", generation, "must not be decremented"))
    for name in _FIXED:
        value, before = new_meta.get(name), old_meta.get(name)
        if value != before and (value or before):
            errors.append(field.invalid(path / name, _shown(name, value), IMMUTABLE))
    errors += _details(new_meta, path)
    if managed := new_meta.get("managedFields"):
        errors += validate_managed_fields(managed, path / "managedFields")
    if known_finalizers and (finalizers := new_meta.get("finalizers")):
        errors += _finalizers_without_domain(finalizers, path / "finalizers")
    return errors


def validate_updated_meta(
    new_meta: Mapping[str, Any],
    old_meta: Mapping[str, Any],
    namespaced: bool,
    name_errors: NameCheck,
    *,
    known_finalizers: bool = True,
    again: int = 0,
) -> list[FieldError]:
    """All that an update says of metadata. Upstream looks at it as on creation and as on update for every kind, once more
    as on update in the kind's own checks, and in those of some kinds `again` as on creation; each time names the same
    causes anew (rest.BeforeUpdate)."""
    path = Path("metadata")
    own = validate_object_meta_update(new_meta, old_meta, path, known_finalizers=known_finalizers)
    finalizers = new_meta.get("finalizers")
    if not own and not (finalizers and validate_finalizers(finalizers, path / "finalizers")):
        return []
    errors = validate_object_meta(new_meta, namespaced, path_segment_errors, path, known_finalizers=False)
    errors += validate_object_meta_update(new_meta, old_meta, path, known_finalizers=False) + own
    for _ in range(again):
        errors += validate_object_meta(new_meta, namespaced, name_errors, path, known_finalizers=known_finalizers)
    return errors


def _shown(name: str, value: Any) -> Any:
    return "" if value is None and name in ("name", "namespace", "uid") else value


def _no_new_finalizers(new_meta: Mapping[str, Any], old_meta: Mapping[str, Any], path: Path) -> list[FieldError]:
    extra = sorted(set(new_meta.get("finalizers") or ()) - set(old_meta.get("finalizers") or ()))
    if not extra:
        return []
    listed = ", ".join(field.quote(name) for name in extra)
    why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [field.forbidden(path, why)]


# --- parts --------------------------------------------------------------------------------------


def validate_labels(labels: Mapping[str, str], path: Path) -> list[FieldError]:
    """Keys and values of a map of labels; the path has no key, as upstream's."""
    errors: list[FieldError] = []
    for key, value in labels.items():
        errors += [field.invalid(path, key, e) for e in label_key_errors(key)]
        errors += [field.invalid(path, value, e) for e in label_value_errors(value)]
    return errors


def validate_annotations(annotations: Mapping[str, str], path: Path) -> list[FieldError]:
    """Keys without regard to case, and the size of all together."""
    errors = [field.invalid(path, key, e) for key in annotations for e in label_key_errors(key.lower())]
    if too_large(annotations):
        errors.append(field.too_long(path, SIZE_LIMIT))
    return errors


def validate_owner_references(owners: Sequence[Mapping[str, Any]], path: Path) -> list[FieldError]:
    """Each owner is named in full, and at most one is the controller."""
    errors: list[FieldError] = []
    controller, whole, others = "", list(owners), 0
    for index, owner in enumerate(owners):
        errors += _owner_errors(owner, path / index)
        if not owner.get("controller"):
            continue
        name = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if controller and others < NAMED_CONTROLLERS:
            others += 1
            why = 'Only one reference can have Controller set to true. Found "true" in references for'
            errors.append(field.invalid(path, whole, f"{why} {controller} and {name}"))
        elif not controller:
            controller = name
    return errors


def _owner_errors(owner: Mapping[str, Any], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version = owner.get("apiVersion") or ""
    if not api_version:
        errors.append(field.required(path / "apiVersion", "must not be empty"))
    elif api_version.count("/") > 1 or api_version.endswith("/"):
        errors.append(field.invalid(path / "apiVersion", api_version, "must be <group>/<version> or <version>"))
    errors += [
        field.required(path / name, "must not be empty") for name in ("kind", "name", "uid") if not owner.get(name)
    ]
    if (api_version, owner.get("kind")) in BANNED_OWNERS:
        named = f"/{api_version}, Kind={owner.get('kind')}"
        errors.append(field.invalid(path, owner, f"{named} is disallowed from being an owner"))
    return errors


def validate_finalizers(finalizers: Sequence[str], path: Path) -> list[FieldError]:
    """Names of finalizers; orphaning and foreground deletion exclude each other."""
    errors = [field.invalid(path, name, e) for name in finalizers for e in label_key_errors(name)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(field.invalid(path, list(finalizers), why))
    return errors


def _finalizers_without_domain(finalizers: Sequence[str], path: Path) -> list[FieldError]:
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        field.invalid(path / index, name, why)
        for index, name in enumerate(finalizers)
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def validate_managed_fields(entries: Sequence[Mapping[str, Any]], path: Path) -> list[FieldError]:
    """The form of the entries; what they say is the business of apply."""
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        at = path / index
        operation = entry.get("operation") or ""
        if not operation:
            errors.append(field.required(at / "operation", "must not be empty"))
        elif operation not in ("Apply", "Update"):
            errors.append(field.not_supported(at / "operation", operation, ["Apply", "Update"]))
        fields_type = entry.get("fieldsType") or ""
        if fields_type not in ("", "FieldsV1"):
            errors.append(field.invalid(at / "fieldsType", fields_type, "must be `FieldsV1`"))
        errors += validate_field_manager(entry.get("manager") or "", at / "manager")
        if len(entry.get("subresource") or "") > SUBRESOURCE_LIMIT:
            errors.append(field.too_long(at / "subresource", SUBRESOURCE_LIMIT))
    return errors


def validate_field_manager(manager: str, path: Path) -> list[FieldError]:
    """Length and printability of a field manager's name."""
    errors: list[FieldError] = []
    if len(manager.encode()) > FIELD_MANAGER_LIMIT:
        errors.append(field.too_long(path, FIELD_MANAGER_LIMIT))
    if manager.isprintable():
        return errors
    position = 0
    for char in manager:
        if not char.isprintable():
            errors.append(field.invalid(path, manager, f"invalid character U+{ord(char):04X} (at position {position})"))
        position += len(char.encode())
    return errors
