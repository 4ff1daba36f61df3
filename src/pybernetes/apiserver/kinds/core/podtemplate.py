"""PodTemplate of v1 (upstream: pkg/registry/core/podtemplate)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import NAME, container_cells, format_labels
from . import podwarnings
from .poddefaults import default_template
from .podspec import pod_template


def default(template: Object) -> None:
    """As in every template of pods."""
    default_template(template.setdefault("template", {}))


def validate(template: Object) -> Errors:
    """On creation."""
    return pod_template(Path("template"), template.get("template") or {})


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def row(template: Object, now: datetime) -> list[Any]:
    """Name, Containers, Images, Pod Labels."""
    inner = template.get("template") or {}
    names, images = container_cells(inner.get("spec") or {})
    return [template["metadata"]["name"], names, images, format_labels((inner.get("metadata") or {}).get("labels"))]


RESOURCE = Resource(
    group="",
    version="v1",
    name="podtemplates",
    kind="PodTemplate",
    schema="io.k8s.api.core.v1.PodTemplate",
    returns_deleted=True,
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("template", named=False),
    columns=(
        NAME,
        Column("Containers", description="Names of each container in the template."),
        Column("Images", description="Images referenced by each container in the template."),
        Column("Pod Labels", description="The labels for the pod template."),
    ),
    row=row,
)
