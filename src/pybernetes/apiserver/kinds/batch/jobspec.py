"""The spec of jobs, which cron jobs have, too (upstream: pkg/apis/batch/validation)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_subdomain_errors

from ..core.podspec import pod_template
from ..validation import Errors, each, not_negative, qualified_name, regex_error

Object = Mapping[str, Any]

MAX_INDEXED = 100_000  # so that the list of completed indexes stays short
MAX_INDEXED_PARALLEL = 10_000  # with more completions than that
RULES, EXIT_CODES, PATTERNS = 20, 255, 20
MANAGED_BY_LENGTH, INDEXES_LENGTH = 63, 64 * 1024
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
STATUSES = ("False", "True", "Unknown")
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def without_value(path: Path, detail: str) -> FieldError:
    """An error that shows no value (field.OmitValueType)."""
    return FieldError("FieldValueInvalid", path.text, f"Invalid value: {detail}")


def job_spec(path: Path, spec: Object) -> Errors:
    """All but the selector."""
    errors: Errors = []
    for name in _COUNTS:
        errors += not_negative(path / name, spec.get(name))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(field.required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if (manager := spec.get("managedBy")) is not None:
        errors += _prefixed_path(path / "managedBy", manager)
        if len(manager.encode()) > MANAGED_BY_LENGTH:
            errors.append(field.too_long(path / "managedBy", MANAGED_BY_LENGTH))
    errors += _completion(path, spec)
    template = spec.get("template") or {}
    if (policy := spec.get("podFailurePolicy")) is not None:
        errors += _failure_policy(path / "podFailurePolicy" / "rules", policy, spec)
    if (policy := spec.get("successPolicy")) is not None:
        at = path / "successPolicy"
        if spec.get("completionMode") != "Indexed":
            errors.append(field.invalid(at, policy, "requires indexed completion mode"))
        else:
            errors += _success_policy(at / "rules", policy, spec.get("completions") or 0)
    if (replaced := spec.get("podReplacementPolicy")) is not None:
        valid = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
        if replaced not in valid:
            errors.append(field.not_supported(path / "podReplacementPolicy", replaced, valid))
    errors += pod_template(path / "template", template)
    return errors + _restart_policy(path / "template" / "spec" / "restartPolicy", spec, template)


def _restart_policy(path: Path, spec: Object, template: Object) -> Errors:
    policy = (template.get("spec") or {}).get("restartPolicy") or ""
    if policy in ("", "Always"):
        return [field.required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [field.not_supported(path, policy, ("OnFailure", "Never"))]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [field.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def _prefixed_path(path: Path, value: str) -> Errors:
    if not value:
        return [field.required(path)]
    host, _, rest = value.partition("/")
    if not host or not rest:
        return [field.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = each(path, host, dns1123_subdomain_errors(host))
    if not _HTTP_PATH.fullmatch(rest):
        errors.append(field.invalid(path, rest, regex_error("Invalid path", _HTTP_PATH.pattern)))
    return errors


# --- completion ---------------------------------------------------------------------------------


def _completion(path: Path, spec: Object) -> Errors:
    mode, per_index, failed = spec.get("completionMode"), spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    errors: Errors = []
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        errors.append(field.not_supported(path / "completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        errors += _indexed(path, spec)
    if mode in (None, "NonIndexed"):
        for name, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", failed)):
            if value is not None:
                errors.append(field.invalid(path / name, value, "requires indexed completion mode"))
    return errors


def _indexed(path: Path, spec: Object) -> Errors:
    errors: Errors = []
    completions, parallel, failed = spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes")
    if completions is None:
        errors.append(field.required(path / "completions", "when completion mode is Indexed"))
    if parallel is not None and parallel > MAX_INDEXED:
        why = f"must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"
        errors.append(field.invalid(path / "parallelism", parallel, why))
    if failed is not None and completions is not None and failed > completions:
        errors.append(field.invalid(path / "maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > MAX_INDEXED:
        errors.append(field.invalid(path / "maxFailedIndexes", failed, f"must be less than or equal to {MAX_INDEXED}"))
    if (completions or 0) <= MAX_INDEXED or spec.get("backoffLimitPerIndex") is None:
        return errors
    if failed is None:
        why = f"must be specified when completions is above {MAX_INDEXED}"
        errors.append(field.required(path / "maxFailedIndexes", why))
    why = (
        f"must be less than or equal to {MAX_INDEXED_PARALLEL} when completions are above {MAX_INDEXED} "
        "and used with backoff limit per index"
    )
    for name, value in (("parallelism", parallel), ("maxFailedIndexes", failed)):
        if value is not None and value > MAX_INDEXED_PARALLEL:
            errors.append(field.invalid(path / name, value, why))
    return errors


# --- policies -----------------------------------------------------------------------------------


def _listed(values: Sequence[str]) -> str:
    return f"valid values: [{' '.join(field.quote(value) for value in values)}]"


def _named(path: Path, value: str, valid: Sequence[str]) -> Errors:
    if value in valid:
        return []
    return [field.not_supported(path, value, valid)] if value else [field.required(path, _listed(valid))]


def _failure_policy(path: Path, policy: Object, spec: Object) -> Errors:
    rules = policy.get("rules") or ()
    errors = [field.too_many(path, len(rules), RULES)] if len(rules) > RULES else []
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for c in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ()))}
    for index, rule in enumerate(rules):
        at, action = path / index, rule.get("action") or ""
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            errors.append(field.invalid(at / "action", action, "requires the backoffLimitPerIndex to be set"))
        errors += _named(at / "action", action, ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            errors += _exit_codes(at / "onExitCodes", codes, names)
        if len(conditions) > PATTERNS:
            errors.append(field.too_many(at / "onPodConditions", len(conditions), PATTERNS))
        for number, pattern in enumerate(conditions):
            place = at / "onPodConditions" / number
            errors += qualified_name(place / "type", pattern.get("type") or "")
            errors += _named(place / "status", pattern.get("status") or "", STATUSES)
        if codes is not None and conditions:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(without_value(at, why))
        if codes is None and not conditions:
            errors.append(without_value(at, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _exit_codes(path: Path, rule: Object, names: set[Any]) -> Errors:
    operator, values = rule.get("operator") or "", rule.get("values") or []
    errors = _named(path / "operator", operator, ("In", "NotIn"))
    container = rule.get("containerName")
    if container is not None and container not in names:
        why = "must be one of the container or initContainer names in the pod template"
        errors.append(field.invalid(path / "containerName", container, why))
    at = path / "values"
    if not values:
        errors.append(field.invalid(at, values, "at least one value is required"))
    elif len(values) > EXIT_CODES:
        errors.append(field.too_many(at, len(values), EXIT_CODES))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(field.invalid(at / index, value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(field.duplicate(at / index, value))
        seen.add(value)
    if values != sorted(values):
        errors.append(field.invalid(at, values, "must be ordered"))
    return errors


def _success_policy(path: Path, policy: Object, completions: int) -> Errors:
    rules = policy.get("rules") or ()
    errors: Errors = []
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        errors.append(field.required(path, why))
    if len(rules) > RULES:
        errors.append(field.too_many(path, len(rules), RULES))
    for index, rule in enumerate(rules):
        errors += _success_rule(path / index, rule, completions)
    return errors


def _success_rule(path: Path, rule: Object, completions: int) -> Errors:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    errors: Errors = []
    if count is None and indexes is None:
        why = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(field.required(path, why))
    total = 0
    if indexes is not None:
        at = path / "succeededIndexes"
        if len(indexes) > INDEXES_LENGTH:
            errors.append(field.too_long(at, INDEXES_LENGTH))
        try:
            total = count_indexes(indexes, completions)
        except ValueError as error:
            errors.append(field.invalid(at, indexes, f"error parsing succeededIndexes: {error}"))
    if count is not None:
        at = path / "succeededCount"
        errors += not_negative(at, count)
        if count > completions:
            why = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(field.invalid(at, count, why))
        if indexes is not None and count > total:
            why = "(the number of indexes in the specified succeededIndexes field)"
            errors.append(field.invalid(at, count, f"must be less than or equal to {total} {why}"))
    return errors


# --- lists of indexes ---------------------------------------------------------------------------


def _index(text: str, completions: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"cannot convert string to integer for index: {field.quote(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {field.quote(text)}")
    return int(text)


def intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """`1,3-5` as pairs; ValueError in upstream's words."""
    pairs: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        limits = part.split("-")
        if len(limits) > 2:
            why = "violates the requirement that an index interval can have at most two parts separated by '-'"
            raise ValueError(f"the fragment {field.quote(part)} {why}")
        low = _index(limits[0], completions)
        high = _index(limits[1], completions) if len(limits) > 1 else low
        if len(limits) > 1 and low >= high:
            raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
        if pairs and pairs[-1][1] >= low:
            raise ValueError(f"non-increasing order, previous: {pairs[-1][1]}, current: {low}")
        pairs.append((low, high))
    return pairs


def count_indexes(text: str, completions: int) -> int:
    """How many indexes there are in the list."""
    return sum(high - low + 1 for low, high in intervals(text, completions))
