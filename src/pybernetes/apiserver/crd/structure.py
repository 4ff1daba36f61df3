"""The condition NonStructuralSchema (upstream: pkg/controller/nonstructuralschema)."""

from __future__ import annotations

from pybernetes.api import field
from pybernetes.api.field import Path

from ..resource import Object
from . import conditions

CONDITION = "NonStructuralSchema"


def judge(crd: Object, now: str) -> None:
    """Says in the status what of the schemas is not structural; only definitions that came as v1beta1 have anything."""
    condition = conditions.find(crd, CONDITION)
    if not crd["spec"].get("preserveUnknownFields"):
        if condition is not None:
            crd["status"]["conditions"] = [c for c in crd["status"]["conditions"] if c.get("type") != CONDITION]
        return
    message = field.aggregate(_violations(crd))
    if condition is None or condition.get("message") != message:
        conditions.put(crd, CONDITION, "True", "Violations", message, now)


def _violations(crd: Object) -> list[field.FieldError]:
    from . import schemarules  # old definitions alone are asked

    errors = [field.invalid(Path("spec") / "preserveUnknownFields", True, "must be false")]
    for index, version in enumerate(crd["spec"].get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema:
            errors += schemarules.structure(schema, Path("spec.versions") / index / "schema" / "openAPIV3Schema")
    return errors
