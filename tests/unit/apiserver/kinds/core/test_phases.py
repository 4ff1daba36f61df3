"""What is filled in where nothing, or an empty object, was given: probes, and the time of a volume's phase."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.kinds.core import persistentvolume
from pybernetes.apiserver.kinds.core.poddefaults import default_container
from pybernetes.apiserver.resource import Stamp

DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


@pytest.mark.parametrize("name", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({}, {}),
        ({"httpGet": {}}, {"httpGet": {"path": "/", "scheme": "HTTP"}}),
        ({"grpc": {}}, {"grpc": {"service": ""}}),
        ({"periodSeconds": 0}, {}),
    ],
)
def test_probes(name: str, given: Any, more: Any) -> None:
    container: dict[str, Any] = {"name": "c", name: deepcopy(given)}
    default_container(container)
    assert container[name] == {**DEFAULTS, **more}


THEN, LATER, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-02-03T04:05:06Z"


@pytest.mark.parametrize(
    ("subresource", "before", "after", "told"),
    [
        ("status", {"phase": "Pending"}, {"phase": "Available"}, NOW),
        ("status", {"phase": "Pending", "lastPhaseTransitionTime": THEN}, {"phase": "Bound"}, NOW),
        (
            "status",
            {"phase": "Pending", "lastPhaseTransitionTime": THEN},
            {"phase": "Bound", "lastPhaseTransitionTime": THEN},
            NOW,
        ),
        (
            "status",
            {"phase": "Pending", "lastPhaseTransitionTime": THEN},
            {"phase": "Bound", "lastPhaseTransitionTime": LATER},
            LATER,
        ),
        (
            "status",
            {"phase": "Bound", "lastPhaseTransitionTime": THEN},
            {"phase": "Bound", "lastPhaseTransitionTime": THEN, "message": "m"},
            THEN,
        ),
        (
            "",
            {"phase": "Bound", "lastPhaseTransitionTime": THEN},
            {"phase": "Bound", "lastPhaseTransitionTime": THEN},
            THEN,
        ),
    ],
)
def test_since_when_a_volume_is_in_its_phase(subresource: str, before: Any, after: Any, told: str) -> None:
    by = Stamp(User("u"), datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), subresource)
    volume = {"status": dict(after)}
    persistentvolume.stamp(volume, {"status": before}, by)
    assert volume["status"]["lastPhaseTransitionTime"] == told


def test_a_new_volume_is_pending_since_now() -> None:
    volume: dict[str, Any] = {"spec": {}, "status": {"phase": "Bound", "lastPhaseTransitionTime": THEN}}
    persistentvolume.prepare_create(volume)
    persistentvolume.stamp(volume, None, Stamp(User("u"), datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)))
    assert volume["status"] == {"phase": "Pending", "lastPhaseTransitionTime": NOW}
