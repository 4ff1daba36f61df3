"""APIService."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.bootstrap import objects as bootstrap
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.kinds.apiregistration import apiservice

from ..tables import refusals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE: Any = {
    "metadata": {"name": "v1.a.io"},
    "spec": {
        "group": "a.io",
        "version": "v1",
        "groupPriorityMinimum": 1,
        "versionPriority": 1,
        "service": {"namespace": "n", "name": "s", "port": 443},
    },
}


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, []),
        ({"metadata": {"name": "v1"}}, ["metadata.name Invalid"]),
        (
            {"spec": {"groupPriorityMinimum": 20001, "versionPriority": 0}},
            ["spec.groupPriorityMinimum Invalid", "spec.versionPriority Invalid"],
        ),
        ({"spec": {"service": {"name": "", "port": 0}}}, ["spec.service.name Required", "spec.service.port Invalid"]),
        ({"spec": {"insecureSkipTLSVerify": True, "caBundle": "eA=="}}, ["spec.insecureSkipTLSVerify Invalid"]),
        (
            {"spec": {"service": None, "insecureSkipTLSVerify": True, "caBundle": "eA=="}},
            ["spec.caBundle Invalid", "spec.insecureSkipTLSVerify Invalid"],
        ),
        ({"metadata": {"name": "v2."}, "spec": {"group": "", "version": "v2"}}, ["spec.group Required"]),
    ],
)
def test_refused(change: Any, refused: list[str]) -> None:
    assert refusals(apiservice.validate, BASE, change) == refused


def test_local_ones_are_valid_and_available() -> None:
    made = bootstrap.api_services(RESOURCES, "2026-01-01T00:00:00Z")
    assert [apiservice.validate(one) for one in made] == [[]] * len(made)
    assert {"v1.", "v1.apps", "v2.autoscaling"} <= {one["metadata"]["name"] for one in made}
    assert apiservice.row(made[0], NOW)[1:3] == ["Local", "True"]
    assert apiservice.row(BASE, NOW)[1:3] == ["n/s", "Unknown"]
