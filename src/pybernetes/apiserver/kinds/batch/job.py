"""Job of batch/v1 (upstream: pkg/apis/batch/v1/defaults.go, batch validation, pkg/registry/batch/job)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.labels import SelectorError, selector_from_dict
from pybernetes.api.names import dns1123_label_errors
from pybernetes.api.times import parse_time
from pybernetes.api.wellknown import (
    CONTROLLER_UID_LABEL,
    JOB_NAME_LABEL,
    LEGACY_CONTROLLER_UID_LABEL,
    LEGACY_JOB_NAME_LABEL,
)

from ...resource import Column, Errors, Object, Resource
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..printing import AGE, NAME, container_cells, format_selector, human_duration, object_age
from ..strategy import keep_spec, keep_status
from ..validation import MAX_INT32, immutable, label_selector, same
from ..workload import MISMATCH, TEMPLATE_COLUMNS
from .jobspec import job_spec
from .jobstatus import validate_status

SPEC = Path("spec")


def default(job: Object) -> None:
    """SetDefaults_Job."""
    spec = job.setdefault("spec", {})
    template = spec.setdefault("template", {})
    default_template(template)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else MAX_INT32
    meta = job.setdefault("metadata", {})
    if labels := (template.get("metadata") or {}).get("labels"):
        meta["labels"] = meta.get("labels") or dict(labels)
    spec["completionMode"] = spec.get("completionMode") or "NonIndexed"
    for name in ("suspend", "manualSelector"):
        if spec.get(name) is None:
            spec[name] = False
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    if not spec.get("podReplacementPolicy"):
        spec["podReplacementPolicy"] = "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"


def prepare_create(job: Object) -> None:
    """Its pods are found by its uid, which the metadata must have by now."""
    job["status"] = {}
    spec, meta = job["spec"], job.setdefault("metadata", {})
    if spec.get("manualSelector"):
        return
    template_meta = spec["template"].setdefault("metadata", {})
    before = template_meta.get("labels") or {}
    name, uid = meta.get("name") or "", meta.get("uid") or ""
    own = {
        LEGACY_JOB_NAME_LABEL: name,
        JOB_NAME_LABEL: name,
        LEGACY_CONTROLLER_UID_LABEL: uid,
        CONTROLLER_UID_LABEL: uid,
    }
    template_meta["labels"] = {**before, **{key: value for key, value in own.items() if key not in before}}
    if not meta.get("labels") or meta["labels"] == before:
        meta["labels"] = dict(template_meta["labels"])
    selector = spec.get("selector") or {}
    match = selector.get("matchLabels") or {}
    spec["selector"] = {
        **selector,
        "matchLabels": {**match, CONTROLLER_UID_LABEL: match.get(CONTROLLER_UID_LABEL, uid)},
    }


def validate(job: Object) -> Errors:
    """On creation."""
    return _valid(job, prefixed=True)


def _valid(job: Object, prefixed: bool) -> Errors:
    meta, spec = job.get("metadata") or {}, job.get("spec") or {}
    errors = _generated(meta, spec, prefixed) + _spec(spec)
    completions, name = spec.get("completions") or 0, meta.get("name") or ""
    if spec.get("completionMode") == "Indexed" and completions > 0:
        last = f"{name}-{completions - 1}"
        if dns1123_label_errors(last):
            why = f"will not able to create pod with invalid DNS label: {last}"
            errors.append(field.invalid(Path("metadata.name"), name, why))
    return errors


def _generated(meta: Object, spec: Object, prefixed: bool) -> Errors:
    """A selector made here, and the labels that go with it, are as they were made; older servers made none that are `prefixed`."""
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return []
    name, uid = meta.get("name") or "", meta.get("uid") or ""
    errors = [] if uid else [field.required(Path("metadata.uid"))]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = {
        LEGACY_CONTROLLER_UID_LABEL: uid,
        LEGACY_JOB_NAME_LABEL: name,
        **({CONTROLLER_UID_LABEL: uid, JOB_NAME_LABEL: name} if prefixed else {}),
    }
    for key, value in expected.items():
        at = (SPEC / "template" / "metadata" / "labels").key(key)
        if key not in labels:
            errors.append(field.required(at, f"must be '{value}'"))
        elif labels[key] != value:
            errors.append(field.invalid(at, labels, f"must be '{value}'"))
    try:
        if not selector_from_dict(selector).matches(expected):
            errors.append(field.invalid(SPEC / "selector", selector, "`selector` not auto-generated"))
    except SelectorError:
        return errors  # said by the check of the selector itself
    return errors


def _spec(spec: Object) -> Errors:
    errors = job_spec(SPEC, spec)
    selector = spec.get("selector")
    errors += [field.required(SPEC / "selector")] if selector is None else label_selector(SPEC / "selector", selector)
    try:
        parsed = selector_from_dict(selector)
    except SelectorError:
        return errors
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not parsed.matches(labels):
        errors.append(field.invalid(SPEC / "template" / "metadata" / "labels", labels, MISMATCH))
    return errors


_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def validate_update(new: Object, old: Object) -> Errors:
    """How it runs is fixed; where its pods may run can change until they do."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    labels = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
    errors = _valid(new, prefixed=JOB_NAME_LABEL in labels and CONTROLLER_UID_LABEL in labels)
    errors += _spec(spec)  # once more, as upstream does: its causes come twice
    errors += _completions(spec, before)
    errors += immutable(SPEC / "selector", spec.get("selector"), before.get("selector"))
    waiting = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    errors += _template(spec.get("template") or {}, before.get("template") or {}, bool(waiting))
    for name in _FIXED:
        errors += immutable(SPEC / name, spec.get(name), before.get(name))
    return errors


def _completions(spec: Object, before: Object) -> Errors:
    count, at = spec.get("completions"), SPEC / "completions"
    if spec.get("completionMode") != "Indexed":
        return immutable(at, count, before.get("completions"))
    if count is None or count == before.get("completions") or count == spec.get("parallelism"):
        return []
    return [field.invalid(at, count, "can only be modified in tandem with spec.parallelism")]


_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def _template(new: Object, old: Object, waiting: bool) -> Errors:
    if waiting and not same(new, old):
        old = json_copy(old)
        spec, was = new.get("spec") or {}, old.setdefault("spec", {})
        for name in _DIRECTIVES:
            was[name] = spec.get(name)
        if spec.get("affinity") is not None or was.get("affinity") is not None:
            node = (spec.get("affinity") or {}).get("nodeAffinity")
            was["affinity"] = {**(was.get("affinity") or {}), "nodeAffinity": node}
        meta = old.setdefault("metadata", {})
        for name in ("labels", "annotations"):
            meta[name] = (new.get("metadata") or {}).get(name)
    return immutable(SPEC / "template", new, old)


def selectable(job: Object) -> Mapping[str, str]:
    """How many pods succeeded."""
    return {"status.successful": str((job.get("status") or {}).get("succeeded") or 0)}


# The words in the order in which they win; Terminating goes between Failed and Suspended.
_WORDS = (("Complete", "Complete"), ("Failed", "Failed"), ("", "Terminating"), ("Suspended", "Suspended"))


def _word(job: Object) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    true = {c.get("type") for c in conditions if c.get("status") == "True"}
    for name, word in (*_WORDS, ("FailureTarget", "FailureTarget")):
        if name in true or (not name and job["metadata"].get("deletionTimestamp")):
            return word
    return "Running"


def row(job: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = job.get("spec") or {}, job.get("status") or {}
    succeeded, parallel = status.get("succeeded") or 0, spec.get("parallelism") or 0
    completions = f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    duration = ""
    if start := status.get("startTime"):
        end = parse_time(status["completionTime"]) if status.get("completionTime") else now
        duration = human_duration((end - parse_time(start)).total_seconds())
    names, images = container_cells((spec.get("template") or {}).get("spec") or {})
    return [
        job["metadata"]["name"],
        _word(job),
        completions,
        duration,
        object_age(job, now),
        names,
        images,
        format_selector(spec.get("selector")),
    ]


RESOURCE = Resource(
    group="batch",
    version="v1",
    name="jobs",
    kind="Job",
    schema="io.k8s.api.batch.v1.Job",
    categories=("all",),
    status=True,
    default_propagation="orphan",  # as ever for this group; clients ask for the background themselves
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template"),
    validate_status=validate_status,
    selectable=selectable,
    selectable_fields=("status.successful",),
    unselectable='field label "{}" not supported for batchv1.Job',
    columns=(
        NAME,
        Column("Status", description="Status of the job."),
        Column("Completions"),
        Column("Duration", description="Time required to complete the job."),
        AGE,
        *TEMPLATE_COLUMNS,
    ),
    row=row,
)
