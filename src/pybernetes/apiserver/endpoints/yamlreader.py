"""YAML of clients as JSON-like data, with bounds on what a small document may grow to (upstream: sigs.k8s.io/yaml over go-yaml)."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import msgspec
import yaml

from pybernetes.api import gojson

from ..schemawalker import MAX_STRICT_ERRORS

EXPANDED_BYTES = 16 << 20  # a body has 3 MiB at most: only aliases of aliases make more than this of it
MERGED_KEYS = 10_000  # that one mapping may get by `<<`
ALL_MERGED_KEYS = 100_000  # that all mappings of a document may get so: a chain of merges gets the square of its length
MERGED_MAPPINGS = 100  # that one mapping may name behind `<<`
AROUND = 8  # bytes of punctuation that a value has in JSON, about
EXCESSIVE = "document contains excessive aliasing"
MERGE = "tag:yaml.org,2002:merge"
INTEGER, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# As go-yaml tells numbers from text: 3e6 is one, and 1:30 is none, which YAML 1.1 counts in sixties.
NUMBERS = {
    INTEGER: re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z"),
    FLOAT: re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
    ),
}
OWN = ("tag:yaml.org,2002:timestamp", INTEGER, FLOAT)  # what is not told as PyYAML does; times stay text: JSON has none
LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml's words are those of go-yaml, which was made of it


class Excessive(ValueError):
    """The document would fill the memory."""

    def __init__(self) -> None:
        super().__init__(f"yaml: {EXCESSIVE}")


class Loader(LOADER):  # type: ignore[misc]  # which base depends on how PyYAML was built
    """Tells what plain text is as go-yaml does."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [pair for pair in pairs if pair[0] not in OWN]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: Any) -> None:
        """What PyYAML does for `<<`, bounded."""
        before = len(node.value)
        self.merged = getattr(self, "merged", 0)
        merged = [value for key, value in node.value if key.tag == MERGE]
        if sum(len(value.value) for value in merged if isinstance(value, yaml.SequenceNode)) > MERGED_MAPPINGS:
            raise Excessive
        super().flatten_mapping(node)
        self.merged += max(len(node.value) - before, 0)
        if len(node.value) > before + MERGED_KEYS or self.merged > ALL_MERGED_KEYS:
            raise Excessive


for _tag, _pattern in NUMBERS.items():
    Loader.add_implicit_resolver(_tag, _pattern, list("-+.0123456789"))


def read(body: bytes) -> Any:
    """One document. YAMLError, TypeError, ValueError (also for loops and what JSON cannot say), RecursionError."""
    found = yaml.load(body, Loader=Loader)
    if expanded_bytes(found) > EXPANDED_BYTES:
        raise Excessive
    return msgspec.json.decode(msgspec.json.encode(gojson.numbers(found)))


def duplicates(body: bytes) -> list[str]:
    """`line 3: key "a" already set in map` for each key that a mapping of a readable document sets again, in the order of
    upstream's strict reader; the line is that of the value."""
    found: list[str] = []
    visited: set[int] = set()

    def walk(node: Any) -> None:
        if id(node) in visited or len(found) >= MAX_STRICT_ERRORS:
            return
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item)
        elif isinstance(node, yaml.MappingNode):
            keys: set[tuple[str, str]] = set()
            for key, value in node.value:
                walk(value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                    continue
                if (key.tag, key.value) in keys:
                    shown = json.dumps(key.value, ensure_ascii=False)
                    found.append(f"line {value.start_mark.line + 1}: key {shown} already set in map")
                keys.add((key.tag, key.value))

    walk(yaml.compose(body, Loader=Loader))
    return found[:MAX_STRICT_ERRORS]


def expanded_bytes(value: Any) -> int:
    """About how long it is as JSON, where what is shared counts each time. RecursionError where it holds itself."""
    known: dict[int, int] = {}

    def measure(part: Any) -> int:
        if isinstance(part, str):
            return len(part) + AROUND
        if not isinstance(part, dict | list):
            return AROUND
        if id(part) not in known:
            inside = [*part, *part.values()] if isinstance(part, dict) else part
            known[id(part)] = AROUND + sum(map(measure, inside))
        return known[id(part)]

    return measure(value)
