"""LimitRange of v1 (upstream: core validation, ValidateLimitRange)."""

from __future__ import annotations

from collections.abc import Mapping

from pybernetes.api import field
from pybernetes.api.computeresources import overcommit_allowed
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors

from ...resource import Errors, Object, Resource
from ..validation import each, quantity
from .poddefaults import rounded
from .resources import container_resource_name, resource_name

TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
MAX_MILLI_VALUE = (2**63 - 1) // 1000


def default(limits: Object) -> None:
    """A container's limits come from the maximum, its requests from the limits, or else the minimum."""
    for item in (limits.get("spec") or {}).get("limits") or ():
        for name in _LISTS:
            rounded(item.get(name))
        if item.get("type") != "Container":
            continue
        given = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **given, **(item.get("defaultRequest") or {})}
        if given:
            item["default"] = given
        if requests:
            item["defaultRequest"] = requests


def prepare_create(limits: Object) -> None:
    """Without a name it gets one: its own uid."""
    meta = limits.setdefault("metadata", {})
    if not meta.get("name") and meta.get("uid"):
        meta["name"] = meta["uid"]


def validate(limits: Object) -> Errors:
    """Each type once, and its numbers in order."""
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate((limits.get("spec") or {}).get("limits") or ()):
        at, sort = Path("spec.limits") / index, item.get("type") or ""
        errors += _type(at / "type", sort)
        if sort in seen:
            errors.append(field.duplicate(at / "type", sort))
        seen.add(sort)
        errors += _item(at, sort, item)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def _type(path: Path, sort: str) -> Errors:
    errors = each(path, sort, label_key_errors(sort))
    if not errors and "/" not in sort and sort not in TYPES:
        errors.append(field.invalid(path, sort, "must be a standard limit type or fully qualified"))
    return errors


def _item(path: Path, sort: str, item: Object) -> Errors:
    errors: Errors = []
    check = container_resource_name if sort in ("Pod", "Container") else resource_name
    used: dict[str, Mapping[str, str]] = {}
    for name in _LISTS:
        amounts = item.get(name) or {}
        if sort == "Pod" and amounts and name in ("default", "defaultRequest"):
            errors.append(field.forbidden(path / name, "may not be specified when `type` is 'Pod'"))
            continue
        if name == "maxLimitRequestRatio" and sort == "PersistentVolumeClaim":
            errors += _storage_needed(path, item)
        used[name] = amounts
        for key in amounts:
            errors += check((path / name).key(key), key)
    for key in dict.fromkeys(key for amounts in used.values() for key in amounts):
        errors += _order(path, key, {name: amounts[key] for name, amounts in used.items() if key in amounts})
    return errors


def _storage_needed(path: Path, item: Object) -> Errors:
    if "storage" in (item.get("min") or {}) or "storage" in (item.get("max") or {}):
        return []
    why = "either minimum or maximum storage value is required, but neither was provided"
    return [field.required(path / "limits", why)]


# (what is blamed, what must not be greater, than what, whose value is shown, text)
_ORDER = (
    ("min", "min", "max", "min", "min value {0} is greater than max value {1}"),
    (
        "defaultRequest",
        "min",
        "defaultRequest",
        "defaultRequest",
        "min value {0} is greater than default request value {1}",
    ),
    (
        "defaultRequest",
        "defaultRequest",
        "max",
        "defaultRequest",
        "default request value {0} is greater than max value {1}",
    ),
    (
        "defaultRequest",
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {0} is greater than default limit value {1}",
    ),
    ("default", "min", "default", "min", "min value {0} is greater than default value {1}"),
    ("default", "default", "max", "max", "default value {0} is greater than max value {1}"),
)


def _order(path: Path, key: str, given: Mapping[str, str]) -> Errors:
    errors: Errors = []
    for blamed, low, high, shown, text in _ORDER:
        if low in given and high in given and quantity(given[low]) > quantity(given[high]):
            why = text.format(given[low], given[high])
            errors.append(field.invalid((path / blamed).key(key), given[shown], why))
    if "maxLimitRequestRatio" in given:
        errors += _ratio((path / "maxLimitRequestRatio").key(key), given)
    both = "default" in given and "defaultRequest" in given
    if both and not overcommit_allowed(key) and quantity(given["default"]) != quantity(given["defaultRequest"]):
        why = f"default value {given['default']} must equal to defaultRequest value {given['defaultRequest']} in {key}"
        errors.append(field.invalid((path / "defaultRequest").key(key), given["defaultRequest"], why))
    return errors


def _ratio(path: Path, given: Mapping[str, str]) -> Errors:
    text = given["maxLimitRequestRatio"]
    ratio = quantity(text)
    errors: Errors = []
    if ratio < quantity("1"):
        errors.append(field.invalid(path, text, f"ratio {text} is less than 1"))
    if "min" not in given or "max" not in given:
        return errors
    least, most = quantity(given["min"]), quantity(given["max"])
    value, low, high = float(ratio.value()), least.value(), most.value()
    if max(ratio.value(), low, high) < MAX_MILLI_VALUE:
        value, low, high = ratio.milli_value() / 1000, least.milli_value(), most.milli_value()
    if low and value > high / low:
        errors.append(field.invalid(path, text, f"ratio {text} is greater than max/min = {high / low:f}"))
    return errors


RESOURCE = Resource(
    group="",
    version="v1",
    name="limitranges",
    kind="LimitRange",
    schema="io.k8s.api.core.v1.LimitRange",
    short_names=("limits",),
    generation=False,
    default=default,
    prepare_create=prepare_create,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
)
