"""What of a definition may be that v1 refuses (upstream: validationOptions of pkg/apis/apiextensions/validation)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api.field import Path

from ..resource import Object
from . import schemarules


@dataclass(frozen=True)
class Leniency:
    """What may be that v1 refuses: in v1beta1 anything of it, in v1 what was there before an update.

    `former` are the schemas of before an update, by version: the rules of one that has not changed may cost what they will.
    """

    former: Mapping[str, Any] = field(default_factory=dict)
    schemaless: bool = False
    unstructured: bool = False
    preserving: bool = False
    unapproved: bool = False
    no_default: str = ""  # why there may be no default


NO_DEFAULT = "(cannot set default values in apiextensions.k8s.io/v1beta1 CRDs, must use apiextensions.k8s.io/v1)"


def leniency(new: Object, old: Object | None, beta: bool) -> Leniency:
    """What is allowed in a write through v1, or v1beta1 (`beta`)."""
    spec, was = new.get("spec") or {}, (old or {}).get("spec") or {}
    before = was.get("versions") or ()
    bare = any(not (version.get("schema") or {}).get("openAPIV3Schema") for version in before)
    keeps = bool(spec.get("preserveUnknownFields"))
    loose = bool(was.get("preserveUnknownFields")) and not is_structural(was)
    had_defaults = any(has_defaults(schema) for schema in schemas(before))
    return Leniency(
        former=_schemas_by_version(was),
        schemaless=beta or bare,
        unstructured=keeps and (beta or loose),
        preserving=beta or bool(was.get("preserveUnknownFields")),
        unapproved=beta,
        no_default=NO_DEFAULT if beta and not had_defaults else "",
    )


def is_structural(spec: Mapping[str, Any]) -> bool:
    """Whether the schemas of all versions are."""
    schemas = [(version.get("schema") or {}).get("openAPIV3Schema") for version in spec.get("versions") or ()]
    return not any(schema and schemarules.structure(schema, Path("spec")) for schema in schemas)


def _schemas_by_version(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {version.get("name") or "": version.get("schema") for version in spec.get("versions") or ()}


def schemas(versions: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """At any depth."""
    for version in versions:
        yield from all_schemas((version.get("schema") or {}).get("openAPIV3Schema") or {})


def has_defaults(schema: Mapping[str, Any]) -> bool:
    return schema.get("default") is not None


def all_schemas(schema: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield schema
    below = [schema.get("items"), schema.get("additionalProperties"), schema.get("not")]
    below += (schema.get("properties") or {}).values()
    below += [one for word in schemarules.BRANCHES for one in schema.get(word) or ()]
    for one in below:
        if isinstance(one, Mapping):
            yield from all_schemas(one)
