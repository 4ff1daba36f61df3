"""Every list and map of every kind is checked with work that grows as the list: found in the schemas, so that a new field is tested, too.

Of a list of so many items, all different and all the same, what defaults, validation (of a new object and of a changed one), warnings and the
words of refusals take is counted.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.apiserver.generic import strategy
from pybernetes.apiserver.kinds import RESOURCES, meta
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.schema import compiled, definitions

from .effort import SLACK, TOO_MUCH, counting, measured

Schema = Mapping[str, Any]
Place = tuple[str | int, ...]

STEPS = (50, 100, 200)
DEPTH = 9  # of places: recursive schemas end there
LEFT_OUT = (
    "JSONSchemaProps",
    "PodTemplateSpec",
    "ManagedFieldsEntry",
)  # recursive; tested as a pod's; checked by apply
ALIKE = ("initContainers", "ephemeralContainers")  # what is in them is checked as what is in containers
COPIED = ("persistentvolumeclaims",)  # through JSON, by an encoder that takes no strings that count
PLAIN = {"Quantity": "1", "Time": "2020-01-01T00:00:00Z", "MicroTime": "2020-01-01T00:00:00.000000Z"}


def resolved(schema: Schema) -> tuple[str, Schema]:
    """(short name of the definition, the schema itself)."""
    name = ""
    while "$ref" in schema:
        full = schema["$ref"].rsplit("/", 1)[1]
        name, schema = full.rsplit(".", 1)[1], definitions()[full]
    return name, schema


def places(schema: Schema, before: Place = (), above: tuple[str, ...] = ()) -> Iterator[Place]:
    """Where there are lists and maps."""
    name, schema = resolved(schema)
    if name in above or name in LEFT_OUT or len(above) > DEPTH:
        return
    for key, below in (schema.get("properties") or {}).items():
        _, plain = resolved(below)
        items = plain.get("items") if plain.get("type") == "array" else plain.get("additionalProperties")
        if isinstance(items, Mapping):
            yield (*before, key)
            yield from places(items, (*before, key, 0), (*above, name))
        elif plain.get("properties"):
            yield from places(below, (*before, key), (*above, name))


def value(schema: Schema, number: int, depth: int = 0) -> Any:
    """One of the schema, that `number` tells from others."""
    name, schema = resolved(schema)
    if name in PLAIN:
        return PLAIN[name]
    match schema.get("type"):
        case "integer":
            return 1 + number % 40  # within the bounds of most, whatever the count
        case "number":
            return 1.5
        case "boolean":
            return True
        case "array":
            return [value(schema["items"], 0, depth + 1)] if depth < 2 else []
        case "object" if schema.get("properties"):
            parts = schema["properties"].items()
            return {key: value(part, number, depth + 1) for key, part in parts if depth < 2 and _is_plain(part)}
        case "object":
            return {}
    return f"v{number}" if schema.get("format") != "byte" else "YQ=="


def _is_plain(schema: Schema) -> bool:
    return resolved(schema)[1].get("type") in ("string", "integer", "boolean")


def built(schema: Schema, place: Place, count: int, different: bool) -> dict[str, Any]:
    """An object with so many items at one place, and no more than it needs elsewhere."""
    _, schema = resolved(schema)
    key, rest = str(place[0]), place[1:]
    made = {k: value(part, 0) for k, part in schema["properties"].items() if _is_plain(part)}
    below = schema["properties"][key]
    _, plain = resolved(below)
    if plain.get("type") == "array":
        numbers = range(count) if different else [0] * count
        items = plain["items"]
        made[key] = [value(items, n) for n in numbers] if not rest else [built(items, rest[1:], count, different)]
    elif isinstance(plain.get("additionalProperties"), Mapping):
        items = plain["additionalProperties"]
        made[key] = (
            {f"k{n}": value(items, n) for n in range(count)}
            if not rest
            else {"k": built(items, rest[1:], count, different)}
        )
    else:
        made[key] = built(below, rest, count, different)
    return made


def effort(resource: Resource, place: Place, count: int, different: bool) -> tuple[int, int, int]:
    """(calls, comparisons of strings, characters of refusals and warnings); zeros where it is refused unread."""
    made = built({"$ref": f"/{resource.schema}"}, place, count, different)
    made |= {"apiVersion": resource.api_version, "kind": resource.kind}
    made.setdefault("metadata", {})["name"] = "a"
    try:
        obj, _ = compiled(resource).decode(msgspec.json.encode(made), "Ignore")
    except StatusError:
        return 0, 0, 0
    if resource.name not in COPIED:
        obj = counting(obj)
    old = copy.deepcopy(obj)
    old["metadata"]["resourceVersion"] = obj["metadata"]["resourceVersion"] = "1"
    with measured() as counted:
        resource.default(obj)
        resource.prepare_create(obj)
        found = meta.validate_object_meta(
            obj["metadata"], resource.namespaced, meta.name_errors(resource.name_check), Path("metadata")
        )
        found += resource.validate(obj)
        found += strategy.checks(resource, "")(obj, old)
        told = resource.warnings(obj, None)
        errors.invalid("", "", "", found[:10])
    return (
        counted.calls,
        counted.comparisons,
        sum(len(one.body) + len(one.field) for one in found) + sum(map(len, told)),
    )


def kinds() -> list[Resource]:
    return [one for one in RESOURCES if one.schema]


@pytest.mark.parametrize("resource", kinds(), ids=lambda one: f"{one.name}.{one.version}.{one.group}")
def test_the_work_grows_as_the_list(resource: Resource) -> None:
    dear = []
    for place in dict.fromkeys(places({"$ref": f"/{resource.schema}"})):
        if place[0] == "metadata" and resource.name != "configmaps":
            continue
        if len(place) > 2 and place[1] in ALIKE:
            continue
        for different in (True, False):
            few, some, many = (effort(resource, place, count, different) for count in STEPS)
            for what, a, b, c in zip(("calls", "comparisons", "characters"), few, some, many, strict=True):
                if c - b > TOO_MUCH * max(b - a, 0) + SLACK * (100 if what == "characters" else 1):
                    dear.append((place, different, what, a, b, c))
    assert not dear
