"""A kind in several versions is a table of functions; the versions that have none between them go by way of the hub."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pybernetes.apiserver.conversion import ConversionTable, UnknownVersion, Version
from pybernetes.apiserver.kinds import RESOURCES

Object = dict[str, Any]


def renamed(*steps: str) -> Any:
    def convert(obj: Object) -> Object:
        return {**obj, "apiVersion": steps[-1], "way": [*obj.get("way", ()), "->".join(steps)]}

    return convert


def table() -> ConversionTable:
    pairs = [
        ("old", "hub"),
        ("hub", "old"),
        ("new", "hub"),
        ("hub", "new"),
        ("new", "newer"),
        ("newer", "hub"),
        ("hub", "newer"),
    ]
    return ConversionTable(
        kind="K",
        hub="hub",
        versions={
            "hub": Version("h", lambda obj: obj.setdefault("defaulted", "hub")),
            "old": Version("o"),
            "new": Version("n"),
            "newer": Version("w"),
        },
        functions={pair: renamed(*pair) for pair in pairs},
    )


@pytest.mark.parametrize(
    ("start", "end", "way"),
    [
        ("old", "old", []),
        ("old", "hub", ["old->hub"]),
        ("old", "new", ["old->hub", "hub->new"]),
        ("new", "newer", ["new->newer"]),
        ("newer", "new", ["newer->hub", "hub->new"]),
    ],
)
def test_the_way(start: str, end: str, way: list[str]) -> None:
    [converted] = asyncio.run(table().convert([{"apiVersion": start}], end))
    assert (converted["apiVersion"], converted.get("way", [])) == (end, way)


def test_what_is_no_version() -> None:
    for start, end in (("old", "v9"), ("v9", "hub"), ("v9", "v9")):
        with pytest.raises(UnknownVersion):
            table().converted({"apiVersion": start}, end)
    with pytest.raises(UnknownVersion):
        table().schema("v9")


def test_defaults_are_those_of_the_object_s_version() -> None:
    objects: list[Object] = [{"apiVersion": version} for version in ("hub", "old", "v9")]
    for obj in objects:
        table().default(obj)
    assert [obj.get("defaulted") for obj in objects] == ["hub", None, None]


def test_every_kind_that_is_served_in_several_versions_has_its_functions() -> None:
    """Each version is reached from each; all versions of a kind are stored in one place, as its hub."""
    tables = {id(r.conversions): r.conversions for r in RESOURCES if r.conversions is not None}
    assert len(tables) >= 2
    for conversions in tables.values():
        assert isinstance(conversions, ConversionTable)
        served = [r for r in RESOURCES if r.conversions is conversions]
        assert {r.api_version for r in served} <= set(conversions.versions)
        assert {r.stored_at for r in served} == {next(r.stored_at for r in served if r.api_version == conversions.hub)}
        for version in conversions.versions:
            conversions.schema(version)
            if version != conversions.hub:
                assert {(version, conversions.hub), (conversions.hub, version)} <= conversions.functions.keys()
