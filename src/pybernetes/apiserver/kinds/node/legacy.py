"""node.k8s.io/v1beta1 (until 1.25) and v1alpha1 (until 1.24), which has all in a spec (upstream: pkg/apis/node/v1alpha1/conversion.go)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import FieldError

from ...resource import Errors, Object
from ..versions import Family, family, older
from .runtimeclass import RESOURCE, row, validate, validate_update

ALPHA, HUB = "node.k8s.io/v1alpha1", "node.k8s.io/v1"
HANDLER = {"handler": "runtimeHandler"}
FIELDS = ("overhead", "scheduling")


def from_alpha(runtime: Object) -> Object:
    """As v1."""
    spec = runtime.get("spec") or {}
    converted = {name: value for name, value in runtime.items() if name != "spec"} | {"apiVersion": HUB}
    converted["handler"] = spec.get("runtimeHandler") or ""
    return converted | {name: spec[name] for name in FIELDS if spec.get(name) is not None}


def to_alpha(runtime: Object) -> Object:
    """As v1alpha1."""
    moved = ("handler", *FIELDS)
    converted = {name: value for name, value in runtime.items() if name not in moved} | {"apiVersion": ALPHA}
    spec = {"runtimeHandler": runtime.get("handler") or ""}
    converted["spec"] = spec | {name: runtime[name] for name in FIELDS if runtime.get(name) is not None}
    return converted


def validate_alpha(runtime: Object) -> Errors:
    """As v1; upstream checks one form of all, and so names v1's fields."""
    return validate(from_alpha(runtime))


def validate_alpha_update(new: Object, old: Object) -> Errors:
    """As v1."""
    errors: list[FieldError] = validate_update(from_alpha(new), from_alpha(old))
    return errors


def row_alpha(runtime: Object, now: datetime) -> list[Any]:
    """As v1's."""
    return row(from_alpha(runtime), now)


FAMILIES: tuple[Family, ...] = (
    family(
        RESOURCE,
        older(RESOURCE, "node.v1beta1"),
        older(
            RESOURCE,
            "node.v1alpha1",
            validate=validate_alpha,
            validate_update=validate_alpha_update,
            row=row_alpha,
        ),
        functions={(ALPHA, HUB): from_alpha, (HUB, ALPHA): to_alpha},
    ),
)
