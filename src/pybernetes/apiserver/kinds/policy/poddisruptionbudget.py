"""PodDisruptionBudget of policy/v1 (upstream: pkg/apis/policy, pkg/registry/policy/poddisruptionbudget)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..conditions import validate_conditions
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import go_names, label_selector, not_negative_fields
from ..workload import at_most_all, count_or_percent

SPEC, STATUS = Path("spec"), Path("status")
POLICIES = ("AlwaysAllow", "IfHealthyBudget")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def prepare_create(budget: Object) -> None:
    """Nothing may be disrupted before the controller has counted."""
    budget["status"] = dict.fromkeys(COUNTS, 0)


def validate(budget: Object) -> Errors:
    """ValidatePodDisruptionBudgetSpec."""
    spec = budget.get("spec") or {}
    errors: Errors = []
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        errors.append(field.invalid(SPEC, go_names(spec), why))
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            errors += count_or_percent(SPEC / name, value) + at_most_all(SPEC / name, value)
    errors += label_selector(SPEC / "selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy not in (None, *POLICIES):
        errors.append(field.not_supported(SPEC / "unhealthyPodEvictionPolicy", policy, POLICIES))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_status(new: Object, old: Object) -> Errors:
    """Counts and conditions."""
    status = new.get("status") or {}
    errors = validate_conditions(STATUS / "conditions", status.get("conditions") or ())
    return errors + not_negative_fields(STATUS, status, COUNTS)


def row(budget: Object, now: datetime) -> list[Any]:
    """Name, Min Available, Max Unavailable, Allowed Disruptions, Age."""
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    numbers = [spec.get(name) for name in ("minAvailable", "maxUnavailable")]
    return [
        budget["metadata"]["name"],
        *("N/A" if number is None else str(number) for number in numbers),
        status.get("disruptionsAllowed") or 0,
        object_age(budget, now),
    ]


RESOURCE = Resource(
    group="policy",
    version="v1",
    name="poddisruptionbudgets",
    kind="PodDisruptionBudget",
    schema="io.k8s.api.policy.v1.PodDisruptionBudget",
    short_names=("pdb",),
    status=True,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    allow_unconditional_update=False,
    columns=(
        NAME,
        Column("Min Available", description="The minimum number of pods that must be available."),
        Column("Max Unavailable", description="The maximum number of pods that may be unavailable."),
        Column(
            "Allowed Disruptions",
            type="integer",
            description="Calculated number of pods that may be disrupted at this time.",
        ),
        AGE,
    ),
    row=row,
)
