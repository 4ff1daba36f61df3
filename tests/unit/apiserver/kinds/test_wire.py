"""Every served kind reads what a real server wrote, as JSON and as protobuf, and loses nothing; its hooks bear objects full of values."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import protobuf
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.schema import compiled

WIRE = Path(__file__).parents[3] / "wire"
ZERO_TIMES = {".status.disruptedPods.disruptedPodsKey"}  # a zero time in a map is as good as none
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def fixture(resource: Resource) -> Path:
    return WIRE / f"{resource.group or 'core'}.{resource.version}.{resource.kind}.json"


SERVED = [resource for resource in RESOURCES if fixture(resource).exists()]
IDS = [f"{resource.group}-{resource.version}-{resource.kind}" for resource in SERVED]


def differences(want: Any, got: Any, path: str = "") -> set[str]:
    if isinstance(want, dict) and isinstance(got, dict):
        found = {f"{path}.{key}" for key in want.keys() ^ got.keys()}
        return found.union(*(differences(want[key], got[key], f"{path}.{key}") for key in want.keys() & got.keys()))
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return set[str]().union(
            *(differences(w, g, f"{path}[{i}]") for i, (w, g) in enumerate(zip(want, got, strict=True)))
        )
    return set() if want == got else {path}


def test_nearly_all_are_there() -> None:
    missing = {f"{r.group}/{r.kind}" for r in RESOURCES} - {f"{r.group}/{r.kind}" for r in SERVED}
    assert missing <= {"apiextensions.k8s.io/CustomResourceDefinition", "apiregistration.k8s.io/APIService"}


@pytest.mark.parametrize("resource", SERVED, ids=IDS)
def test_json_and_protobuf(resource: Resource) -> None:
    raw = fixture(resource).read_bytes()
    want = json.loads(raw)
    got, warnings = compiled(resource).decode(raw, "Strict")
    assert (differences(want, got) - ZERO_TIMES, warnings) == (set(), [])
    sent = protobuf.decode(fixture(resource).with_suffix(".pb").read_bytes())
    assert differences(want, compiled(resource).normalize(sent)[0]) - ZERO_TIMES == set()


@pytest.mark.parametrize("resource", SERVED, ids=IDS)
def test_hooks(resource: Resource) -> None:
    obj = json.loads(fixture(resource).read_bytes())
    resource.default(obj)
    again = copy.deepcopy(obj)
    resource.default(again)
    assert again == obj, "defaults are idempotent"
    new = copy.deepcopy(obj)
    resource.validate(new)
    resource.validate_update(new, obj)
    resource.validate_status(new, obj)
    resource.prepare_update(new, obj)
    if resource.prepare_status:
        resource.prepare_status(new, obj)
    for part in resource.parts.values():
        part.prepare(new, obj)
        part.validate(new, obj)
    if resource.row:
        assert len(resource.row(obj, NOW)) == len(resource.columns)
    assert set(resource.selectable(obj)) == set(resource.selectable_fields)
    resource.prepare_create(new)
