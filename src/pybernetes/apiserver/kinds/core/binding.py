"""Binding of v1: where a pod shall run; posting one is another way to write pods/NAME/binding."""

from __future__ import annotations

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource


def validate(binding: Object) -> Errors:
    """ValidatePodBinding."""
    target = binding.get("target") or {}
    errors: Errors = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(field.not_supported(Path("target.kind"), target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(field.required(Path("target.name")))
    return errors


RESOURCE = Resource(
    group="",
    version="v1",
    name="bindings",
    kind="Binding",
    schema="io.k8s.api.core.v1.Binding",
    verbs=("create",),
    generation=False,
    validate=validate,
)
