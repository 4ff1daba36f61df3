"""ControllerRevision of apps/v1 (upstream: pkg/registry/apps/controllerrevision, apps validation)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable, not_negative


def validate(revision: Object) -> Errors:
    """On creation."""
    errors = [] if revision.get("data") is not None else [field.required(Path("data"), "data is mandatory")]
    return errors + not_negative(Path("revision"), revision.get("revision"))


def validate_update(new: Object, old: Object) -> Errors:
    """What was recorded stays."""
    return validate(new) + immutable(Path("data"), new.get("data"), old.get("data"))


def _controller(revision: Object) -> str:
    for owner in revision["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return "<none>"


def row(revision: Object, now: datetime) -> list[Any]:
    """Name, Controller, Revision, Age."""
    number = revision.get("revision") or 0
    return [revision["metadata"]["name"], _controller(revision), number, object_age(revision, now)]


RESOURCE = Resource(
    group="apps",
    version="v1",
    name="controllerrevisions",
    kind="ControllerRevision",
    schema="io.k8s.api.apps.v1.ControllerRevision",
    meta_again=1,
    generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("Controller", description="Controller of the object"), Column("Revision"), AGE),
    row=row,
)
