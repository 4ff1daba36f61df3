"""ReplicationController of v1 (upstream: pkg/registry/core/replicationcontroller, core validation)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource, ScalePaths
from ..printing import format_labels
from ..strategy import keep_spec, keep_status
from ..validation import not_negative
from ..workload import REPLICA_COLUMNS, replica_count, replica_row, replica_status
from . import podwarnings
from .poddefaults import default_template
from .podspec import always_restarted, pod_template

SPEC = Path("spec")


def default(controller: Object) -> None:
    """Selector and labels are the template's."""
    spec = controller.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    template = spec.get("template")
    if template is None:
        return
    default_template(template)
    meta = controller.setdefault("metadata", {})
    if labels := (template.get("metadata") or {}).get("labels"):
        spec["selector"] = spec.get("selector") or dict(labels)
        meta["labels"] = meta.get("labels") or dict(labels)


def prepare_create(controller: Object) -> None:
    """No replicas yet."""
    controller["status"] = {"replicas": 0}


def validate(controller: Object) -> Errors:
    """On creation."""
    spec = controller.get("spec") or {}
    selector, template = spec.get("selector") or {}, spec.get("template")
    errors = not_negative(SPEC / "minReadySeconds", spec.get("minReadySeconds"))
    if not selector:
        errors.append(field.required(SPEC / "selector"))
    errors += not_negative(SPEC / "replicas", spec.get("replicas"))
    at = SPEC / "template"
    if template is None:
        return [*errors, field.required(at)]
    labels = (template.get("metadata") or {}).get("labels")
    if any((labels or {}).get(key) != value for key, value in selector.items()):
        why = "`selector` does not match template `labels`"
        errors.append(field.invalid(at / "metadata" / "labels", labels, why))
    errors += pod_template(at, template)
    return errors + always_restarted(at / "spec", template.get("spec") or {}, "ReplicationController")


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_status(new: Object, old: Object) -> Errors:
    """Its counts fit together."""
    return replica_status(new.get("status") or {})


def row(controller: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    return replica_row(controller, format_labels((controller.get("spec") or {}).get("selector")), now)


RESOURCE = Resource(
    group="",
    version="v1",
    name="replicationcontrollers",
    kind="ReplicationController",
    schema="io.k8s.api.core.v1.ReplicationController",
    short_names=("rc",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
    default_propagation="orphan",
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template"),
    validate_status=validate_status,
    selectable=replica_count,
    selectable_fields=("status.replicas",),
    columns=REPLICA_COLUMNS,
    row=row,
)
