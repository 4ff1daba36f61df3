"""IPAddress of networking.k8s.io/v1: who has an address of the service ranges (upstream: pkg/registry/networking/ipaddress)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..meta import path_segment_errors
from ..printing import NAME
from ..validation import dns_subdomain, each, immutable

PARENT = Path("spec.parentRef")


def name_errors(name: str) -> list[str]:
    """The name is the address in its canonical form."""
    try:
        parsed = ipaddress.ip_address(name)
    except ValueError:
        return [f"ParseAddr({field.quote(name)}): unable to parse IP"]
    return [] if str(parsed) == name else ["must be a canonical format IP address"]


def validate(address: Object) -> Errors:
    """Whose it is."""
    parent: Mapping[str, Any] | None = (address.get("spec") or {}).get("parentRef")
    if parent is None:
        return [field.required(PARENT)]
    errors = dns_subdomain(PARENT / "group", parent["group"]) if parent.get("group") else []
    for name, needed in (("resource", True), ("name", True), ("namespace", False)):
        value = parent.get(name) or ""
        if value:
            errors += each(PARENT / name, value, path_segment_errors(value))
        elif needed:
            errors.append(field.required(PARENT / name))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """The owner stays."""
    after, before = ((o.get("spec") or {}).get("parentRef") for o in (new, old))
    return immutable(PARENT, after, before)


def row(address: Object, now: datetime) -> list[Any]:
    """Name, ParentRef."""
    parent = (address.get("spec") or {}).get("parentRef")
    shown = "<none>"
    if parent is not None:
        resource = ".".join(part for part in (parent.get("resource"), parent.get("group")) if part)
        shown = "/".join(part for part in (resource, parent.get("namespace"), parent.get("name")) if part)
    return [address["metadata"]["name"], shown]


RESOURCE = Resource(
    group="networking.k8s.io",
    version="v1",
    name="ipaddresses",
    kind="IPAddress",
    schema="io.k8s.api.networking.v1.IPAddress",
    namespaced=False,
    short_names=("ip",),
    name_check=name_errors,
    generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("ParentRef", description="Reference to the object that owns the address")),
    row=row,
)
