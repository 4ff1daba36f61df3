"""Lease of coordination.k8s.io/v1 (upstream: pkg/apis/coordination, pkg/registry/coordination/lease)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import qualified_name

SPEC = Path("spec")
STRATEGIES = ("OldestEmulationVersion",)


def validate(lease: Object) -> Errors:
    """ValidateLeaseSpec."""
    spec = lease.get("spec") or {}
    errors: Errors = []
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.append(field.invalid(SPEC / "leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(field.invalid(SPEC / "leaseTransitions", transitions, "must be greater than or equal to 0"))
    strategy = spec.get("strategy")
    if strategy is not None and strategy not in STRATEGIES:
        if "/" in strategy:
            errors += qualified_name(SPEC / "strategy", strategy)
        else:
            errors.append(field.not_supported(SPEC / "strategy", strategy, STRATEGIES))
    if spec.get("preferredHolder") and not strategy:
        why = "may only be specified if `strategy` is defined"
        errors.append(field.forbidden(SPEC / "preferredHolder", why))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def row(lease: Object, now: datetime) -> list[Any]:
    """Name, Holder, Age."""
    holder = (lease.get("spec") or {}).get("holderIdentity") or ""
    return [lease["metadata"]["name"], holder, object_age(lease, now)]


RESOURCE = Resource(
    group="coordination.k8s.io",
    version="v1",
    name="leases",
    kind="Lease",
    schema="io.k8s.api.coordination.v1.Lease",
    generation=False,
    allow_create_on_update=True,
    allow_unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("Holder", description="Who holds the lease"), AGE),
    row=row,
)
