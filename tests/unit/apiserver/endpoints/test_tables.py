"""Lists as bytes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pybernetes.apiserver.endpoints import tables
from pybernetes.apiserver.generic.cache import Stored
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize("count", [0, 1, 7, 3000])
def test_the_pieces_of_a_list_are_the_list(custom: bool, count: int) -> None:
    """However many there are, and wherever they are cut."""
    resource = dataclasses.replace(POD, unstructured=custom)
    value = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p%d"},"spec":{"nodeName":"%b"}}'
    items = [Stored(f"/pods/{n}", value % (n, b"x" * 50), n + 1) for n in range(count)]
    pieces = list(tables.list_pieces(resource, items, b'{"resourceVersion":"9"}'))
    assert b"".join(pieces) == tables.list_bytes(resource, items, b'{"resourceVersion":"9"}')
    assert len(json.loads(b"".join(pieces))["items"]) == count
    assert max(map(len, pieces)) < 2 * tables.PIECE
