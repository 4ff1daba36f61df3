"""Every built-in kind of the GA group-versions is served, and each record is whole."""

from __future__ import annotations

import re

import pytest

from pybernetes.api import types
from pybernetes.api.names import dns1123_label_errors
from pybernetes.apiserver.documents.discovery import SUBRESOURCES
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.schema import definitions

# Answers and options, and what is reached as a subresource of another kind.
NO_RESOURCES = {"APIGroup", "APIVersions", "APIResourceList", "Status", "Scale", "Eviction", "TokenRequest"}
# Custom resources have an issue of their own.
TO_COME = {("apiextensions.k8s.io/v1", "CustomResourceDefinition")}

IDS = [f"{resource.api_version}-{resource.kind}" for resource in RESOURCES]


def test_every_kind_is_served() -> None:
    wanted = {
        (version, kind)
        for version, kind in types.KINDS
        if re.fullmatch(r"(.*/)?v\d+", version) and not kind.endswith("List") and kind not in NO_RESOURCES
    }
    assert wanted - {(r.api_version, r.kind) for r in RESOURCES} - TO_COME == set()


def test_nothing_is_served_twice() -> None:
    paths = [(r.group, r.version, r.name) for r in RESOURCES]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("resource", RESOURCES, ids=IDS)
def test_records(resource: Resource) -> None:
    assert resource.schema in definitions()
    assert dns1123_label_errors(resource.name) == []
    assert bool(resource.columns) == bool(resource.row)
    assert set(resource.parts) <= set(resource.subresources)
    assert set(resource.subresources) - {"proxy"} <= set(SUBRESOURCES)
    for name, part in resource.parts.items():
        assert sorted(part.verbs) == sorted(SUBRESOURCES[name][0])
