"""ReplicaSet of apps/v1 (upstream: pkg/apis/apps/v1/defaults.go, apps validation, pkg/registry/apps/replicaset)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource, ScalePaths
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..core.podspec import always_restarted, pod_template
from ..printing import AGE, NAME, container_cells, format_selector, object_age
from ..strategy import keep_spec, keep_status
from ..validation import immutable, not_negative
from ..workload import TEMPLATE_COLUMNS, replica_status, selector_and_labels

SPEC = Path("spec")


def default(replicas: Object) -> None:
    """One replica."""
    spec = replicas.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    if spec.get("replicas") is None:
        spec["replicas"] = 1


def prepare_create(replicas: Object) -> None:
    """Nothing runs yet."""
    replicas["status"] = {"replicas": 0}


def validate(replicas: Object) -> Errors:
    """On creation."""
    spec = replicas.get("spec") or {}
    template, at = spec.get("template") or {}, SPEC / "template"
    errors = not_negative(SPEC / "replicas", spec.get("replicas"))
    errors += not_negative(SPEC / "minReadySeconds", spec.get("minReadySeconds"))
    # Upstream speaks of deployments here, too.
    problems, readable = selector_and_labels(SPEC, spec, "empty selector is invalid for deployment")
    errors += problems
    if readable:
        errors += pod_template(at, template)
        errors += always_restarted(at / "spec", template.get("spec") or {}, "ReplicaSet")
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The selector stays."""
    selector, before = (new.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector")
    return validate(new) + immutable(SPEC / "selector", selector, before)


def validate_status(new: Object, old: Object) -> Errors:
    """Its counts fit together."""
    return replica_status(new.get("status") or {})


def selectable(replicas: Object) -> Mapping[str, str]:
    """The number of replicas there are."""
    return {"status.replicas": str((replicas.get("status") or {}).get("replicas") or 0)}


def row(replicas: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = replicas.get("spec") or {}, replicas.get("status") or {}
    names, images = container_cells((spec.get("template") or {}).get("spec") or {})
    return [
        replicas["metadata"]["name"],
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        object_age(replicas, now),
        names,
        images,
        format_selector(spec.get("selector")),
    ]


RESOURCE = Resource(
    group="apps",
    version="v1",
    name="replicasets",
    kind="ReplicaSet",
    schema="io.k8s.api.apps.v1.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template"),
    validate_status=validate_status,
    selectable=selectable,
    selectable_fields=("status.replicas",),
    columns=(
        NAME,
        Column("Desired", type="integer"),
        Column("Current", type="integer"),
        Column("Ready", type="integer"),
        AGE,
        *TEMPLATE_COLUMNS,
    ),
    row=row,
)
