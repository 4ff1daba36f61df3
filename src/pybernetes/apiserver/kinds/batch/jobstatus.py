"""What the status of a job may become (upstream: pkg/apis/batch/validation, validateJobStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, not_negative_fields
from .jobspec import count_indexes, intervals, without_value

Object = Mapping[str, Any]

STATUS = Path("status")
CONDITIONS = STATUS / "conditions"
_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")


def _true(job: Object) -> set[str]:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return {c.get("type") or "" for c in conditions if c.get("status") == "True"}


def _changed(new: Object, old: Object, *names: str) -> bool:
    after, before = new.get("status") or {}, old.get("status") or {}
    return any((after.get(name) or None) != (before.get(name) or None) for name in names)


def validate_older_status(new: Object, old: Object) -> Errors:
    """What was asked of it until controllers could be others' (JobManagedBy, 1.32): their predecessors end a job with no condition
    before the last one, and write over each other's status from caches that are behind."""
    status = new.get("status") or {}
    return not_negative_fields(STATUS, status, _COUNTS) + _uncounted(status.get("uncountedTerminatedPods") or {})


def validate_status(new: Object, old: Object) -> Errors:
    """PUT or PATCH of .../status."""
    errors = validate_older_status(new, old)
    errors += _conditions(new, old)
    errors += _times(new, old)
    errors += _finished(new, old)
    errors += _indexes(new, old)
    return errors + _never_back(new, old)


def _uncounted(pods: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(name) or ()):
            at = STATUS / "uncountedTerminatedPods" / name / index
            if not uid:
                errors.append(field.invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errors.append(field.duplicate(at, uid))
            seen.add(uid)
    return errors


# Two conditions that exclude each other.
_EXCLUSIVE = (
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    ("SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
)
# A condition that another one must come before.
_BEFORE = (
    ("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
    (
        "Complete",
        "SuccessCriteriaMet",
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ),
)


def _conditions(new: Object, old: Object) -> Errors:
    true, before = _true(new), _true(old)
    if true == before:
        return []
    errors = [without_value(CONDITIONS, why) for one, other, why in _EXCLUSIVE if one in true and other in true]
    errors += [without_value(CONDITIONS, why) for one, needs, why in _BEFORE if one in true and needs not in true]
    if "SuccessCriteriaMet" in true and "Complete" in before and "SuccessCriteriaMet" not in before:
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(without_value(CONDITIONS, why))
    return errors


def _times(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    done, start = status.get("completionTime"), status.get("startTime")
    complete = "Complete" in _true(new)
    errors: Errors = []
    at = STATUS / "completionTime"
    if _changed(new, old, "completionTime") or complete != ("Complete" in _true(old)):
        if done and not complete:
            why = "cannot set completionTime when there is no Complete=True condition"
            errors.append(field.invalid(at, done, why))
        if complete and not done:
            errors.append(field.required(at, "completionTime is required for Complete jobs"))
    if _changed(new, old, "completionTime", "startTime") and start and done and done < start:
        errors.append(field.invalid(at, done, "completionTime cannot be set before startTime"))
    if done and before.get("completionTime") and done != before["completionTime"]:
        errors.append(field.invalid(at, done, "completionTime cannot be mutated"))
    suspended = (new.get("spec") or {}).get("suspend")
    if before.get("startTime") and start != before["startTime"] and not suspended:
        why = "startTime cannot be removed for unsuspended job"
        errors.append(field.required(STATUS / "startTime", why))
    return errors


def _finished(new: Object, old: Object) -> Errors:
    status, spec = new.get("status") or {}, new.get("spec") or {}
    done = bool({"Complete", "Failed"} & _true(new))
    turned = done != bool({"Complete", "Failed"} & _true(old))
    active, ready, ending = (status.get(name) or 0 for name in ("active", "ready", "terminating"))
    errors: Errors = []
    if done and active and (turned or _changed(new, old, "active")):
        errors.append(field.invalid(STATUS / "active", active, "active>0 is invalid for finished job"))
    never_started = spec.get("suspend") and spec.get("completions") == 0
    if done and not status.get("startTime") and (turned or _changed(new, old, "startTime")) and not never_started:
        errors.append(field.required(STATUS / "startTime", "startTime is required for finished job"))
    pods = status.get("uncountedTerminatedPods") or {}
    left = pods.get("failed") or pods.get("succeeded")
    if done and left and (turned or _changed(new, old, "uncountedTerminatedPods")):
        why = "uncountedTerminatedPods needs to be empty for finished job"
        errors.append(field.invalid(STATUS / "uncountedTerminatedPods", pods, why))
    if done and ending and (turned or _changed(new, old, "terminating")):
        errors.append(field.invalid(STATUS / "terminating", ending, "terminating>0 is invalid for finished job"))
    if ready > active and _changed(new, old, "ready", "active"):
        errors.append(field.invalid(STATUS / "ready", ready, "cannot set more ready pods than active"))
    return errors


def _indexes(new: Object, old: Object) -> Errors:
    spec, status = new.get("spec") or {}, new.get("status") or {}
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completions, indexed = spec.get("completions"), spec.get("completionMode") == "Indexed"
    per_index = spec.get("backoffLimitPerIndex") is not None
    errors: Errors = []
    if _changed(new, old, "completedIndexes"):
        at = STATUS / "completedIndexes"
        errors += _format(at, "completedIndexes", completed, completions)
        if completed and not indexed:
            why = "cannot set non-empty completedIndexes when non-indexed completion mode"
            errors.append(field.invalid(at, completed, why))
    if _changed(new, old, "failedIndexes") and failed is not None:
        at = STATUS / "failedIndexes"
        errors += _format(at, "failedIndexes", failed, completions if per_index else None)
        if not per_index:
            why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            errors.append(field.invalid(at, failed, why))
    if (
        not errors
        and completions is not None
        and completed
        and failed
        and _changed(new, old, "completedIndexes", "failedIndexes")
    ):
        errors += _overlap(completed, failed, completions)
    return errors


def _format(path: Path, name: str, text: str, completions: int | None) -> Errors:
    if completions is None:
        return []
    try:
        count_indexes(text, completions)
    except ValueError as error:
        return [field.invalid(path, text, f"error parsing {name}: {error}")]
    return []


def _overlap(completed: str, failed: str, completions: int) -> Errors:
    """One pass over both: a status may be megabytes of intervals."""
    done, lost = intervals(completed, completions), intervals(failed, completions)
    i = j = 0
    while i < len(done) and j < len(lost):
        if max(done[i][0], lost[j][0]) <= min(done[i][1], lost[j][1]):
            why = f"failedIndexes and completedIndexes overlap at index: {max(done[i][0], lost[j][0])}"
            return [field.invalid(STATUS / "failedIndexes", failed, why)]
        if done[i][1] < lost[j][1]:
            i += 1
        else:
            j += 1
    return []


def _never_back(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    true, was = _true(new), _true(old)
    errors: Errors = []
    for name in ("Failed", "Complete", "FailureTarget"):
        if name in was and name not in true:
            errors.append(without_value(CONDITIONS, f"cannot disable the terminal {name}=True condition"))
    for name in ("failed", "succeeded"):
        elastic = name == "succeeded" and (new.get("spec") or {}).get("completionMode") == "Indexed"
        count = status.get(name) or 0
        if count < (before.get(name) or 0) and not elastic:
            errors.append(field.invalid(STATUS / name, count, f"cannot decrease the {name} counter"))
    if "SuccessCriteriaMet" in was and "SuccessCriteriaMet" not in true:
        errors.append(without_value(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    return errors
