"""Typed objects: what a real server wrote decodes and encodes back without loss."""

import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import apps_v1, core_v1

from .wire import FIXTURES, load

# Typed objects inside others name their kind, which the reference objects leave out: StatefulSet's defaults write it of claim
# templates, and an answer to an admission review may have it in its status.
ADDED = {f".spec.volumeClaimTemplates[0].{key}" for key in ("kind", "apiVersion")} | {
    f".response.status.{key}" for key in ("kind", "apiVersion")
}


def differences(want: Any, got: Any, path: str = "") -> set[str]:
    """Paths at which two JSON values differ."""
    if isinstance(want, dict) and isinstance(got, dict):
        found = {f"{path}.{key}" for key in want.keys() ^ got.keys()}
        return found.union(*(differences(want[key], got[key], f"{path}.{key}") for key in want.keys() & got.keys()))
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return set[str]().union(
            *(differences(w, g, f"{path}[{i}]") for i, (w, g) in enumerate(zip(want, got, strict=True)))
        )
    return set() if want == got else {path}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_fixture_survives(path: Path) -> None:
    want, key = load(path)
    got = json.loads(types.encode(types.decode(path.read_bytes(), types.type_of(*key))))
    assert differences(want, got) - ADDED == set()


def test_there_are_fixtures() -> None:
    assert len(FIXTURES) > 150


@pytest.mark.parametrize("key", [("v1", "Nonsense"), ("apps/v9", "Deployment"), ("extensions/v1beta1", "Pod")])
def test_no_such_kind(key: tuple[str, str]) -> None:
    with pytest.raises(KeyError):
        types.type_of(*key)


def test_options_belong_to_every_group_version() -> None:
    assert types.type_of("apps/v1", "ListOptions") is types.type_of("v1", "ListOptions")


def test_a_raw_object_that_is_not_there_is_null() -> None:
    review = types.decode(
        b'{"request":{"uid":"1","object":null}}', types.type_of("admission.k8s.io/v1", "AdmissionReview")
    )
    assert json.loads(types.encode(review))["request"] == {
        "uid": "1",
        "kind": {"group": "", "version": "", "kind": ""},
        "resource": {"group": "", "version": "", "resource": ""},
        "operation": "",
        "userInfo": {},
        "object": None,
        "oldObject": None,
        "options": None,
    }
    assert json.loads(types.encode(apps_v1.ControllerRevision()))["data"] is None


def test_zero_values_are_written_as_go_writes_them() -> None:
    pod = core_v1.Pod()
    pod.spec.containers.append(core_v1.Container(name="c"))
    assert json.loads(types.encode(pod)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {},
        "spec": {"containers": [{"name": "c", "resources": {}}]},
        "status": {},
    }


def test_null_stands_for_the_zero_value() -> None:
    pod = types.decode(b'{"metadata":{"name":"a","labels":null},"spec":{"containers":null}}', core_v1.Pod)
    assert (pod.metadata.name, pod.metadata.labels, pod.spec.containers) == ("a", {}, [])


def test_quantities_are_canonical() -> None:
    raw = b'{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1000m","memory":1024}}}]}}'
    requests = types.decode(raw, core_v1.Pod).spec.containers[0].resources.requests
    assert {name: str(quantity) for name, quantity in requests.items()} == {"cpu": "1", "memory": "1024"}
