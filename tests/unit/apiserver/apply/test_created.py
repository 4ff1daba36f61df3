"""managedFields of a new object: what nobody manages is left out before the fields are looked at, and that must change nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.apply import fieldmanager, managed
from pybernetes.apiserver.apply.fieldmanager import Context
from pybernetes.apiserver.schema import compiled_type

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SYSTEM = {"name": "a", "namespace": "n", "uid": "u", "creationTimestamp": "2026-01-01T12:00:00Z", "generation": 1}
CONFIG_MAP = ("io.k8s.api.core.v1.ConfigMap", "v1", "ConfigMap")
POD = ("io.k8s.api.core.v1.Pod", "v1", "Pod")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (CONFIG_MAP, {}),
        (CONFIG_MAP, {"metadata": SYSTEM}),
        (CONFIG_MAP, {"metadata": SYSTEM, "data": {"a": "b"}}),
        (CONFIG_MAP, {"metadata": {**SYSTEM, "labels": {"app": "x"}, "finalizers": ["a/b"]}, "data": {}}),
        (POD, {"metadata": SYSTEM, "spec": {"containers": [{"name": "c", "image": "i", "env": []}]}}),
        (
            POD,
            {"metadata": {**SYSTEM, "generateName": "a-"}, "spec": {"containers": []}, "status": {"phase": "Pending"}},
        ),
    ],
)
def test_it_is_what_an_update_of_the_empty_object_gives(kind: tuple[str, str, str], fields: dict[str, Any]) -> None:
    schema = compiled_type(*kind)
    context = Context(schema.apply_node, kind[1], schema.zero, ("status",), NOW)
    obj = {"apiVersion": kind[1], "kind": kind[2], **fields}
    entries: managed.Managed = {}
    who = managed.identity("m", "Update", kind[1], "")
    asyncio.run(fieldmanager._update(context, schema.zero, obj, entries, who))
    assert asyncio.run(fieldmanager.created(context, obj, "m")) == managed.encode(entries)
