"""What the cells of tables share (upstream: pkg/printers/internalversion, apimachinery/pkg/util/duration)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api.labels import SelectorError, selector_from_dict
from pybernetes.api.times import parse_time

from ..resource import Column

NAME = Column("Name", format="name", description="Name must be unique within a namespace.")
AGE = Column(
    "Age", description="CreationTimestamp is the server time at which this object was created, in RFC3339 form and UTC."
)

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def _two(count: int, unit: str, rest: int, rest_unit: str) -> str:
    return f"{count}{unit}{rest}{rest_unit}" if rest else f"{count}{unit}"


def human_duration(seconds: float) -> str:
    """Two or three significant figures: 5m10s, 3h, 2d4h, 6y329d (duration.HumanDuration)."""
    whole = int(seconds)  # towards zero: clocks may differ by a moment
    if whole < -1:
        return "<invalid>"
    if whole < 2 * MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * MINUTE:
        return _two(whole // MINUTE, "m", whole % MINUTE, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole // DAY, "d", whole % DAY // HOUR, "h")
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    if whole < 8 * YEAR:
        return _two(whole // YEAR, "y", whole // DAY % 365, "d")
    return f"{whole // YEAR}y"


def age(timestamp: str | None, now: datetime) -> str:
    """Time since then, `<unknown>` when there is none."""
    if not timestamp:
        return "<unknown>"
    return human_duration((now - parse_time(timestamp)).total_seconds())


def object_age(obj: Mapping[str, Any], now: datetime) -> str:
    """Time since creation."""
    return age(obj.get("metadata", {}).get("creationTimestamp"), now)


def format_labels(labels: Mapping[str, str] | None) -> str:
    """`a=b,c=d` in the order of keys, `<none>` (labels.FormatLabels)."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if labels else "<none>"


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as text (metav1.FormatLabelSelector)."""
    try:
        text = str(selector_from_dict(selector))
    except SelectorError:
        return "<error>"
    return text or "<none>"


def go_selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as Go's generated String() prints the structure."""
    labels = selector.get("matchLabels") or {}
    match = "".join(f"{key}: {labels[key]}," for key in sorted(labels))
    rules = ""
    for rule in selector.get("matchExpressions") or ():
        values = " ".join(rule.get("values") or ())
        key, operator = rule.get("key") or "", rule.get("operator") or ""
        rules += f"LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},"
    shown = f"MatchLabels:map[string]string{{{match}}},MatchExpressions:[]LabelSelectorRequirement{{{rules}}},"
    return f"&LabelSelector{{{shown}}}"


def container_cells(pod_spec: Mapping[str, Any]) -> tuple[str, str]:
    """Names and images of the containers, each joined by commas (layoutContainerCells)."""
    containers: Sequence[Mapping[str, Any]] = pod_spec.get("containers") or ()
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)
