"""Metrics and scaling rules of autoscalers (upstream: pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..core.resources import container_resource_name
from ..meta import path_segment_errors
from ..validation import Errors, dns_label, each, quantity

Object = Mapping[str, Any]

# Type of a metric -> the field that describes it.
SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
MAX_WINDOW_SECONDS, MAX_PERIOD_SECONDS = 3600, 1800


def reference(path: Path, target: Object, *, any_version: bool = False, group_needed: bool = False) -> Errors:
    """A CrossVersionObjectReference. `any_version`: its apiVersion was there before it was checked."""
    errors: Errors = []
    for name in ("kind", "name"):
        value = target.get(name) or ""
        errors += each(path / name, value, path_segment_errors(value)) if value else [field.required(path / name)]
    version = target.get("apiVersion") or ""
    if not any_version and (why := api_version_error(version, group_needed=group_needed)):
        errors.append(field.invalid(path / "apiVersion", version, why))
    return errors


def api_version_error(version: str, *, group_needed: bool = False) -> str:
    """Why it is no group and version; "" when it is one."""
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    group, slash, _ = version.partition("/")
    return "apiVersion must specify API group" if group_needed and not (slash and group) else ""


def metrics(path: Path, specs: Sequence[Object], least: int | None, *, any_version: bool = False) -> Errors:
    """All metrics; zero replicas need one that is there without pods."""
    errors = [error for index, spec in enumerate(specs) for error in _metric(path / index, spec, any_version)]
    if least == 0 and not any(spec.get("type") in ("Object", "External") for spec in specs):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(field.forbidden(path, why))
    return errors


def _metric(path: Path, spec: Object, any_version: bool) -> Errors:
    kind = spec.get("type") or ""
    errors: Errors = []
    if not kind:
        errors.append(field.required(path / "type", "must specify a metric source type"))
    if kind not in SOURCES:
        errors.append(field.not_supported(path / "type", kind, tuple(SOURCES)))
    present = [name for name in ("object", "external", "pods", "resource", "containerResource") if name in spec]
    if present[:1] == ["object"]:
        errors += _object(path / "object", spec["object"], any_version)
    elif present:
        errors += _CHECKS[present[0]](path / present[0], spec[present[0]])
    source = SOURCES.get(kind, "")
    if source and source not in present:
        errors.append(field.required(path / source, "must populate information for the given metric source"))
    if not source:
        errors.append(field.not_supported(path / "type", kind, tuple(SOURCES)))  # once more, as upstream
    if len(present) != 1:
        why = "must populate the given metric source only"
        errors += [field.forbidden(path / name, why) for name in present if name != source]
    return errors


def _identifier(path: Path, metric: Object) -> Errors:
    name, at = metric.get("name") or "", path / "name"
    return each(at, name, path_segment_errors(name)) if name else [field.required(at, "must specify a metric name")]


def _positive(text: Any) -> bool:
    return quantity(str(text)).sign() > 0


def _target(path: Path, target: Object) -> Errors:
    errors: Errors = []
    kind, value, average = target.get("type") or "", target.get("value"), target.get("averageValue")
    if not kind:
        errors.append(field.required(path / "type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.append(field.invalid(path / "type", kind, "must be either Utilization, Value, or AverageValue"))
    for name, number in (("value", value), ("averageValue", average)):
        if number is not None and not _positive(number):
            errors.append(field.invalid(path / name, number, "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        errors.append(field.invalid(path / "averageUtilization", percent, "must be greater than 0"))
    return errors


def _object(path: Path, source: Object, any_version: bool) -> Errors:
    target = source.get("target") or {}
    errors = reference(path / "describedObject", source.get("describedObject") or {}, any_version=any_version)
    errors += _identifier(path / "metric", source.get("metric") or {}) + _target(path / "target", target)
    if target.get("value") is None and target.get("averageValue") is None:
        why = "must set either a target value or averageValue"
        errors.append(field.required(path / "target" / "averageValue", why))
    return errors


def _external(path: Path, source: Object) -> Errors:
    target, at = source.get("target") or {}, path / "target"
    errors = _identifier(path / "metric", source.get("metric") or {}) + _target(at, target)
    given = [target.get(name) is not None for name in ("value", "averageValue")]
    if not any(given):
        errors.append(
            field.required(at / "averageValue", "must set either a target value for metric or a per-pod target")
        )
    if all(given):
        errors.append(field.forbidden(at / "value", "may not set both a target value for metric and a per-pod target"))
    return errors


def _pods(path: Path, source: Object) -> Errors:
    target = source.get("target") or {}
    errors = _identifier(path / "metric", source.get("metric") or {}) + _target(path / "target", target)
    if target.get("averageValue") is None:
        errors.append(field.required(path / "target" / "averageValue", "must specify a positive target averageValue"))
    return errors


def _resource(path: Path, source: Object) -> Errors:
    target, at = source.get("target") or {}, path / "target"
    errors = [] if source.get("name") else [field.required(path / "name", "must specify a resource name")]
    return errors + _resource_target(at, target)


def _resource_target(at: Path, target: Object) -> Errors:
    errors = _target(at, target)
    given = [target.get(name) is not None for name in ("averageUtilization", "averageValue")]
    if not any(given):
        why = "must set either a target raw value or a target utilization"
        errors.append(field.required(at / "averageUtilization", why))
    if all(given):
        why = "may not set both a target raw value and a target utilization"
        errors.append(field.forbidden(at / "averageValue", why))
    return errors


def _container_resource(path: Path, source: Object) -> Errors:
    name, container = source.get("name") or "", source.get("container") or ""
    errors = (
        container_resource_name(path / "name", name)
        if name
        else [field.required(path / "name", "must specify a resource name")]
    )
    at = path / "container"
    errors += dns_label(at, container) if container else [field.required(at, "must specify a container")]
    return errors + _resource_target(path / "target", source.get("target") or {})


_CHECKS = {
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}


# --- behavior -----------------------------------------------------------------------------------


def behavior(path: Path, rules: Object | None) -> Errors:
    """How fast it goes up and down."""
    both = (("scaleUp", (rules or {}).get("scaleUp")), ("scaleDown", (rules or {}).get("scaleDown")))
    return [error for name, one in both if one is not None for error in _scaling(path / name, one)]


def _scaling(path: Path, rules: Object) -> Errors:
    errors: Errors = []
    window, at = rules.get("stabilizationWindowSeconds"), path / "stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(field.invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > MAX_WINDOW_SECONDS:
        errors.append(field.invalid(at, window, f"must be less than or equal to {MAX_WINDOW_SECONDS}"))
    choices = ("Disabled", "Max", "Min")
    if rules.get("selectPolicy") not in (None, *choices):
        errors.append(field.not_supported(path / "selectPolicy", rules["selectPolicy"], choices))
    policies = rules.get("policies") or ()
    if not policies:
        errors.append(field.required(path / "policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        errors += _policy(path / "policies" / index, policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity(str(tolerance)).sign() < 0:
        errors.append(field.invalid(path / "tolerance", tolerance, "must be greater than or equal to 0"))
    return errors


def _policy(path: Path, policy: Object) -> Errors:
    errors: Errors = []
    if policy.get("type") not in ("Percent", "Pods"):
        errors.append(field.not_supported(path / "type", policy.get("type") or "", ("Percent", "Pods")))
    value, period = policy.get("value") or 0, policy.get("periodSeconds") or 0
    if value <= 0:
        errors.append(field.invalid(path / "value", value, "must be greater than zero"))
    if period <= 0:
        errors.append(field.invalid(path / "periodSeconds", period, "must be greater than zero"))
    if period > MAX_PERIOD_SECONDS:
        why = f"must be less than or equal to {MAX_PERIOD_SECONDS}"
        errors.append(field.invalid(path / "periodSeconds", period, why))
    return errors
