"""Every kind has a form in protobuf, made once for each object."""

import asyncio
from typing import Any

import msgspec
import pytest

from pybernetes.api import protobuf
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.endpoints import packing
from pybernetes.apiserver.generic.cache import Stored
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.kinds.core import configmap
from pybernetes.apiserver.resource import Resource


def stored(obj: Any) -> Stored:
    whole = {"apiVersion": "v1", "kind": "ConfigMap", **obj}
    return Stored("k", msgspec.json.encode(whole), 7)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.group}/{r.version}/{r.name}")
def test_every_kind_has_a_message(resource: Resource) -> None:
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "a"}}
    assert protobuf.decode(packing.whole(obj))["metadata"] == {"name": "a"}
    if "list" in resource.verbs:
        meta = {"resourceVersion": "5", "continue": "c", "remainingItemCount": 2}
        listed = protobuf.decode(b"".join(asyncio.run(packing.list_of(resource, [], meta))))
        assert (listed["kind"], listed["apiVersion"]) == (resource.list_kind, resource.api_version)
        assert listed["metadata"] == {"resourceVersion": "5", "continue": "c", "remainingItemCount": 2}


def test_an_object_is_packed_once() -> None:
    one = stored({"metadata": {"name": "a"}, "data": {"x": "y"}})
    first = packing.body(configmap.RESOURCE, one)
    assert packing.body(configmap.RESOURCE, one) is first
    one.data = one.data.replace(b'"y"', b'"z"')
    assert packing.body(configmap.RESOURCE, one) != first


def test_long_lists_let_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(other())
        data = {"x": "y" * (packing.SLICE_BYTES // 2)}
        items = [stored({"metadata": {"name": "a"}, "data": data}) for _ in range(9)]
        pieces = list(await packing.list_of(configmap.RESOURCE, items, {}))
        task.cancel()
        assert len(pieces) > 3, "nobody joins them all"
        assert len(protobuf.decode(b"".join(pieces))["items"]) == 9

    asyncio.run(main())
    assert turns >= 3


def test_what_has_no_form() -> None:
    with pytest.raises(StatusError, match="the object has no form in protobuf") as refused:
        packing.whole({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 5}})
    assert refused.value.code == 500
