"""A large body is read by pieces as it would be at once, and written so.

Kind: one call into C that is as long as a client's body (decoding, conversion, encoding) holds the event loop. Cut are lists of objects, lists of
lists, lists of very many scalars, maps, what is free of a schema, and items that are large themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver import pieces
from pybernetes.apiserver.generic import reading
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD
from pybernetes.apiserver.schema import CompiledSchema

CONTAINERS = [
    {
        "name": f"c{n}",
        "image": "i",
        "env": [{"name": f"E{m}", "value": 'a,"}]\\' * m} for m in range(n % 5)],
        "resources": {"limits": {"cpu": "1000m"}},
        "ports": [],
    }
    for n in range(60)
]
METADATA = {
    "name": "a",
    "labels": {f"a{n}": "b" for n in range(40)},
    "finalizers": ["a,b", "]", *map(str, range(300))],
    "managedFields": [{"manager": f"m{n}", "fieldsV1": {"f:a": {f"k{m}": {} for m in range(n)}}} for n in range(9)],
    "creationTimestamp": None,
}
BODIES: list[dict[str, Any]] = [
    {"kind": "Pod", "metadata": METADATA, "spec": {"containers": CONTAINERS, "nodeSelector": {"a": "b"}}},
    {"spec": {"containers": [{**CONTAINERS[4], "command": ["x"] * 900}, *CONTAINERS], "volumes": []}},
    {"spec": {"containers": [{}] * 500, "tolerations": [{"key": "a"}] * 90}, "status": None},
    {},
]


@pytest.fixture(params=[(10, 3), (60, 100_000), (700, 40)])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that the bodies have many."""
    monkeypatch.setattr(pieces, "PIECE", request.param[0])
    monkeypatch.setattr(pieces, "ITEMS", request.param[1])
    monkeypatch.setattr(pieces, "PIECE_NODES", request.param[0])


@pytest.fixture
def always(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body is large."""
    monkeypatch.setattr(pieces, "LARGE", 0)


def schema() -> CompiledSchema:
    return CompiledSchema(POD.schema, "v1", "Pod")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("indent", [None, 1])
def test_objects_are_the_same(body: dict[str, Any], indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(body, indent=indent).encode()
    whole = schema().decode(data)
    monkeypatch.setattr(pieces, "LARGE", 0)
    cut = schema().decode(data)
    assert (msgspec.json.encode(cut[0]), cut[1]) == (msgspec.json.encode(whole[0]), whole[1])  # in the same order
    assert pieces.untyped(data) == (body, False)
    assert b"".join(pieces.encode(whole[0])) == msgspec.json.encode(whole[0])


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"image": "i"', '"image": "i", "image": "j"', 1),
        lambda text: text.replace('"name": "c59"', '"name": "c59", "name": "c0"'),
        lambda text: text.replace('"spec": ', '"spec": {}, "spec": ', 1),
        lambda text: text.replace('"a7": "b"', '"a7": "b", "a7": "b"'),
        lambda text: text.replace('"a39": "b"', '"a0": "b"'),  # far from the first
    ],
)
def test_what_is_there_twice_is_told(change: Callable[[str], str]) -> None:
    text = change(json.dumps(BODIES[0]))
    assert schema().decode(text.encode())[1][0].startswith('duplicate field "')
    assert pieces.untyped(text.encode())[1]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (json.dumps(BODIES[0]).replace('"c7"', "7"), "cannot unmarshal number"),
        (json.dumps(BODIES[0])[:-2], "unexpected end of JSON input"),
        (json.dumps(BODIES[1]).replace("{}]", "{},]"), ""),
        ('{"spec":{"containers":[' + "1," * 500 + "1]}}", "cannot unmarshal number"),
        ('{"spec":{"containers":[' + "{}," * 500 + "]}}", "invalid character ']'"),
        ('{"spec":{"containers":"[' + "{}," * 500 + ']"}}', "cannot unmarshal string"),
    ],
)
def test_refusals_have_the_same_words(text: str, why: str) -> None:
    if why:
        with pytest.raises(StatusError, match=why.replace("[", r"\[")):
            schema().decode(text.encode())
    else:
        schema().decode(text.encode())


@pytest.mark.usefixtures("small")
def test_a_list_of_spaces_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is left out, or written as null, as the field's type says."""
    parts = (b'{"metadata":{"finalizers":[', b'],"name":"a"},"spec":{"containers":[', b"]}}")
    obj = schema().decode(b"".join(parts))[0]
    monkeypatch.setattr(pieces, "LARGE", 0)
    assert schema().decode((b" " * 5_000).join(parts))[0] == obj


def test_items_are_cut_between_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commas in strings and in deeper values look like those between items."""
    monkeypatch.setattr(pieces, "PIECE", 20)
    monkeypatch.setattr(pieces, "ITEMS", 3)
    for items in (['a,"b', "],[", "\\", "},{"] * 30, [{"a": [1, {"b": "},"}]}] * 30, [["],", [1, 2]], []] * 40):
        assert pieces.untyped(json.dumps({"x": items, "pad": "a" * pieces.LARGE}).encode())[0]["x"] == items


def test_what_is_too_large_is_not_written_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LARGE", 0)
    written: list[bytes] = []

    def escaped(piece: bytes) -> bytes:
        written.append(piece)
        return piece

    monkeypatch.setattr(reading, "escaped", escaped)
    obj = {"apiVersion": "v1", "kind": "A", "metadata": {}, "items": [{"name": "a"}] * 100_000}
    with pytest.raises(reading.TooLong):
        reading.encode(obj, size=1, most=100_000)
    assert sum(map(len, written)) < 200_000
