"""What claims, classes and slices say of devices (upstream: pkg/apis/resource/validation; CEL expressions are not compiled here)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, dns_label, dns_subdomain, qualified_name

Item = Mapping[str, Any]

MAX_SELECTORS, MAX_REQUESTS, MAX_CONSTRAINTS, MAX_CONFIGS, MAX_ALTERNATIVES = 32, 32, 32, 32, 8
MAX_EXPRESSION, MAX_PARAMETERS = 10 * 1024, 10 * 1024
ALL, EXACT_COUNT = "All", "ExactCount"
EFFECTS, OPERATORS = ("NoExecute", "NoSchedule", "None"), ("Equal", "Exists")
ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"


def default_request(request: dict[str, Any]) -> None:
    """One device, where the request does not say otherwise."""
    for part in (request.get("exactly"), *(request.get("firstAvailable") or ())):
        if part is None:
            continue
        part["allocationMode"] = part.get("allocationMode") or EXACT_COUNT
        if part["allocationMode"] == EXACT_COUNT and not part.get("count"):
            part["count"] = 1
        for toleration in part.get("tolerations") or ():
            toleration["operator"] = toleration.get("operator") or "Equal"


def items(path: Path, values: Sequence[Item], limit: int, check: Callable[[Path, Item], Errors]) -> Errors:
    """Each of a list that is not too long."""
    errors = [field.too_many(path, len(values), limit)] if len(values) > limit else []
    for index, value in enumerate(values[:limit]):
        errors += check(path / index, value)
    return errors


def claim(path: Path, devices: Item) -> Errors:
    """A DeviceClaim."""
    requests = devices.get("requests") or ()
    errors = items(path / "requests", requests, MAX_REQUESTS, _request)
    names = [request.get("name") or "" for request in requests]
    errors += [field.duplicate(path / "requests" / i / "name", n) for i, n in field.repeats(names)]
    declared = request_names(requests)

    def constraint(at: Path, item: Item) -> Errors:
        errors = _references(at / "requests", item.get("requests") or (), declared)
        given = [name for name in ("matchAttribute", "distinctAttribute") if item.get(name) is not None]
        if not given:
            return [*errors, field.required(at / "matchAttribute")]
        return errors + [e for name in given for e in _full_name(at / name, item[name])]

    def config(at: Path, item: Item) -> Errors:
        return _references(at / "requests", item.get("requests") or (), declared) + configuration(at, item)

    errors += items(path / "constraints", devices.get("constraints") or (), MAX_CONSTRAINTS, constraint)
    return errors + items(path / "config", devices.get("config") or (), MAX_CONFIGS, config)


def request_names(requests: Sequence[Item]) -> set[str]:
    """Of requests, and of their alternatives: `main/sub`."""
    names = set()
    for request in requests:
        name = request.get("name") or ""
        names |= {name, *(f"{name}/{sub.get('name') or ''}" for sub in request.get("firstAvailable") or ())}
    return names


def _references(path: Path, names: Sequence[str], declared: Collection[str]) -> Errors:
    why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    errors = [field.invalid(path / i, name, why) for i, name in enumerate(names) if name not in declared]
    return errors + [field.duplicate(path / i, name) for i, name in field.repeats(names)]


def _full_name(path: Path, name: str) -> Errors:
    if not name:
        return [field.required(path, "name required")]
    if "/" not in name:
        return [field.invalid(path, name, "must include a domain")]
    return qualified_name(path, name)


def _request(path: Path, request: Item) -> Errors:
    errors = dns_label(path / "name", request.get("name") or "")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable") or ()
    if exactly is None and not alternatives:
        return [*errors, field.required(path, ONE_KIND)]
    if exactly is not None and alternatives:
        return [*errors, field.invalid(path, None, f"{ONE_KIND}, but multiple fields are set")]
    if exactly is not None:
        return errors + _exact(path / "exactly", exactly)

    def alternative(at: Path, item: Item) -> Errors:
        return dns_label(at / "name", item.get("name") or "") + _exact(at, item)

    return errors + items(path / "firstAvailable", alternatives, MAX_ALTERNATIVES, alternative)


def _exact(path: Path, request: Item) -> Errors:
    name, at = request.get("deviceClassName") or "", path / "deviceClassName"
    errors = dns_subdomain(at, name) if name else [field.required(at)]
    errors += selectors(path / "selectors", request.get("selectors") or ())
    mode, count = request.get("allocationMode") or "", request.get("count") or 0
    if mode == ALL and count:
        why = f"must not be specified when allocationMode is '{ALL}'"
        errors.append(field.invalid(path / "count", count, why))
    elif mode == EXACT_COUNT and count <= 0:
        errors.append(field.invalid(path / "count", count, "must be greater than zero"))
    elif mode not in (ALL, EXACT_COUNT):
        errors.append(field.not_supported(path / "allocationMode", mode, (ALL, EXACT_COUNT)))
    for index, toleration in enumerate(request.get("tolerations") or ()):
        errors += _toleration(path / "tolerations" / index, toleration)
    return errors


def _toleration(path: Path, toleration: Item) -> Errors:
    errors: Errors = []
    operator, key = toleration.get("operator") or "", toleration.get("key") or ""
    if key:
        errors += qualified_name(path / "key", key)
    if operator == "Exists" and toleration.get("value"):
        why = "must be empty for operator `Exists`"
        errors.append(field.invalid(path / "value", toleration["value"], why))
    elif operator == "Equal" and not key:
        errors.append(field.required(path / "key", "must be set for operator `Equal`"))
    elif operator not in OPERATORS:
        errors.append(field.not_supported(path / "operator", operator, OPERATORS))
    effect = toleration.get("effect")
    if effect and effect not in EFFECTS:
        errors.append(field.not_supported(path / "effect", effect, EFFECTS))
    return errors


def selectors(path: Path, values: Sequence[Item]) -> Errors:
    """CEL selectors: that there is an expression of bearable length."""

    def check(at: Path, item: Item) -> Errors:
        cel = item.get("cel")
        if cel is None:
            return [field.required(at / "cel")]
        text = cel.get("expression") or ""
        if not text:
            return [field.required(at / "cel" / "expression")]
        long = len(text.encode()) > MAX_EXPRESSION
        return [field.too_long(at / "cel" / "expression", MAX_EXPRESSION)] if long else []

    return items(path, values, MAX_SELECTORS, check)


def configuration(path: Path, item: Item) -> Errors:
    """A DeviceConfiguration: parameters of one driver."""
    opaque = item.get("opaque")
    if opaque is None:
        return [field.required(path / "opaque")]
    errors = driver(path / "opaque" / "driver", opaque.get("driver") or "")
    at = path / "opaque" / "parameters"
    parameters = opaque.get("parameters")
    if parameters is None:
        errors.append(field.required(at))
    elif not isinstance(parameters, dict):
        errors.append(field.invalid(at, "<value omitted>", "parameters must be a valid JSON object"))
    return errors


def driver(path: Path, name: str) -> Errors:
    """Of a driver: as of CSI drivers."""
    if not name:
        return [field.required(path)]
    errors = [field.too_long(path, 63)] if len(name) > 63 else []
    return errors + dns_subdomain(path, name.lower())


def pool(path: Path, name: str) -> Errors:
    """Subdomains with slashes between."""
    if not name:
        return [field.required(path)]
    return [error for part in name.split("/") for error in dns_subdomain(path, part)]


def taint(path: Path, item: Item) -> Errors:
    """A DeviceTaint."""
    errors = qualified_name(path / "key", item.get("key") or "")
    effect = item.get("effect") or ""
    if not effect:
        errors.append(field.required(path / "effect"))
    elif effect not in EFFECTS:
        errors.append(field.not_supported(path / "effect", effect, EFFECTS))
    return errors
