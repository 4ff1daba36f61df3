"""Families: a kind in several group-versions, of which one is the hub that is stored, as records with one `ConversionTable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..conversion import ConversionTable, Convert, Version
from ..resource import Object, Resource

Functions = Mapping[tuple[str, str], Convert]
Family = tuple[Resource, ...]  # the hub first


def renamed(version: str) -> Convert:
    """To a version with the same fields: only its name is another one."""

    def convert(obj: Object) -> Object:
        return {**obj, "apiVersion": version}

    return convert


def older(hub: Resource, package: str, **changes: Any) -> Resource:
    """The record of a version that is as the hub but for `changes`; `package` is that of its types: `extensions.v1beta1`."""
    version = package.rpartition(".")[2]
    at = hub.schema.rsplit(".", 3)[0]
    return replace(hub, version=version, schema=f"{at}.{package}.{hub.kind}", _cache={}, **changes)


def family(hub: Resource, *others: Resource, functions: Functions | None = None) -> Family:
    """The records with their table; versions without functions of their own have the hub's fields."""
    conversions = dict(functions or {})
    versions = {one.api_version: Version(one.schema, one.default) for one in (hub, *others)}
    for one in others:
        conversions.setdefault((one.api_version, hub.api_version), renamed(hub.api_version))
        conversions.setdefault((hub.api_version, one.api_version), renamed(one.api_version))
    table = ConversionTable(hub.kind, hub.api_version, versions, conversions)
    return tuple(replace(one, conversions=table, _cache={}) for one in (hub, *others))
