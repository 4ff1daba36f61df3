"""Whether a CustomResourceDefinition is valid (upstream: pkg/apis/apiextensions/validation/validation.go).

What is the same in all versions is blamed where upstream's internal type has it: under spec.validation, spec.subresources,
spec.additionalPrinterColumns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_subdomain_errors

from ..kinds.admissionregistration import webhooks
from ..kinds.validation import dns1035_label_errors, immutable
from ..resource import Object
from . import conditions, formats, jsonpath, names, schemarules
from .leniency import Leniency, all_schemas, has_defaults, leniency, schemas

Errors = list[FieldError]

SPEC = Path("spec")
SCOPES, STRATEGIES = ("Cluster", "Namespaced"), ("None", "Webhook")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MAX_SELECTABLE = 8
MAX_WARNING = 256  # bytes of a deprecation's text
# What a root may have beside a status of its own, in upstream's order and words.
ROOT_WORDS = (
    *("Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum"),
    *("MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required"),
    *("Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"),
)
ROOT_FIELDS = frozenset(
    {schemarules.PRESERVE, schemarules.VALIDATIONS, *(f"{word[0].lower()}{word[1:]}" for word in ROOT_WORDS)}
)

MAX_LEVELS = 400  # of JSON, which are 200 of a schema; those of projects have up to 60


def validate(crd: Object, beta: bool = False) -> Errors:
    """On creation, beyond metadata; `beta`: through v1beta1."""
    lenient = leniency(crd, None, beta)
    spec = crd.get("spec") or {}
    errors = _too_deep(spec)
    if errors:
        return errors
    expected_name = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    name = crd["metadata"].get("name", "")
    if name and name != expected_name:
        errors.append(field.invalid(Path("metadata") / "name", name, 'must be spec.names.plural+"."+spec.group'))
    errors += _spec(spec, lenient) + validate_status(crd) + _stored_versions(crd)
    errors += [] if lenient.unapproved else _approval(crd)
    return errors + ([] if lenient.preserving else _preserved(spec))


def _too_deep(spec: Object) -> Errors:
    """Of schemas that are deeper than their readers can go: upstream's limit is memory, here it is the interpreter's stack."""
    for index, version in enumerate(spec.get("versions") or ()):
        level: list[Any] = [(version.get("schema") or {}).get("openAPIV3Schema")]
        for _ in range(MAX_LEVELS):
            level = [below for one in level for below in _below(one)]
            if not level:
                break
        else:
            at = SPEC / "versions" / index / "schema" / "openAPIV3Schema"
            return [field.forbidden(at, f"must not be nested in more than {MAX_LEVELS} levels of JSON")]
    return []


def _below(value: Any) -> Iterable[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]


def validate_update(new: Object, old: Object, beta: bool = False) -> Errors:
    """Names and scope stay, and so does every version in which objects are stored; `beta`: through v1beta1."""
    lenient = leniency(new, old, beta)
    spec, was = new.get("spec") or {}, old.get("spec") or {}
    if errors := _too_deep(spec):
        return errors
    errors = _spec(spec, lenient)
    names_, before = spec.get("names") or {}, was.get("names") or {}
    if conditions.is_true(old, "Established"):
        errors += immutable(SPEC / "scope", spec.get("scope"), was.get("scope"))
        errors += immutable(SPEC / "names" / "kind", names_.get("kind"), before.get("kind"))
    errors += immutable(SPEC / "group", spec.get("group"), was.get("group"))
    errors += immutable(SPEC / "names" / "plural", names_.get("plural"), before.get("plural"))
    errors += validate_status(new) + _stored_versions(new)
    unchanged = names.approval(_annotation(new))[0] == names.approval(_annotation(old))[0]
    errors += [] if unchanged or lenient.unapproved else _approval(new)
    return errors + ([] if lenient.preserving else _preserved(spec))


def validate_status(crd: Object) -> Errors:
    """The accepted names are names."""
    return _names((crd.get("status") or {}).get("acceptedNames") or {}, Path("status") / "acceptedNames")


def _stored_versions(crd: Object) -> Errors:
    """All that are stored are there, and the one that is stored now is among them."""
    stored, at = (crd.get("status") or {}).get("storedVersions"), Path("status") / "storedVersions"
    if not stored:
        return [field.invalid(at, stored, "must have at least one stored version")]
    errors: Errors = []
    versions = crd["spec"].get("versions") or ()
    for version in versions:
        name = version.get("name") or ""
        if version.get("storage") and name not in stored:
            errors.append(field.invalid(at, stored, f"must have the storage version {name}"))
    served = {version.get("name") for version in versions}
    for index, name in enumerate(stored):
        if name not in served:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions"
            )
            errors.append(field.invalid(at / index, name, why))
    return errors


def _preserved(spec: Mapping[str, Any]) -> Errors:
    if not spec.get("preserveUnknownFields"):
        return []
    why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    return [field.invalid(SPEC / "preserveUnknownFields", True, why)]


def _annotation(crd: Object) -> str:
    return str((crd["metadata"].get("annotations") or {}).get(names.APPROVAL, ""))


def _approval(crd: Object) -> Errors:
    if not names.is_protected((crd.get("spec") or {}).get("group") or ""):
        return []
    given = _annotation(crd)
    state, why = names.approval(given)
    at = (Path("metadata") / "annotations").key(names.APPROVAL)
    if state == "missing":
        return [field.required(at, why)]
    return [field.invalid(at, given, why)] if state == "invalid" else []


# --- the spec ----------------------------------------------------------------------------------


def _spec(spec: Mapping[str, Any], lenient: Leniency) -> Errors:
    errors = _group(spec.get("group") or "")
    scope = spec.get("scope") or ""
    if not scope:
        errors.append(field.required(SPEC / "scope"))
    elif scope not in SCOPES:
        errors.append(field.not_supported(SPEC / "scope", scope, SCOPES))
    versions = spec.get("versions") or []
    hoisted = {part: _hoisted(versions, part) for part in _PARTS}
    for index, version in enumerate(versions):
        at = SPEC / "versions" / index
        bare = (version.get("schema") or {}).get("openAPIV3Schema") is None
        if bare and not lenient.schemaless:
            errors.append(field.required(at / "schema" / "openAPIV3Schema"))
        elif bare and version.get("served") and not spec.get("preserveUnknownFields"):
            errors.append(field.required(at / "schema" / "openAPIV3Schema", "because otherwise all fields are pruned"))
    if (
        not lenient.no_default
        and spec.get("preserveUnknownFields")
        and any(has_defaults(schema) for schema in schemas(versions))
    ):
        why = "must be false in order to use defaults in the schema"
        errors.append(field.invalid(SPEC / "preserveUnknownFields", True, why))
    for index, version in enumerate(versions):
        errors += _version(SPEC / "versions" / index, version, hoisted, lenient)
    errors += _version_names(versions)
    errors += _all_names(spec.get("names") or {}, SPEC / "names")
    for part, (internal, check) in _PARTS.items():
        if versions and hoisted[part]:
            errors += check(_with_any_status(versions), SPEC / internal, lenient)
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") != "None" and spec.get("preserveUnknownFields"):
        why = "must be None if spec.preserveUnknownFields is true"
        errors.append(field.invalid(SPEC / "conversion" / "strategy", conversion.get("strategy") or "", why))
    return errors + _conversion(conversion, SPEC / "conversion")


def _with_any_status(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first version, with a status if any has one: what is the same in all is checked as for all."""
    status = next((s for v in versions if (s := (v.get("subresources") or {}).get("status")) is not None), None)
    if status is None:
        return versions[0]
    return {**versions[0], "subresources": {**(versions[0].get("subresources") or {}), "status": status}}


def _group(group: str) -> Errors:
    at = SPEC / "group"
    if not group:
        return [field.required(at)]
    if why := dns1123_subdomain_errors(group):
        return [field.invalid(at, group, ",".join(why))]
    if "." not in group:
        return [field.invalid(at, group, "should be a domain with at least one dot")]
    return []


def _hoisted(versions: Sequence[Mapping[str, Any]], part: str) -> bool:
    """All versions have the same, and at least something."""
    return bool(versions) and all(version.get(part) == versions[0].get(part) for version in versions)


def _version(path: Path, version: Mapping[str, Any], hoisted: Mapping[str, bool], lenient: Leniency) -> Errors:
    name = version.get("name") or ""
    errors: Errors = []
    if why := dns1035_label_errors(name):
        errors.append(field.invalid(path / "name", name, ",".join(why)))
    warning = version.get("deprecationWarning")
    if warning is not None:
        for text in _warning_errors(warning, bool(version.get("deprecated"))):
            errors.append(field.invalid(path / "deprecationWarning", warning, text))
    for part, (_, check) in _PARTS.items():
        if not hoisted[part]:
            errors += check(version, path / part, lenient)
    return errors


def _warning_errors(text: str, deprecated: bool) -> Iterable[str]:
    """What is wrong with the text of a deprecation."""
    if not deprecated:
        yield "can only be set for deprecated versions"
        return
    if len(text.encode()) > MAX_WARNING:
        yield f"must be <= {MAX_WARNING} characters long"
    if not text:
        yield "must not be an empty string"
    index = 0  # in bytes
    for character in text:
        if not character.isprintable():
            yield f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            return
        index += len(character.encode())


def _version_names(versions: Sequence[Mapping[str, Any]]) -> Errors:
    errors: Errors = []
    names, at = [version.get("name") or "" for version in versions], SPEC / "versions"
    if len(set(names)) < len(names):
        errors.append(field.invalid(at, list(versions), "must contain unique version names"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        errors.append(field.invalid(at, list(versions), "must have exactly one version marked as storage version"))
    if names and names[0] and (why := dns1035_label_errors(names[0])):
        errors.append(field.invalid(SPEC / "version", names[0], ",".join(why)))
    return errors


def _all_names(given: Mapping[str, Any], path: Path) -> Errors:
    needed = ("plural", "singular", "kind", "listKind")
    return [field.required(path / name) for name in needed if not given.get(name)] + _names(given, path)


def _names(given: Mapping[str, Any], path: Path) -> Errors:
    errors: Errors = []
    for name in ("plural", "singular"):
        errors += _label(path / name, given.get(name) or "")
    for name in ("kind", "listKind"):
        value = given.get(name) or ""
        if value and (why := dns1035_label_errors(value.lower())):
            text = f"may have mixed case, but should otherwise match: {','.join(why)}"
            errors.append(field.invalid(path / name, value, text))
    for index, name in enumerate(given.get("shortNames") or ()):
        errors += _label(path / "shortNames" / index, name, empty=False)
    if given.get("kind") and given["kind"] == given.get("listKind"):
        errors.append(field.invalid(path / "listKind", given["kind"], "kind and listKind may not be the same"))
    for index, name in enumerate(given.get("categories") or ()):
        errors += _label(path / "categories" / index, name, empty=False)
    return errors


def _label(path: Path, value: str, empty: bool = True) -> Errors:
    why = [] if empty and not value else dns1035_label_errors(value)
    return [field.invalid(path, value, ",".join(why))] if why else []


# --- parts of a version ------------------------------------------------------------------------


def _schema(version: Mapping[str, Any], path: Path, lenient: Leniency) -> Errors:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        return []
    at = path / "openAPIV3Schema"
    errors = _root(schema, path) if (version.get("subresources") or {}).get("status") is not None else []
    if schema.get("nullable"):
        errors.append(field.forbidden(path / "openAPIV3Schema.nullable", "nullable cannot be true at the root"))
    # A schema with a keyword that is never read cannot be asked for its structure: one cause, not two.
    unread = schemarules.unread_keyword(schema)
    structure = [] if unread or lenient.unstructured else schemarules.structure(schema, at)
    keywords = schemarules.openapi(schema, at, lenient.no_default, any_type=lenient.unstructured)
    if not (unread or lenient.unstructured or structure):
        structure = schemarules.default_values(schema, at)
    errors += [*keywords, *structure] if lenient.no_default else [*structure, *keywords]
    if unread:
        return errors or [field.invalid(at, "", unread)]
    if structure:
        return errors
    changed = version["schema"] != lenient.former.get(version.get("name") or "")
    if not schemarules.ruled(schema):
        return errors
    from . import rules  # CEL is loaded with the first rule

    return errors + rules.rule_errors(schema, at, priced=changed)


def _root(schema: Mapping[str, Any], path: Path) -> Errors:
    """Of a kind whose status is written by itself: the first thing that cannot be at the root."""
    kind = schema.get("type") or ""
    odd = next((name for name in schema if name not in ROOT_FIELDS and _is_set(schema[name])), "")
    if kind and kind != "object" and odd not in ("id", "$schema", "$ref"):  # which upstream looks at before
        why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [field.invalid(path / "openAPIV3Schema.type", kind, why)]
    if not odd:
        return []
    why = f"only [{' '.join(ROOT_WORDS)}] fields are allowed at the root of the schema if the status subresource is enabled"
    return [field.invalid(path / "openAPIV3Schema", schema, why)]


def _is_set(value: Any) -> bool:
    return value not in (None, "", False)


def _subresources(version: Mapping[str, Any], path: Path, lenient: Leniency) -> Errors:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return []
    errors = _scale_path(path / "scale.specReplicasPath", scale.get("specReplicasPath") or "", ".spec")
    errors += _scale_path(path / "scale.statusReplicasPath", scale.get("statusReplicasPath") or "", ".status")
    selector, at = scale.get("labelSelectorPath") or "", path / "scale.labelSelectorPath"
    if selector and not (wrong := _simple_path(at, selector)):
        if not selector.startswith((".status.", ".spec.")):
            errors.append(field.invalid(at, selector, "should be a json path under either .spec or .status"))
    elif selector:
        errors += wrong
    return errors


def _scale_path(path: Path, value: str, under: str) -> Errors:
    if not value:
        return [field.required(path)]
    if wrong := _simple_path(path, value):
        return wrong
    return [] if value.startswith(f"{under}.") else [field.invalid(path, value, f"should be a json path under {under}")]


def _simple_path(path: Path, value: str) -> Errors:
    if not value.startswith("."):
        return [field.invalid(path, value, "must be a simple json path starting with .")]
    return []


def _columns(version: Mapping[str, Any], path: Path, lenient: Leniency) -> Errors:
    errors: Errors = []
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        errors += _column(path / index, column)
    return errors


def _column(path: Path, column: Mapping[str, Any]) -> Errors:
    errors = [] if column.get("name") else [field.required(path / "name")]
    kind, form, json_path = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    listed = f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        errors.append(field.required(path / "type", listed))
    elif kind not in COLUMN_TYPES:
        errors.append(field.invalid(path / "type", kind, listed))
    if form and form not in COLUMN_FORMATS:
        errors.append(field.invalid(path / "format", form, f"must be one of {','.join(COLUMN_FORMATS)}"))
    return errors + (_simple_path(path / "JSONPath", json_path) if json_path else [field.required(path / "JSONPath")])


def _selectable(version: Mapping[str, Any], path: Path, lenient: Leniency) -> Errors:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    errors: Errors = []
    seen: set[str] = set()
    for index, one in enumerate(version.get("selectableFields") or ()):
        at, text = path / index / "jsonPath", one.get("jsonPath") or ""
        if not text:
            errors.append(field.required(at))
            continue
        steps = jsonpath.simple(text)
        if why := _wrong_path(text, steps, schema):
            errors.append(field.invalid(at, text, f"is an invalid path: {why}"))
            continue
        errors += [field.invalid(at, text, why) for why in _unselectable(steps, schema)]
        if text in seen:
            errors.append(field.duplicate(at, text))
        seen.add(text)
    if len(seen) > MAX_SELECTABLE:
        errors.append(field.too_many(path, len(seen), MAX_SELECTABLE))
    return errors


def _wrong_path(text: str, steps: Sequence[str], schema: Mapping[str, Any]) -> str:
    if "".join(f".{step}" for step in steps) != text:
        return "must be a simple field path in dot notation"
    return "" if _at(steps, schema) is not None else "does not refer to a valid field"


def _at(steps: Sequence[str], schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    place: Mapping[str, Any] | None = schema
    for step in steps:
        place = (place.get("properties") or {}).get(step) if place else None
    return place


def _unselectable(steps: Sequence[str], schema: Mapping[str, Any]) -> Iterable[str]:
    if steps[:1] == ("metadata",) or steps[:1] == ["metadata"]:
        yield "must not point to fields in metadata"
    place = _at(steps, schema) or {}
    if place.get("type") not in ("string", "boolean", "integer"):
        yield "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."


_Part = Callable[[Mapping[str, Any], Path, Leniency], Errors]
# Part of a version -> (where upstream's internal type has it, its check).
_PARTS: dict[str, tuple[str, _Part]] = {
    "schema": ("validation", _schema),
    "subresources": ("subresources", _subresources),
    "additionalPrinterColumns": ("additionalPrinterColumns", _columns),
    "selectableFields": ("selectableFields", _selectable),
}


def _conversion(given: Mapping[str, Any], path: Path) -> Errors:
    strategy = given.get("strategy") or ""
    errors: Errors = []
    if not strategy:
        errors.append(field.required(path / "strategy"))
    elif strategy not in STRATEGIES:
        errors.append(field.not_supported(path / "strategy", strategy, STRATEGIES))
    webhook = given.get("webhook") or {}
    config, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    client_at, versions_at = path / "webhookClientConfig", path / "conversionReviewVersions"
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        errors += [field.forbidden(client_at, why)] if config is not None else []
        return errors + ([field.forbidden(versions_at, why)] if reviews else [])
    if config is None:
        errors.append(field.required(client_at, "required when strategy is set to Webhook"))
    else:
        errors += webhooks.client(client_at, config)
    return errors + _review_versions(versions_at, reviews)


def _review_versions(path: Path, versions: Sequence[str]) -> Errors:
    if not versions:
        return [field.required(path)]
    errors: Errors = []
    again = {index for index, _ in field.repeats(versions)}
    for index, version in enumerate(versions):
        if index in again:
            errors.append(field.invalid(path / index, version, "duplicate version"))
        else:
            errors += [field.invalid(path / index, version, why) for why in dns1035_label_errors(version)]
    if not {"v1", "v1beta1"} & set(versions):
        errors.append(field.invalid(path, list(versions), "must include at least one of v1, v1beta1"))
    return errors


# --- warnings ----------------------------------------------------------------------------------


def warnings(crd: Object) -> list[str]:
    """Formats that nobody knows."""
    texts: dict[str, None] = {}
    for version in crd["spec"].get("versions") or ():
        for schema in all_schemas((version.get("schema") or {}).get("openAPIV3Schema") or {}):
            texts.update(dict.fromkeys(_odd(schema)))
    return list(texts)


_NUMERIC_FORMATS = ("int32", "int64", "float", "double", "password")


def _odd(schema: Mapping[str, Any]) -> Iterable[str]:
    form = schema.get("format") or ""
    if form and form not in formats.CHECKS and form not in _NUMERIC_FORMATS:
        yield f'unrecognized format "{form}"'
