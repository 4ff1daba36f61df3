"""What the kinds that own pods share: selector and template, rolling updates, counts of replicas (upstream: pkg/apis/apps/validation)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.labels import SelectorError, selector_from_dict
from pybernetes.api.strconv import NumberError, parse_int

from ..resource import Column
from .printing import AGE, NAME, container_cells, object_age
from .validation import Errors, immutable, label_selector, not_negative_fields, regex_error

Object = Mapping[str, Any]

MISMATCH = "`selector` does not match template `labels`"
_PERCENT = re.compile(r"[0-9]+%")

TEMPLATE_COLUMNS = (
    Column("Containers", description="Names of each container in the template.", priority=1),
    Column("Images", description="Images referenced by each container in the template.", priority=1),
    Column("Selector", priority=1),
)
# Of what keeps a number of pods; `replica_row` gives the cells.
REPLICA_COLUMNS = (
    NAME,
    Column("Desired", type="integer"),
    Column("Current", type="integer"),
    Column("Ready", type="integer"),
    AGE,
    *TEMPLATE_COLUMNS,
)


def selector_and_labels(
    path: Path, spec: Object, empty: str, unreadable: str = "invalid label selector"
) -> tuple[Errors, bool]:
    """The selector, and that it matches the template's labels; False when the template need not be looked at."""
    selector = spec.get("selector")
    at = path / "selector"
    errors: Errors = []
    if selector is None:
        errors.append(field.required(at))
    else:
        errors += label_selector(at, selector)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(field.invalid(at, selector, empty))
    try:
        parsed = selector_from_dict(selector)
    except SelectorError:
        return [*errors, field.invalid(at, selector, unreadable)], False
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not parsed.empty() and not parsed.matches(labels):
        errors.append(field.invalid(path / "template" / "metadata" / "labels", labels, MISMATCH))
    return errors, True


def selector_stays(new: Object, old: Object) -> Errors:
    """A selector cannot be changed."""
    after, before = (obj.get("spec") or {} for obj in (new, old))
    return immutable(Path("spec.selector"), after.get("selector"), before.get("selector"))


# --- numbers or percentages ---------------------------------------------------------------------


def count_or_percent(path: Path, value: int | str) -> Errors:
    """5 or 25%."""
    if isinstance(value, str):
        if _PERCENT.fullmatch(value):
            return []
        text = "a valid percent string must be a numeric string followed by an ending '%'"
        return [field.invalid(path, value, regex_error(text, _PERCENT.pattern, "1%", "93%"))]
    return [] if value >= 0 else [field.invalid(path, value, "must be greater than or equal to 0")]


def amount(value: int | str | None) -> int:
    """The number in it; 0 for what is neither."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        try:
            return parse_int(digits)
        except NumberError:
            return 0
    return value or 0


def at_most_all(path: Path, value: int | str) -> Errors:
    """No more than 100%."""
    if isinstance(value, str) and _PERCENT.fullmatch(value) and int(value[:-1]) > 100:
        return [field.invalid(path, value, "must not be greater than 100%")]
    return []


# --- status -------------------------------------------------------------------------------------


def replica_status(
    status: Object,
    parts: Sequence[str] = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    ready: str = "readyReplicas",
) -> Errors:
    """Counts are not negative, and parts not greater than the whole."""
    path = Path("status")
    errors = not_negative_fields(path, status, ("replicas", *parts, "unavailableReplicas", "observedGeneration"))
    total = status.get("replicas") or 0
    for name in parts:
        if (value := status.get(name) or 0) > total:
            errors.append(field.invalid(path / name, value, "cannot be greater than status.replicas"))
    available = status.get("availableReplicas") or 0
    if available > (status.get("readyReplicas") or 0):
        errors.append(field.invalid(path / "availableReplicas", available, f"cannot be greater than {ready}"))
    return errors


def replica_count(obj: Object) -> Mapping[str, str]:
    """What field selectors may ask for: the number of replicas there are."""
    return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}


def replica_row(obj: Object, selector: str, now: datetime) -> list[Any]:
    """The cells of REPLICA_COLUMNS, where the selector reads so."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    names, images = container_cells((spec.get("template") or {}).get("spec") or {})
    return [
        obj["metadata"]["name"],
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        object_age(obj, now),
        names,
        images,
        selector,
    ]


def collision_count(new: Object, old: Object) -> Errors:
    """Counts collisions of names: never down."""
    after = (new.get("status") or {}).get("collisionCount") or 0
    before = (old.get("status") or {}).get("collisionCount") or 0
    at = Path("status.collisionCount")
    errors = [field.invalid(at, after, "must be greater than or equal to 0")] if after < 0 else []
    return [*errors, field.invalid(at, after, "cannot be decremented")] if after < before else errors
