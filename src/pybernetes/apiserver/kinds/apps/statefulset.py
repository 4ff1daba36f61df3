"""StatefulSet of apps/v1 (upstream: pkg/apis/apps/v1/defaults.go, apps validation, pkg/registry/apps/statefulset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource, ScalePaths
from ..core import persistentvolumeclaim, podwarnings
from ..core.poddefaults import default_template
from ..core.podspec import always_restarted, template_meta
from ..printing import AGE, NAME, container_cells, object_age
from ..strategy import keep_spec, keep_status
from ..validation import go_names, not_negative, same
from ..workload import (
    TEMPLATE_COLUMNS,
    amount,
    at_most_all,
    collision_count,
    count_or_percent,
    replica_status,
    selector_and_labels,
)

SPEC = Path("spec")
RETAIN = "Retain"
# What may change; everything else in the spec stays.
MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
REFUSED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def default(stateful: Object) -> None:
    """One replica, in order, its claims kept."""
    spec = stateful.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            rolling = strategy["rollingUpdate"] = {}
        if rolling.get("partition") is None:
            rolling["partition"] = 0
    policy = spec.get("persistentVolumeClaimRetentionPolicy")
    if policy is None:
        policy = spec["persistentVolumeClaimRetentionPolicy"] = {}
    for name in ("whenDeleted", "whenScaled"):
        policy[name] = policy.get(name) or RETAIN
    for name, value in (("replicas", 1), ("revisionHistoryLimit", 10)):
        if spec.get(name) is None:
            spec[name] = value
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        persistentvolumeclaim.default(claim)


def prepare_create(stateful: Object) -> None:
    """Nothing runs yet."""
    stateful["status"] = {"replicas": 0, "availableReplicas": 0}


def validate(stateful: Object) -> Errors:
    """On creation. The pods' spec is not looked at: its volumes come from the claims, too."""
    spec = stateful.get("spec") or {}
    template = spec.get("template") or {}
    errors: Errors = []
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        errors.append(field.required(SPEC / "podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        why = "must be 'OrderedReady' or 'Parallel'"
        errors.append(field.invalid(SPEC / "podManagementPolicy", policy, why))
    errors += _strategy(SPEC / "updateStrategy", spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name, value in retention.items():
        if value not in ("Retain", "Delete"):
            at = SPEC / "persistentVolumeClaimRetentionPolicy" / name
            errors.append(field.not_supported(at, value, ("Retain", "Delete")))
    for name in ("replicas", "minReadySeconds"):
        errors += not_negative(SPEC / name, spec.get(name))
    errors += not_negative(SPEC / "ordinals.start", (spec.get("ordinals") or {}).get("start"))
    problems, readable = selector_and_labels(SPEC, spec, "empty selector is invalid for statefulset", "")
    errors += problems
    if readable:
        errors += template_meta(SPEC / "template", template.get("metadata") or {}, template.get("spec") or {})
    return errors + always_restarted(SPEC / "template" / "spec", template.get("spec") or {}, "StatefulSet")


def _strategy(path: Path, strategy: Object) -> Errors:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    at = path / "rollingUpdate"
    if not kind:
        return [field.required(path)]
    if kind == "OnDelete":
        why = "only allowed for updateStrategy 'RollingUpdate'"
        return [] if rolling is None else [field.invalid(at, go_names(rolling), why)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": rolling}
        return [field.invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    errors = not_negative(at / "partition", (rolling or {}).get("partition"))
    if (gone := (rolling or {}).get("maxUnavailable")) is not None:
        errors += count_or_percent(at / "maxUnavailable", gone)
        if not amount(gone):
            errors.append(field.invalid(at / "maxUnavailable", gone, "cannot be 0"))
        errors += at_most_all(at / "maxUnavailable", gone)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Little may change."""
    spec, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    errors = validate(new)
    for name in MUTABLE:
        spec.pop(name, None)
        before.pop(name, None)
    if not same(spec, before):
        errors.append(field.forbidden(SPEC, REFUSED))
    return errors


def validate_status(new: Object, old: Object) -> Errors:
    """Its counts fit together."""
    parts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    errors = replica_status(new.get("status") or {}, parts, "status.readyReplicas")
    return errors + collision_count(new, old)


def row(stateful: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = stateful.get("spec") or {}, stateful.get("status") or {}
    names, images = container_cells((spec.get("template") or {}).get("spec") or {})
    ready = f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}"
    return [stateful["metadata"]["name"], ready, object_age(stateful, now), names, images]


RESOURCE = Resource(
    group="apps",
    version="v1",
    name="statefulsets",
    kind="StatefulSet",
    schema="io.k8s.api.apps.v1.StatefulSet",
    meta_again=1,
    short_names=("sts",),
    categories=("all",),
    name_check="label",
    status=True,
    scale=ScalePaths(),
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template", named=False),
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Ready", description="Number of the pod with ready state"),
        AGE,
        *TEMPLATE_COLUMNS[:2],
    ),
    row=row,
)
