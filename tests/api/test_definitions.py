"""Definitions as projects write them: each construct of theirs in a small one, with what it takes and refuses.

PYBERNETES_DEFINITIONS names a folder with a folder of YAML files for each project: all their definitions have to be taken, and enforced.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.apiserver.endpoints.yamlreader import Loader

from .customresources import DEFINITIONS, Object, definition, thing, version
from .webhooks import Bench, bench

VARIABLE = "PYBERNETES_DEFINITIONS"
PROJECTS = Path(os.environ.get(VARIABLE, ""))
ANY = {"x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Construct:
    """A property x of spec; values that it takes, as they are shown then, and some that it refuses (422)."""

    name: str
    schema: Object
    taken: tuple[Any, ...] = ()
    refused: tuple[Any, ...] = ()
    shown: dict[int, Any] = field(default_factory=dict)  # by the value's place where it is shown otherwise


def text(**more: Any) -> Object:
    return {"type": "string", **more}


def integer(**more: Any) -> Object:
    return {"type": "integer", **more}


def ruled(schema: Object, *rules: str, **more: Any) -> Object:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more} for rule in rules]}


def struct(*required: str, **properties: Object) -> Object:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


PORT = struct("port", port=integer(), protocol=text(default="TCP"), name=text())
DAYS = r"^((?i)sun|mon|tues|wednes|thurs|fri|satur)day(?:((:(sun|mon|tues|wednes|thurs|fri|satur)day)$)|$)"
IP = text(maxLength=64)
CONSTRUCTS = (
    Construct("flags", text(pattern="^(?i)(abort|warn)?$"), ("WARN", ""), ("warned", "x")),
    Construct("flags of a group", text(pattern="^(?i:a)b$"), ("Ab",), ("AB",)),
    Construct("flags in the middle", text(pattern=DAYS), ("Sunday", "MONday:friday"), ("sunDay", "monday:FRIDAY")),
    Construct("an end in a group", text(pattern=r"^2\d{3}(?::2\d{3}|$)"), ("2024", "2024:2025"), ("1999", "20245")),
    Construct("classes of Unicode", text(pattern=r"^\p{Lu}[[:alnum:]]*\z"), ("Éa1",), ("é", "Aé")),
    Construct("an int32", integer(format="int32"), (2**31 - 1,), (2**31,)),
    Construct("an int64", integer(format="int64"), (-(2**63),), (2**63,)),
    Construct("a float", {"type": "number", "format": "float"}, (3.4e38,), (3.5e38,)),
    Construct("dates", text(format="date-time"), ("2024-01-02T03:04:05Z",), ("2024-01-02",)),
    Construct("bytes", text(format="byte"), ("YQ==",), ("YQ", "*")),
    Construct("blocks", text(format="cidr"), ("10.0.0.0/8", "fd00::/8"), ("10.0.0.0", "10.0.0.0/33")),
    Construct("addresses", text(format="ipv6"), ("::1",), ("127.0.0.1",)),
    Construct("durations", text(format="duration"), ("1h30m",), ("1x",)),
    Construct(
        "integers or text", {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+%?$"}, (1, "50%"), ("x", 1.5)
    ),
    Construct(
        "integers or text, as controller-gen writes it",
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        (1, "1"),
        (True, [1]),
    ),
    Construct("anything", ANY, (1, "x", {"a": [{}]}, [None]), ()),
    Construct("open objects", {"type": "object", **ANY}, ({"a": {"b": 1}},), (1,)),
    Construct("pruned objects", struct(a=text()), ({"a": "x", "b": 1},), (), {0: {"a": "x"}}),
    Construct("maps", {"type": "object", "additionalProperties": integer()}, ({"a": 1},), ({"a": "x"},)),
    Construct("nothing", text(nullable=True), (None,), (1,)),
    Construct("choices", text(enum=["A", "B"]), ("A",), ("a",)),
    Construct(
        "one of two",
        {**struct(a=text(), b=text()), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        ({"a": ""},),
        ({}, {"a": "", "b": ""}),
    ),
    Construct(
        "lists by key, with defaults",
        {
            "type": "array",
            "items": PORT,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
        },
        ([{"port": 1}, {"port": 1, "protocol": "UDP"}],),
        ([{"port": 1}, {"port": 1, "protocol": "TCP"}],),
        {0: [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}]},
    ),
    Construct(
        "sets", {"type": "array", "items": text(), "x-kubernetes-list-type": "set"}, (["a", "b"],), (["a", "a"],)
    ),
    Construct("atomic maps", {**struct(a=text()), "x-kubernetes-map-type": "atomic"}, ({"a": ""},), ({"a": 1},)),
    Construct(
        "embedded objects",
        {"type": "object", "x-kubernetes-embedded-resource": True, **ANY},
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {"x": 1}},),
        ({"kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}}),
    ),
    Construct("a rule on a field", ruled(text(maxLength=9), "self.startsWith('a')"), ("ab",), ("b",)),
    Construct("has", ruled(struct(a=text(), b=text()), "!has(self.a) || has(self.b)"), ({"b": ""},), ({"a": ""},)),
    Construct(
        "names that CEL keeps", ruled(struct(**{"in": text()}), "self.__in__ == 'x'"), ({"in": "x"},), ({"in": "y"},)
    ),
    Construct(
        "names of booleans", ruled(struct(on={"type": "boolean"}), "!self.on"), ({"on": False},), ({"on": True},)
    ),
    Construct("find", ruled(text(maxLength=9), "self.find('[0-9]+') == '12'"), ("a12b",), ("a1b2",)),
    Construct("matches", ruled(text(maxLength=9), "self.matches('^(?i)a+$')"), ("aA",), ("ab",)),
    Construct("split and all", ruled(text(maxLength=9), "self.split(',').all(p, size(p) < 3)"), ("a,bc",), ("a,bcd",)),
    Construct("strings", ruled(text(maxLength=9), "self.lowerAscii().substring(1, 3) == 'bc'"), ("ABC",), ("ACB",)),
    Construct("durations in rules", ruled(text(maxLength=9), "duration(self) < duration('1h')"), ("59m",), ("2h", "x")),
    Construct(
        "typed dates",
        ruled(text(format="date-time"), "self.getFullYear() > 2000"),
        ("2024-01-01T00:00:00Z",),
        ("1999-01-01T00:00:00Z",),
    ),
    Construct("addresses in rules", ruled(IP, "isIP(self) && ip(self).family() == 6"), ("::1",), ("127.0.0.1", "x")),
    Construct(
        "blocks in rules",
        ruled(IP, "cidr(self) == cidr(self).masked() && cidr(self).containsIP('10.1.2.3')"),
        ("10.0.0.0/8",),
        ("11.0.0.0/8", "10.1.0.0/8"),
    ),
    Construct(
        "URLs in rules",
        ruled(IP, "isURL(self) && url(self).getScheme() == 'https'"),
        ("https://a/b",),
        ("http://a", "a"),
    ),
    Construct(
        "quantities in rules",
        ruled(IP, "isQuantity(self) && quantity(self).isLessThan(quantity('1Gi'))"),
        ("5Mi",),
        ("2Gi", "x"),
    ),
    Construct("formats in rules", ruled(IP, "!format.dns1123Label().validate(self).hasValue()"), ("a-b",), ("A",)),
    Construct(
        "versions in rules",
        ruled(IP, "isSemver(self) && semver(self).isGreaterThan(semver('1.0.0'))"),
        ("1.2.3",),
        ("0.9.0", "1"),
    ),
    Construct(
        "optionals", ruled(struct(a=text(), b=text()), "self.?a.orValue('x') == 'x'"), ({}, {"a": "x"}), ({"a": "y"},)
    ),
    Construct(
        "sets in rules",
        ruled({"type": "array", "items": text(maxLength=4), "maxItems": 9}, "sets.contains(['a', 'b'], self)"),
        (["b"],),
        (["c"],),
    ),
    Construct(
        "two variables",
        ruled({"type": "array", "items": integer(), "maxItems": 9}, "self.all(i, v, i == 0 || self[i - 1] <= v)"),
        ([1, 2],),
        ([2, 1],),
    ),
    Construct(
        "one of many",
        ruled(struct(a=text(), b=text()), "[has(self.a), has(self.b)].filter(x, x == true).size() == 1"),
        ({"a": ""},),
        ({"a": "", "b": ""},),
    ),
)


async def loaded(b: Bench, crd: Object) -> str:
    """What is wrong about the answer to a definition; "" where it is taken and says of nothing that it is not enforced."""
    answer = await b.ask("POST", f"{DEFINITIONS}?dryRun=All", crd)
    name = crd["metadata"]["name"]
    if answer.code != 201:
        return f"{name}: {answer.code} {answer.message[:300]}"
    return f"{name}: {answer.warnings}" if answer.warnings else ""


def test_each_construct_is_taken_and_enforced(tmp_path: Path) -> None:
    """All in one definition, a property of its spec each."""
    names = {construct.name: f"x{number}" for number, construct in enumerate(CONSTRUCTS)}
    crd = definition(version(properties={names[c.name]: c.schema for c in CONSTRUCTS}))

    async def story(b: Bench) -> None:
        made = await b.ask("POST", DEFINITIONS, crd)
        assert (made.code, made.warnings) == (201, []), made.body
        async with asyncio.timeout(10):
            while (await b.ask("GET", "/apis/example.com/v1")).code != 200:
                await asyncio.sleep(0.01)
        path = "/apis/example.com/v1/namespaces/default/things?dryRun=All"
        wrong = []
        for c in CONSTRUCTS:
            for place, value in enumerate(c.taken):
                answer = await b.ask("POST", path, thing("a", spec={names[c.name]: value}))
                shown = answer.body.get("spec", {}).get(names[c.name])
                if answer.code != 201 or shown != c.shown.get(place, value):
                    wrong.append(f"{c.name}: {value!r} is {answer.code} {answer.message or shown!r}")
            for value in c.refused:
                answer = await b.ask("POST", path, thing("a", spec={names[c.name]: value}))
                if answer.code != 422 or f"spec.{names[c.name]}" not in answer.message:
                    wrong.append(f"{c.name}: {value!r} is {answer.code} {answer.message}")
        assert wrong == []

    asyncio.run(_with(tmp_path, story))


def test_what_a_version_may_have_beside_its_schema(tmp_path: Path) -> None:
    """Conversion by webhook, columns of each type, paths of the scale, fields to select by, deprecation, a very large schema."""
    columns = [
        {"name": f"c{number}", "type": kind, "jsonPath": path, "priority": number % 2, **more}
        for number, (kind, path, more) in enumerate(
            (
                ("string", ".status.conditions[?(@.type=='Ready')].status", {}),
                ("string", '.status.conditions[?(@.type=="Ready")].reason', {"description": "why"}),
                ("integer", ".spec.replicas", {"format": "int32"}),
                ("date", ".metadata.creationTimestamp", {}),
                ("boolean", ".spec['on']", {}),
                ("number", ".spec.list[0].x", {}),
                ("string", r".metadata.labels.example\.com/a", {}),
            )
        )
    ]
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    many = {
        f"p{n}": {**struct(a=text(description="d" * 200), b=integer()), "description": "d" * 200} for n in range(2000)
    }
    service = {"namespace": "default", "name": "hook", "path": "/convert", "port": 443}
    webhook = {"conversionReviewVersions": ["v1", "v1beta1"], "clientConfig": {"service": service}}
    crds = [
        definition(version(additionalPrinterColumns=columns)),
        definition(version(properties={"replicas": integer()}, subresources={"status": {}, "scale": scale})),
        definition(version(selectableFields=[{"jsonPath": ".spec.x"}])),
        definition(
            version(),
            version("v1beta1", storage=False, deprecated=True, deprecationWarning="old"),
            conversion={"strategy": "Webhook", "webhook": webhook},
        ),
        definition(version(), preserveUnknownFields=False),
        definition(version(properties=many)),
        definition(version(), scope="Cluster"),
    ]

    async def story(b: Bench) -> None:
        assert [problem for crd in crds if (problem := await loaded(b, crd))] == []

    asyncio.run(_with(tmp_path, story))


def written(folder: Path) -> Iterator[Object]:
    """The definitions of a project; not templates, and not the patches of a kustomization, which lack their group."""
    for path in sorted(folder.glob("*.yaml")):
        try:
            documents = list(yaml.load_all(path.read_bytes(), Loader=Loader))
        except yaml.YAMLError:
            continue  # a template
        for document in documents:
            told = isinstance(document, dict) and (document.get("apiVersion"), document.get("kind"))
            if told == ("apiextensions.k8s.io/v1", "CustomResourceDefinition") and document.get("spec", {}).get(
                "group"
            ):
                yield document


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder of projects' definitions")
@pytest.mark.parametrize("project", sorted(p.name for p in PROJECTS.iterdir()) if os.environ.get(VARIABLE) else [""])
def test_definitions_of_projects_are_taken_and_enforced(tmp_path: Path, project: str) -> None:
    crds = list(written(PROJECTS / project))

    async def story(b: Bench) -> None:
        assert crds, f"no definition in {project}"
        assert [problem for crd in crds if (problem := await loaded(b, crd))] == []

    asyncio.run(_with(tmp_path, story))


async def _with(folder: Path, story: Any) -> None:
    async with bench(folder) as b:
        await story(b)
