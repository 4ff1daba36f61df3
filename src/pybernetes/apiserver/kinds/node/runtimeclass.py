"""RuntimeClass of node.k8s.io/v1 (upstream: pkg/apis/node, pkg/registry/node/runtimeclass)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..core.affinity import tolerations
from ..core.resources import requirements
from ..printing import AGE, NAME, object_age
from ..validation import dns_label, go_names, identity, immutable, label_map

SCHEDULING = Path("scheduling")


def validate(runtime: Object) -> Errors:
    """ValidateRuntimeClass."""
    errors = dns_label(Path("handler"), runtime.get("handler") or "")
    if (overhead := runtime.get("overhead")) is not None:
        errors += requirements(Path("overhead"), {"limits": overhead.get("podFixed") or {}})
    scheduling = runtime.get("scheduling")
    if scheduling is not None:
        errors += label_map(SCHEDULING / "nodeSelector", scheduling.get("nodeSelector"))
        items, at = scheduling.get("tolerations") or [], SCHEDULING / "tolerations"
        errors += tolerations(at / "tolerations", items)
        errors += [field.duplicate(at / i, go_names(items[i])) for i, _ in field.repeats(map(identity, items))]
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The handler stays."""
    return immutable(Path("handler"), new.get("handler"), old.get("handler"))


def row(runtime: Object, now: datetime) -> list[Any]:
    """Name, Handler, Age."""
    return [runtime["metadata"]["name"], runtime.get("handler") or "", object_age(runtime, now)]


RESOURCE = Resource(
    group="node.k8s.io",
    version="v1",
    name="runtimeclasses",
    kind="RuntimeClass",
    schema="io.k8s.api.node.v1.RuntimeClass",
    namespaced=False,
    generation=False,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(NAME, Column("Handler", description="What the runtime calls it"), AGE),
    row=row,
)
