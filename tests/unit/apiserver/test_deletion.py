"""What a deletion leaves on an object."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic import deletion
from pybernetes.apiserver.generic.options import DeleteOptions
from pybernetes.apiserver.kinds.core.configmap import RESOURCE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRACEFUL = replace(RESOURCE, graceful=lambda obj, asked: 30 if asked is None else asked)
ORPHANING = replace(RESOURCE, default_propagation="orphan")


def obj(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "uid": "u", "resourceVersion": "5", **metadata}}


@pytest.mark.parametrize(
    ("resource", "present", "propagation", "finalizers", "gone"),
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
    ],
)
def test_finalizers(resource: Any, present: list[str], propagation: str, finalizers: Any, gone: bool) -> None:
    old = obj(finalizers=present) if present else obj()
    new, free = deletion.marked(resource, old, DeleteOptions(propagation=propagation), NOW)
    assert (new["metadata"].get("finalizers"), free) == (finalizers, gone)
    assert "deletionTimestamp" not in old["metadata"]


def test_grace_only_gets_shorter() -> None:
    first, gone = deletion.marked(GRACEFUL, obj(), DeleteOptions(), NOW)
    assert not gone
    assert first["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    longer, _ = deletion.marked(GRACEFUL, first, DeleteOptions(grace_period_seconds=60), NOW)
    assert longer == first
    shorter, _ = deletion.marked(GRACEFUL, first, DeleteOptions(grace_period_seconds=10), NOW)
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:10Z"
    _, gone = deletion.marked(GRACEFUL, shorter, DeleteOptions(grace_period_seconds=0), NOW)
    assert gone


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
