"""ReplicaSet of apps/v1 (upstream: pkg/apis/apps/v1/defaults.go, apps validation, pkg/registry/apps/replicaset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource, ScalePaths
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..core.podspec import always_restarted, pod_template
from ..printing import format_selector
from ..strategy import keep_spec, keep_status
from ..validation import not_negative
from ..workload import (
    REPLICA_COLUMNS,
    replica_count,
    replica_row,
    replica_status,
    selector_and_labels,
    selector_stays,
)

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
    return validate(new) + selector_stays(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """Its counts fit together."""
    return replica_status(new.get("status") or {})


def row(replicas: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    return replica_row(replicas, format_selector((replicas.get("spec") or {}).get("selector")), now)


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
    selectable=replica_count,
    selectable_fields=("status.replicas",),
    columns=REPLICA_COLUMNS,
    row=row,
)
