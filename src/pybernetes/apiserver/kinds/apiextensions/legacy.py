"""CustomResourceDefinition of apiextensions.k8s.io/v1beta1 (until 1.22): what all versions share stands at the top.

Upstream: apiextensions-apiserver pkg/apis/apiextensions/{v1,v1beta1}/{conversion,defaults}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...conversion import ConversionTable, UnknownVersion, Version
from ...resource import Errors, Object
from ..validation import dns1035_label_errors
from ..versions import Family, older
from . import customresourcedefinition as v1

if TYPE_CHECKING:
    from ...schema import CompiledSchema

HUB, BETA = "apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"
SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.CustomResourceDefinition"
# At the top -> in each version.
SHARED = {
    "validation": "schema",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
}
SHARED |= {"selectableFields": "selectableFields"}


def default(crd: Object) -> None:
    """Namespaced, one version, nothing unknown is lost."""
    spec = crd.setdefault("spec", {})
    spec["scope"] = spec.get("scope") or "Namespaced"
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    if not spec.get("versions") and spec.get("version"):
        spec["versions"] = [{"name": spec["version"], "served": True, "storage": True}]
    if not spec.get("version") and spec.get("versions"):
        spec["version"] = spec["versions"][0].get("name") or ""
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    conversion = spec["conversion"]
    if conversion.get("strategy") == "Webhook" and not conversion.get("conversionReviewVersions"):
        conversion["conversionReviewVersions"] = ["v1beta1"]
    service = (conversion.get("webhookClientConfig") or {}).get("service")
    if service is not None and service.get("port") is None:
        service["port"] = v1.PORT
    if spec.get("preserveUnknownFields") is None:
        spec["preserveUnknownFields"] = True


# --- conversions --------------------------------------------------------------------------------


def _column(column: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    return {after if name == before else name: value for name, value in column.items()}


def _columns(version: dict[str, Any], before: str, after: str) -> None:
    if version.get("additionalPrinterColumns") is not None:
        columns = version["additionalPrinterColumns"]
        version["additionalPrinterColumns"] = [_column(column, before, after) for column in columns]


def to_hub(crd: Object) -> Object:
    """As v1: in each version."""
    spec = dict(crd.get("spec") or {})
    name = spec.pop("version", None)
    versions = [dict(version) for version in spec.get("versions") or ()]
    if not versions and name:
        versions = [{"name": name, "served": True, "storage": True}]
    for top, part in SHARED.items():
        value = spec.pop(top, None)
        if value is not None:
            for version in versions:
                version[part] = value
    for version in versions:
        _columns(version, "JSONPath", "jsonPath")
    spec["versions"] = versions
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
    conversion = spec.get("conversion")
    if conversion is not None:
        moved = {"clientConfig": "webhookClientConfig", "conversionReviewVersions": "conversionReviewVersions"}
        webhook = {there: conversion[here] for there, here in moved.items() if conversion.get(here) is not None}
        spec["conversion"] = {"strategy": conversion.get("strategy") or ""} | ({"webhook": webhook} if webhook else {})
    return {**crd, "apiVersion": HUB, "spec": spec}


def from_hub(crd: Object) -> Object:
    """As v1beta1: at the top what is the same in all versions."""
    spec = dict(crd.get("spec") or {})
    versions = [dict(version) for version in spec.get("versions") or ()]
    for version in versions:
        _columns(version, "jsonPath", "JSONPath")
    for top, part in SHARED.items():
        first = versions[0].get(part) if versions else None
        if first is not None and all(version.get(part) == first for version in versions):
            spec[top] = first
            for version in versions:
                del version[part]
    if versions:
        spec["version"] = versions[0].get("name") or ""
    spec["versions"] = versions
    spec["preserveUnknownFields"] = bool(spec.get("preserveUnknownFields"))
    conversion = spec.get("conversion")
    if conversion is not None:
        webhook = conversion.get("webhook") or {}
        conversion_v1beta1 = {"strategy": conversion.get("strategy") or ""}
        moved = {"webhookClientConfig": "clientConfig", "conversionReviewVersions": "conversionReviewVersions"}
        spec["conversion"] = conversion_v1beta1 | {
            h: webhook[t] for h, t in moved.items() if webhook.get(t) is not None
        }
    return {**crd, "apiVersion": BETA, "spec": spec}


@dataclass(frozen=True)
class DefinitionTable(ConversionTable):
    """Schemas that hold schemas are read by a reader of their own."""

    def schema(self, version: str) -> CompiledSchema:
        """See `Conversions`."""
        from ...crd.props import DefinitionSchema  # with the first definition only

        if version not in self.versions:
            raise UnknownVersion(version)
        return DefinitionSchema.made(version.rpartition("/")[2])


TABLE = DefinitionTable(
    kind="CustomResourceDefinition",
    hub=HUB,
    versions={HUB: Version(v1.RESOURCE.schema, v1.default), BETA: Version(SCHEMA, default)},
    functions={(BETA, HUB): to_hub, (HUB, BETA): from_hub},
)


# --- rules --------------------------------------------------------------------------------------


def validate(crd: Object) -> Errors:
    """As v1, and more lenient."""
    from ...crd import definition  # as above

    return definition.validate(to_hub(crd), beta=True) + _version(crd.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    """As v1, and more lenient."""
    from ...crd import definition  # as above

    return definition.validate_update(to_hub(new), to_hub(old), beta=True) + _version(new.get("spec") or {})


def _version(spec: Mapping[str, Any]) -> Errors:
    """The one at the top is the first of them."""
    at, name, versions = Path("spec.version"), spec.get("version") or "", spec.get("versions") or ()
    if not versions or name == (versions[0].get("name") or ""):
        return []
    why = dns1035_label_errors(name)
    errors = [field.invalid(at, name, ",".join(why))] if why else []
    return [*errors, field.invalid(at, name, "must match the first version in spec.versions")]


def warnings(new: Object, old: Object | None) -> Any:
    """As v1's."""
    return v1.warnings(to_hub(new), old)


def _compile() -> Any:
    return TABLE.schema(BETA)


RESOURCE = replace(
    older(v1.RESOURCE, "apiextensions.v1beta1"),
    schema=SCHEMA,
    compile=_compile,
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    conversions=TABLE,
    _cache={},
)

FAMILIES: tuple[Family, ...] = ((replace(v1.RESOURCE, conversions=TABLE, _cache={}), RESOURCE),)
