"""Later clusters of a process begin with what the first one worked out, as if each had done so by itself."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.generic.keys import Keys
from pybernetes.store.memory import Snapshot
from pybernetes.testing import TestCluster, template

OF_EACH = ("/configmaps/", "/services/", "/endpoints/", "/endpointslices/", "/ipaddresses/")
NOW = "2026-11-30T20:00:00Z"


def test_identity_and_times_are_new() -> None:
    obj = {
        "metadata": {"name": "n", "uid": "a", "creationTimestamp": "then", "managedFields": [{"time": "then"}]},
        "status": {"conditions": [{"lastTransitionTime": "then", "status": "True"}]},
    }
    plain = {"metadata": {"name": "m", "uid": "b", "creationTimestamp": "then"}, "status": None}
    before = Snapshot({"n": json.dumps(obj).encode(), "m": json.dumps(plain).encode()})
    numbers = count()
    after = template.fresh(before, NOW, lambda: f"u{next(numbers)}")
    renewed = json.loads(json.dumps(obj).replace('"then"', f'"{NOW}"').replace('"a"', '"u0"'))
    assert json.loads(after.values["n"]) == renewed
    assert json.loads(after.values["m"])["metadata"] == {"name": "m", "uid": "u1", "creationTimestamp": NOW}


def test_what_is_of_one_cluster_alone_is_left_out() -> None:
    keys = ("/registry/core/namespaces/default", "/registry/core/configmaps/a/b", "/registry/core/services/a/b")
    assert list(template.template(Snapshot(dict.fromkeys(keys, b"")), Keys()).values) == [keys[0]]


def comparable(value: bytes) -> Any:
    """Without what is another one in each cluster."""
    obj = json.loads(value)
    metadata = obj["metadata"]
    assert metadata.pop("uid") and metadata.pop("creationTimestamp")
    for entry in [*metadata.get("managedFields", ()), *((obj.get("status") or {}).get("conditions") or ())]:
        assert entry.pop("time" if "manager" in entry else "lastTransitionTime")
    return obj


@pytest.fixture
def nothing_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(importlib.import_module("pybernetes.testing.cluster"), "_beginnings", [])
    yield


@pytest.mark.usefixtures("nothing_before")
def test_the_second_cluster_is_as_the_first(tmp_path: Path) -> None:
    async def snapshot(folder: Path) -> Snapshot:
        folder.mkdir()
        one = TestCluster(folder)
        await one.start()
        try:
            return one.snapshot()
        finally:
            await one.stop()

    async def main() -> tuple[Snapshot, Snapshot]:
        return await snapshot(tmp_path / "a"), await snapshot(tmp_path / "b")

    first, second = asyncio.run(main())
    assert set(first.values) == set(second.values)
    shared = [key for key in first.values if not any(part in key for part in OF_EACH)]
    assert len(shared) > 150
    assert {key: comparable(first.values[key]) for key in shared} == {
        key: comparable(second.values[key]) for key in shared
    }
    uids = [json.loads(one.values[key])["metadata"]["uid"] for one in (first, second) for key in shared]
    assert len(uids) == len(set(uids))
