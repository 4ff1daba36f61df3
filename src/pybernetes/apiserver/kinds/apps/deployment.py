"""Deployment of apps/v1 (upstream: pkg/apis/apps/v1/defaults.go, apps validation, pkg/registry/apps/deployment)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource, ScalePaths
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..core.podspec import always_restarted, pod_template
from ..printing import AGE, NAME, container_cells, format_selector, object_age
from ..strategy import keep_spec_and, keep_status
from ..validation import not_negative
from ..workload import (
    TEMPLATE_COLUMNS,
    amount,
    at_most_all,
    collision_count,
    count_or_percent,
    replica_status,
    selector_and_labels,
    selector_stays,
)

SPEC = Path("spec")
QUARTER = "25%"


def default(deployment: Object) -> None:
    """One replica, rolled over in quarters."""
    spec = deployment.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    strategy = spec.setdefault("strategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            rolling = strategy["rollingUpdate"] = {}
        for name in ("maxUnavailable", "maxSurge"):
            if rolling.get(name) is None:
                rolling[name] = QUARTER
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10
    if spec.get("progressDeadlineSeconds") is None:
        spec["progressDeadlineSeconds"] = 600


def prepare_create(deployment: Object) -> None:
    """Nothing runs yet."""
    deployment["status"] = {}


def validate(deployment: Object) -> Errors:
    """On creation."""
    spec = deployment.get("spec") or {}
    template, at = spec.get("template") or {}, SPEC / "template"
    errors = not_negative(SPEC / "replicas", spec.get("replicas"))
    problems, readable = selector_and_labels(SPEC, spec, "empty selector is invalid for deployment")
    errors += problems
    if readable:
        errors += pod_template(at, template)
        errors += always_restarted(at / "spec", template.get("spec") or {}, "ReplicaSet")
    errors += _strategy(SPEC / "strategy", spec.get("strategy") or {})
    ready = spec.get("minReadySeconds") or 0
    errors += not_negative(SPEC / "minReadySeconds", ready)
    errors += not_negative(SPEC / "revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    errors += not_negative(SPEC / "progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= ready:
        why = "must be greater than minReadySeconds"
        errors.append(field.invalid(SPEC / "progressDeadlineSeconds", deadline, why))
    return errors


def _strategy(path: Path, strategy: Object) -> Errors:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    at = path / "rollingUpdate"
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [field.forbidden(at, why)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": rolling}
        return [field.not_supported(path, shown, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [field.required(at, "this should be defaulted and never be nil")]
    gone, more = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)  # "" is given, and no number
    errors = count_or_percent(at / "maxUnavailable", gone) + count_or_percent(at / "maxSurge", more)
    if not amount(gone) and not amount(more):
        errors.append(field.invalid(at / "maxUnavailable", gone, "may not be 0 when `maxSurge` is 0"))
    return errors + at_most_all(at / "maxUnavailable", gone)


def validate_update(new: Object, old: Object) -> Errors:
    """The selector stays."""
    return validate(new) + selector_stays(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """Its counts fit together."""
    parts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return replica_status(new.get("status") or {}, parts, "readyReplicas") + collision_count(new, old)


def row(deployment: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    names, images = container_cells((spec.get("template") or {}).get("spec") or {})
    return [
        deployment["metadata"]["name"],
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        object_age(deployment, now),
        names,
        images,
        format_selector(spec.get("selector")),
    ]


RESOURCE = Resource(
    group="apps",
    version="v1",
    name="deployments",
    kind="Deployment",
    schema="io.k8s.api.apps.v1.Deployment",
    short_names=("deploy",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
    counts_annotations=True,  # they are copied to its ReplicaSets
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec_and("labels"),
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template"),
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Ready", description="Number of the pod with ready state"),
        Column("Up-to-date"),
        Column("Available"),
        AGE,
        *TEMPLATE_COLUMNS,
    ),
    row=row,
)
