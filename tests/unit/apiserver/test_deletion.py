"""What a deletion leaves on an object."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.apiserver.generic import deletion
from pybernetes.apiserver.generic.options import DeleteOptions
from pybernetes.apiserver.kinds.core.configmap import RESOURCE
from pybernetes.apiserver.kinds.core.event import RESOURCE as EVENTS
from pybernetes.apiserver.kinds.core.namespace import RESOURCE as NAMESPACES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRACEFUL = replace(RESOURCE, graceful=lambda obj, asked: 30 if asked is None else asked)
ORPHANING = replace(RESOURCE, default_propagation="orphan")


def obj(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "uid": "u", "resourceVersion": "5", **metadata}}


@pytest.mark.parametrize(
    ("resource", "present", "propagation", "finalizers", "removed"),
    [
        (RESOURCE, [], "", None, True),
        (RESOURCE, ["x"], "", ["x"], False),
        (RESOURCE, ["x"], "Foreground", ["x", "foregroundDeletion"], False),
        (RESOURCE, [], "Orphan", ["orphan"], False),
        (RESOURCE, ["orphan"], "Background", None, True),
        (RESOURCE, ["foregroundDeletion"], "", ["foregroundDeletion"], False),
        (RESOURCE, ["orphan", "x"], "Foreground", ["x", "foregroundDeletion"], False),
        (ORPHANING, [], "", ["orphan"], False),
        (ORPHANING, [], "Background", None, True),
        (EVENTS, [], "Orphan", None, True),
        (EVENTS, ["foregroundDeletion"], "", None, True),
    ],
)
def test_finalizers(resource: Any, present: list[str], propagation: str, finalizers: Any, removed: bool) -> None:
    old = obj(finalizers=present) if present else obj()
    step = deletion.marked(resource, old, DeleteOptions(propagation=propagation), NOW)
    assert step.removed == removed
    if removed:
        assert step.written is None
    else:
        assert step.written is not None
        metadata = step.written["metadata"]
        assert (metadata["finalizers"], metadata["deletionGracePeriodSeconds"]) == (finalizers, 0)
        assert metadata["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert "deletionTimestamp" not in old["metadata"]


def at(seconds: int) -> str:
    """A time of the test, as metav1.Time."""
    return format_time(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("present", "asked", "later", "period", "time", "removed"),
    [
        (None, None, 0, 30, 30, False),
        (None, 5, 0, 5, 5, False),
        (None, 0, 0, 0, 0, True),
        (None, -7, 0, 1, 1, False),
        (30, None, 1, None, None, False),
        (30, 60, 1, None, None, False),
        (30, 30, 1, None, None, False),
        (30, 10, 1, 10, 10, False),
        (30, 0, 1, 0, 1, True),  # never dated back
        (30, 10, 20, 1, 20, False),
        (0, 0, 1, None, None, True),  # marked, and not removed: somebody was cut off between
        (0, None, 1, None, None, True),
    ],
)
def test_grace_only_gets_shorter(present: Any, asked: Any, later: int, period: Any, time: Any, removed: bool) -> None:
    marks = {} if present is None else {"deletionTimestamp": at(present), "deletionGracePeriodSeconds": present}
    now = NOW + timedelta(seconds=later)
    step = deletion.marked(GRACEFUL, obj(**marks), DeleteOptions(grace_period_seconds=asked), now)
    assert step.removed == removed
    if period is None:
        assert step.written is None
        return
    assert step.written is not None
    metadata = step.written["metadata"]
    assert (metadata["deletionGracePeriodSeconds"], metadata["deletionTimestamp"]) == (period, at(time))


@pytest.mark.parametrize(
    ("present", "period", "time"),
    [
        (None, 2**31, "2094-01-19T03:14:08Z"),
        (None, 9223372036, "2318-04-12T23:47:16Z"),  # the last that int64 nanoseconds hold
        (None, 9223372037, "1733-09-22T00:12:43Z"),  # they have run over
        (None, 2**62, "2026-01-01T00:00:00Z"),  # a multiple of 2**64 nanoseconds
        (None, 2**63 - 1, "2025-12-31T23:59:59Z"),
        (2**40, 2**31, "2325-02-28T01:11:39Z"),
    ],
)
def test_grace_periods_run_over_as_gos_durations_do(present: Any, period: int, time: str) -> None:
    """Any int64 is a grace period: of DeleteOptions, of the query, of a pod's spec, of one that is pending."""
    marks = {} if present is None else {"deletionTimestamp": at(5), "deletionGracePeriodSeconds": present}
    step = deletion.marked(GRACEFUL, obj(**marks), DeleteOptions(grace_period_seconds=period), NOW)
    assert step.written is not None
    assert step.written["metadata"]["deletionTimestamp"] == time


def test_a_second_deletion_leaves_finalizers_alone_while_the_first_is_pending() -> None:
    old = obj(deletionTimestamp=at(30), deletionGracePeriodSeconds=30, finalizers=["x"])
    assert deletion.marked(GRACEFUL, old, DeleteOptions(propagation="Orphan"), NOW) is deletion.PENDING
    shorter = deletion.marked(GRACEFUL, old, DeleteOptions(propagation="Orphan", grace_period_seconds=0), NOW)
    assert shorter.written is not None
    assert shorter.written["metadata"]["finalizers"] == ["x", "orphan"]
    assert not shorter.removed


def test_definitions_and_namespaces_are_marked_by_themselves() -> None:
    step = deletion.marked(NAMESPACES, {**obj(), "spec": {}}, DeleteOptions(), NOW)
    assert step.written is not None
    assert not step.removed
    assert "deletionGracePeriodSeconds" not in step.written["metadata"]
    assert deletion.marked(NAMESPACES, step.written, DeleteOptions(), NOW) == deletion.Marked(None, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DeleteOptions(uid="u", resource_version="5"), ""),
        (DeleteOptions(uid="v"), "deleted and then recreated"),
        (DeleteOptions(resource_version="4"), "modified"),
    ],
)
def test_preconditions(options: DeleteOptions, message: str) -> None:
    if not message:
        deletion.check(RESOURCE, obj(), options)
        return
    with pytest.raises(StatusError, match=message):
        deletion.check(RESOURCE, obj(), options)
