"""Cells of rarely used kinds, and the columns of all: as many cells as columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.resource import Resource

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
TABLE: dict[str, Resource] = {f"{r.name}.{r.group}": r for r in RESOURCES}
META = {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("name", "obj", "cells"),
    [
        (
            "devicetaintrules.resource.k8s.io",
            {"spec": {"taint": {"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:30:00Z"}}},
            ["a", "k", "", "NoExecute", "30m", "60m"],
        ),
        (
            "storageversionmigrations.storagemigration.k8s.io",
            {"spec": {"resource": {"group": "apps", "resource": "deployments"}}},
            ["a", "deployments.apps"],
        ),
        (
            "ipaddresses.networking.k8s.io",
            {"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}},
            ["a", "services/n/s"],
        ),
        ("resourceslices.resource.k8s.io", {"spec": {"allNodes": True, "driver": "d"}}, ["a", "", "d", "", "60m"]),
        (
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            {"spec": {"policyName": "p", "paramRef": {"name": "c"}}},
            ["a", "p", "*/c", "60m"],
        ),
        (
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            {"spec": {"policyName": "p", "paramRef": {"name": "c", "namespace": "n"}}},
            ["a", "p", "n/c", "60m"],
        ),
        (
            "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
            {"spec": {"policyName": "p", "paramRef": {"selector": {}}}},
            [
                "a",
                "p",
                "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}",
                "60m",
            ],
        ),
    ],
)
def test_row(name: str, obj: dict[str, Any], cells: list[Any]) -> None:
    row = TABLE[name].row
    assert row
    assert row({"metadata": META, **obj}, NOW) == cells


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.row], ids=lambda r: f"{r.name}.{r.group}")
def test_as_many_cells_as_columns(resource: Resource) -> None:
    assert resource.row
    assert len(resource.row({"metadata": META}, NOW)) == len(resource.columns)
