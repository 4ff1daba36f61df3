"""The recorded single requests, played through defaults, preparation and checks alone: no server, no admission."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
import yaml

from pybernetes.api.field import Path
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.kinds.meta import name_errors, validate_object_meta
from pybernetes.apiserver.resource import Errors, Object, Resource
from pybernetes.apiserver.schema import compiled
from tests.api.differences import DIFFERENCES
from tests.recorded import Change, amended

GOLDEN = File(__file__).resolve().parents[3] / "golden" / "kinds"
GROUPS = {"core": "", "apps": "apps", "batch": "batch"}
TABLE = {(r.group, r.name): r for r in RESOURCES}
UID = "11111111-2222-3333-4444-555555555555"

# Without the allocation of addresses, which refuses these before the rest is looked at (tests/api/differences.py).
UNALLOCATED = "core/service/invalid-addresses"
SOURCE_RANGES = (
    Change(1, "body.details.causes[4].field", "spec.LoadBalancerSourceRanges[0]"),
)  # each has an index since 1.33
# Not for these functions alone: the body cannot be decoded, or admission gives what is compared.
ELSEWHERE = ("wrong-types", "load-balancer")


def changes(name: str) -> tuple[Change, ...]:
    """What upstream says otherwise today."""
    if name == UNALLOCATED:
        return SOURCE_RANGES
    return tuple(change for difference in DIFFERENCES.get(f"kinds/{name}", ()) for change in difference.changes)


def cases() -> Iterator[Any]:
    for folder in GROUPS:
        for file in sorted((GOLDEN / folder).rglob("*.yaml")):
            name = str(file.relative_to(GOLDEN).with_suffix(""))
            if any(word in name for word in ELSEWHERE):
                continue
            case = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
            for number, step in enumerate(case["steps"], 1):
                if str(step.get("do", "")).startswith("POST ") and "body" in step and not step.get("any"):
                    expect = amended(step["expect"], [c for c in changes(name) if c.step == number])
                    yield pytest.param({**step, "expect": expect}, case.get("ignore", []), id=f"{name}-{number}")


def resource_of(request: str) -> Resource:
    parts = request.split()[1].split("?")[0].strip("/").split("/")
    return TABLE["" if parts[0] == "api" else parts[1], parts[-1]]


def admitted(resource: Resource, obj: Object) -> None:
    """A stand-in for the plug-in that gives every pod an account."""
    if resource.kind == "Pod":
        obj["spec"]["serviceAccountName"] = obj["spec"].get("serviceAccountName") or "default"


def created(resource: Resource, body: Any) -> tuple[Object, Errors]:
    schema = compiled(resource)
    obj, _ = schema.decode(json.dumps(body).encode(), "Ignore")
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    meta = obj.setdefault("metadata", {})
    meta["uid"] = UID
    if resource.namespaced:
        meta["namespace"] = "ns"
    resource.default(obj)
    admitted(resource, obj)
    resource.prepare_create(obj)
    errors = validate_object_meta(meta, resource.namespaced, name_errors(resource.name_check), Path("metadata"))
    return obj, errors + resource.validate(obj)


def filled(value: Any) -> Any:
    """The recorded texts with the names that the run would have chosen."""
    text = json.dumps(value).replace("{ns}", "ns").replace("{run}", "run")
    return json.loads(text)


def missing(expected: Any, found: Any, path: str, ignored: list[str]) -> Iterator[str]:
    """Where what was recorded is not there."""
    if path in ignored or (isinstance(expected, str) and expected.startswith("<") and expected.endswith(">")):
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            yield from missing(value, found.get(key), f"{path}.{key}" if path else key, ignored)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, value in enumerate(expected):
            yield from missing(value, found[index], f"{path}.{index}", ignored)
    elif expected != found:
        yield f"{path}: {found!r}, not {expected!r}"


@pytest.mark.parametrize(("step", "ignored"), list(cases()))
def test_recorded_request(step: dict[str, Any], ignored: list[str]) -> None:
    resource, expected = resource_of(step["do"]), filled(step["expect"])
    obj, errors = created(resource, filled(step["body"]))
    if expected["code"] == 201:
        assert not errors
        spec = {
            key: value
            for key, value in expected.get("body", {}).items()
            if key not in ("metadata", "kind", "apiVersion")
        }
        given_by_others = ["spec.tolerations", "spec.priority", "spec.preemptionPolicy", "spec.serviceAccount"]
        addresses = ["spec.clusterIP", "spec.clusterIPs", "spec.ports.0.nodePort", "spec.healthCheckNodePort"]
        assert not list(missing(spec, obj, "", [*ignored, *given_by_others, *addresses]))
        return
    assert expected["code"] == 422
    assert errors
    causes = sorted((c["field"], c["reason"]) for c in expected["body"]["details"].get("causes", []))
    assert sorted((e.field, e.reason) for e in errors) == causes


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.group in GROUPS.values() and r.version == "v1"])
def test_hooks_take_an_empty_object_and_defaults_are_idempotent(resource: Resource) -> None:
    schema = compiled(resource)
    obj, _ = schema.decode(b"{}", "Ignore")
    obj.setdefault("metadata", {}).update({"name": "a", "uid": UID})
    resource.default(obj)
    once = json.dumps(obj, sort_keys=True)
    resource.default(obj)
    assert json.dumps(obj, sort_keys=True) == once
    resource.prepare_create(obj)
    resource.validate(obj)
    resource.validate_update(obj, obj)
    resource.validate_status(obj, obj)
    resource.prepare_update(obj, json.loads(once))
    if resource.prepare_status:
        resource.prepare_status(obj, json.loads(once))
    assert set(resource.selectable(obj)) == set(resource.selectable_fields)
    if resource.row:
        from datetime import UTC, datetime

        assert len(resource.row(obj, datetime(2026, 1, 1, tzinfo=UTC))) == len(resource.columns)
