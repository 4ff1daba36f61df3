"""Event of v1 (upstream: core validation events.go, pkg/registry/core/event)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import NAME, age
from ..validation import dns_subdomain, qualified_name
from .eventconversion import CONVERSIONS

NAME_LIMIT, NOTE_LIMIT = 128, 1024  # of what events of the new kind say
_OTHER_NAMESPACE = "does not match event.namespace"


def validate(event: Object) -> Errors:
    """Old events need little; those with an eventTime say who did what and why."""
    namespace = (event.get("metadata") or {}).get("namespace") or ""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    errors: Errors = []
    at = Path("involvedObject.namespace")
    if not event.get("eventTime"):
        if namespace not in (("", "default") if not about else (about,)):
            errors.append(field.invalid(at, about, _OTHER_NAMESPACE))
        return errors + dns_subdomain(Path("namespace"), namespace)
    if not about and namespace not in ("default", "kube-system"):
        errors.append(field.invalid(at, about, _OTHER_NAMESPACE))
    controller = event.get("reportingComponent") or ""
    if not controller:
        errors.append(field.required(Path("reportingComponent")))
    errors += qualified_name(Path("reportingComponent"), controller)
    for name in ("reportingInstance", "action", "reason"):
        value = event.get(name) or ""
        if not value:
            errors.append(field.required(Path(name)))
        if len(value.encode()) > NAME_LIMIT:
            errors.append(field.invalid(Path(name), "", f"can have at most {NAME_LIMIT} characters"))
    if len((event.get("message") or "").encode()) > NOTE_LIMIT:
        errors.append(field.invalid(Path("message"), "", f"can have at most {NOTE_LIMIT} characters"))
    return errors + dns_subdomain(Path("namespace"), namespace)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


_OBJECT_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
SELECTABLE = (
    *(f"involvedObject.{name}" for name in _OBJECT_FIELDS),
    "reason",
    "reportingComponent",
    "source",
    "type",
)


def selectable(event: Object) -> Mapping[str, str]:
    """What the event is about, why, and who says it."""
    about = event.get("involvedObject") or {}
    fields = {f"involvedObject.{name}": about.get(name) or "" for name in _OBJECT_FIELDS}
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
    fields["reason"] = event.get("reason") or ""
    fields["reportingComponent"] = event.get("reportingComponent") or ""
    fields["source"] = source
    fields["type"] = event.get("type") or ""
    return fields


def row(event: Object, now: datetime) -> list[Any]:
    """Last seen, type, reason, object, and with -o wide the rest."""
    first = age(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = age(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count = event.get("count") or 0
    if series := event.get("series"):
        last, count = age(series.get("lastObservedTime"), now), series.get("count") or 0
    elif not count:
        count = 1
    about, source = event.get("involvedObject") or {}, event.get("source") or {}
    kind, name = (about.get("kind") or "").lower(), about.get("name") or ""
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return [
        last,
        event.get("type") or "",
        event.get("reason") or "",
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath") or "",
        f"{component}, {host}" if host else component,
        (event.get("message") or "").strip(),
        first,
        count,
        event["metadata"]["name"],
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="events",
    kind="Event",
    schema="io.k8s.api.core.v1.Event",
    short_names=("ev",),
    conversions=CONVERSIONS,
    name_check="path",
    generation=False,
    allow_create_on_update=True,
    default_propagation="unsupported",
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectable_fields=SELECTABLE,
    columns=(
        Column("Last Seen"),
        Column("Type"),
        Column("Reason"),
        Column("Object"),
        Column("Subobject", priority=1),
        Column("Source", priority=1),
        Column("Message"),
        Column("First Seen", priority=1),
        Column("Count", priority=1),
        Column("Name", format="name", description=NAME.description, priority=1),
    ),
    row=row,
)
