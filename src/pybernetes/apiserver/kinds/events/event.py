"""Event of events.k8s.io/v1: another form of v1's events, kept with them (upstream: pkg/apis/events, core validation events.go)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource
from ..core import event as core
from ..core.eventconversion import BACK, CONVERSIONS, NAMES, to_core
from ..validation import immutable

FIXED = (
    "regarding",
    "reason",
    "note",
    "deprecatedSource",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingController",
    "reportingInstance",
)


def validate(event: Object) -> Errors:
    """Unlike v1's, these say who did what, when and why."""
    errors = [renamed(error) for error in core.validate(to_core(event))]
    errors += _series(event)
    if not event.get("eventTime"):
        errors.append(field.required(Path("eventTime")))
    kind = event.get("type") or ""
    if kind not in ("Normal", "Warning"):
        errors.append(field.invalid(Path("type"), "", f"has invalid value: {kind}"))
    for name in ("firstTimestamp", "lastTimestamp", "count", "source"):
        value = event.get(BACK[name])
        if value and (name != "source" or value.get("component") or value.get("host")):
            errors.append(field.invalid(Path(name), "", "needs to be unset"))
    return errors


def renamed(error: field.FieldError) -> field.FieldError:
    """With this group's name of the field."""
    if error.field != "reportingComponent":
        return error
    return field.FieldError(error.reason, "reportingController", error.body)


def _series(event: Object) -> Errors:
    series: Mapping[str, Any] | None = event.get("series")
    if series is None:
        return []
    errors: Errors = []
    if (series.get("count") or 0) < 2:
        errors.append(field.invalid(Path("series.count"), "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(field.required(Path("series.lastObservedTime")))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Only the series goes on."""
    errors = _series(new) if new.get("series") != old.get("series") else []
    for name in FIXED:
        errors += immutable(Path(NAMES.get(name, name)), new.get(name), old.get(name))
    return errors


SELECTABLE = {
    **{name.replace("involvedObject", "regarding"): name for name in core.SELECTABLE if name.startswith("involved")},
    "reason": "reason",
    "reportingController": "reportingComponent",
    "source": "source",  # there is no such field in this group, and yet one may select by it
    "type": "type",
}


def selectable(event: Object) -> Mapping[str, str]:
    """What v1 sees of it, under this group's names."""
    fields = core.selectable(to_core(event))
    return {name: fields[there] for name, there in SELECTABLE.items()}


def row(event: Object, now: datetime) -> list[Any]:
    """As v1's."""
    return core.row(to_core(event), now)


RESOURCE = Resource(
    group="events.k8s.io",
    version="v1",
    name="events",
    kind="Event",
    refused_as="",
    schema="io.k8s.api.events.v1.Event",
    short_names=("ev",),
    conversions=CONVERSIONS,
    name_check="path",
    generation=False,
    allow_create_on_update=True,
    default_propagation="unsupported",
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectable_fields=tuple(SELECTABLE),
    columns=core.RESOURCE.columns,
    row=row,
)
