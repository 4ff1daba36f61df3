"""Typed objects: what a real server wrote decodes and encodes back without loss."""

import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1


def known(path: Path) -> bool:
    """Whether the fixture is of a kind that today's definitions have."""
    head = json.loads(path.read_bytes())
    return (head.get("apiVersion"), head.get("kind")) in types.KINDS


FIXTURES = [path for path in sorted(Path(__file__).parents[2].joinpath("wire").glob("*.json")) if known(path)]
# StatefulSet's defaults write the type of claim templates, and so do the typed claims.
ADDED = {".spec.volumeClaimTemplates[0].kind", ".spec.volumeClaimTemplates[0].apiVersion"}


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
    raw = path.read_bytes()
    head = json.loads(raw)
    key = head["apiVersion"], head["kind"]
    cls = types.type_of(*key)
    got = json.loads(types.encode(types.decode(raw, cls)))
    assert differences(head, got) - ADDED == set()


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
