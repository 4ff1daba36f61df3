"""DaemonSet of apps/v1 (upstream: pkg/apis/apps/v1/defaults.go, apps validation, pkg/registry/apps/daemonset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.strconv import NumberError, parse_int

from ...resource import Column, Errors, Object, Resource
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..core.podspec import always_restarted, pod_template
from ..printing import AGE, NAME, container_cells, format_labels, format_selector, object_age
from ..strategy import keep_spec, keep_status
from ..validation import not_negative, not_negative_fields
from ..workload import (
    MISMATCH,
    TEMPLATE_COLUMNS,
    amount,
    at_most_all,
    collision_count,
    count_or_percent,
    selector_and_labels,
    selector_stays,
)

SPEC = Path("spec")
GENERATION = "deprecated.daemonset.template.generation"  # of the template; a field of spec in extensions/v1beta1
_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)


def default(daemons: Object) -> None:
    """One node after the other."""
    spec = daemons.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    strategy = spec.setdefault("updateStrategy", {})
    if (strategy.get("type") or "RollingUpdate") == "RollingUpdate":
        strategy["type"] = "RollingUpdate"
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            rolling = strategy["rollingUpdate"] = {}
        if rolling.get("maxUnavailable") is None:
            rolling["maxUnavailable"] = 1
        if rolling.get("maxSurge") is None:
            rolling["maxSurge"] = 0
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10


def prepare_create(daemons: Object) -> None:
    """Nothing runs yet, and the template is the first."""
    daemons["status"] = dict.fromkeys(_COUNTS[:4], 0)
    _set_generation(daemons, max(1, _generation(daemons)))


def prepare_update(new: Object, old: Object) -> None:
    """Another template is another generation of it, whatever the request says."""
    keep_status(new, old)
    changed = (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template")
    _set_generation(new, _generation(old) + changed)


def _generation(daemons: Object) -> int:
    text = str((daemons["metadata"].get("annotations") or {}).get(GENERATION) or "")
    try:
        return parse_int(text)
    except NumberError:
        return 0


def _set_generation(daemons: Object, number: int) -> None:
    metadata = daemons["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), GENERATION: str(number)}


def validate(daemons: Object) -> Errors:
    """On creation."""
    spec = daemons.get("spec") or {}
    template = spec.get("template") or {}
    errors, _ = selector_and_labels(SPEC, spec, "empty selector is invalid for daemonset")
    # Upstream looks at the labels before it looks whether the selector is empty.
    errors.sort(key=lambda error: "empty selector" in error.body and MISMATCH not in error.body)
    errors += pod_template(SPEC / "template", template)
    errors += always_restarted(SPEC / "template" / "spec", template.get("spec") or {}, "DaemonSet")
    errors += not_negative(SPEC / "minReadySeconds", spec.get("minReadySeconds"))
    errors += _strategy(SPEC / "updateStrategy", spec.get("updateStrategy") or {})
    return errors + not_negative(SPEC / "revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _strategy(path: Path, strategy: Object) -> Errors:
    kind = strategy.get("type") or ""
    if kind == "OnDelete":
        return []
    rolling = strategy.get("rollingUpdate")
    at = path / "rollingUpdate"
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": rolling}
        return [field.not_supported(path, shown, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [field.required(at)]
    gone, more = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)  # "" is given, and no number
    errors = count_or_percent(at / "maxUnavailable", gone) + count_or_percent(at / "maxSurge", more)
    errors += at_most_all(at / "maxUnavailable", gone) + at_most_all(at / "maxSurge", more)
    if amount(gone) and amount(more):
        errors.append(field.invalid(at / "maxSurge", more, "may not be set when maxUnavailable is non-zero"))
    elif not amount(gone) and not amount(more):
        errors.append(field.required(at / "maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The selector stays."""
    return validate(new) + selector_stays(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """Counts are not negative."""
    errors = not_negative_fields(Path("status"), new.get("status") or {}, _COUNTS)
    return errors + collision_count(new, old)


def row(daemons: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = daemons.get("spec") or {}, daemons.get("status") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    names, images = container_cells(pod)
    return [
        daemons["metadata"]["name"],
        status.get("desiredNumberScheduled") or 0,
        status.get("currentNumberScheduled") or 0,
        status.get("numberReady") or 0,
        status.get("updatedNumberScheduled") or 0,
        status.get("numberAvailable") or 0,
        format_labels(pod.get("nodeSelector")),
        object_age(daemons, now),
        names,
        images,
        format_selector(spec.get("selector")),
    ]


RESOURCE = Resource(
    group="apps",
    version="v1",
    name="daemonsets",
    kind="DaemonSet",
    schema="io.k8s.api.apps.v1.DaemonSet",
    short_names=("ds",),
    categories=("all",),
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.template", named=False),
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Desired", type="integer"),
        Column("Current", type="integer"),
        Column("Ready", type="integer"),
        Column("Up-to-date", type="integer"),
        Column("Available", type="integer"),
        Column("Node Selector"),
        AGE,
        *TEMPLATE_COLUMNS,
    ),
    row=row,
)
