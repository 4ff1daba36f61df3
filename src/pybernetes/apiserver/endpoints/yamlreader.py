"""YAML of clients as JSON-like data, with bounds on what a small document may grow to (upstream: sigs.k8s.io/yaml over go-yaml)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any, ClassVar, Literal

import msgspec
import yaml

from pybernetes.api import gojson

from ..schemawalker import MAX_STRICT_ERRORS

EXPANDED_BYTES = 16 << 20  # a body has 3 MiB at most: only aliases of aliases make more than this of it
MERGED_KEYS = 10_000  # that one mapping may get by `<<`
ALL_MERGED_KEYS = 100_000  # that all mappings of a document may get so: a chain of merges gets the square of its length
TAG_DIRECTIVES = 100  # libyaml compares each with all before it
INTEGER_DIGITS = 100  # of text that may be a 64-bit integer: more are none, whatever they say
MERGED_MAPPINGS = 100  # that one mapping may name behind `<<`
AROUND = 8  # bytes of punctuation that a value has in JSON, about
EXCESSIVE = "document contains excessive aliasing"
MERGE = "tag:yaml.org,2002:merge"
INTEGER, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# As go-yaml tells numbers from text: 3e6 is one, and 1:30 is none, which YAML 1.1 counts in sixties.
NUMBERS = {
    INTEGER: re.compile(r"[-+]?(?:0[bB][01_]+|0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)\Z"),
    FLOAT: re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
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

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Keys of JSON are text, which `yes` is not here."""
        mapping = super().construct_mapping(node, deep)
        if any(isinstance(key, bool) for key in mapping):
            return {str(key).lower() if isinstance(key, bool) else key: value for key, value in mapping.items()}
        return mapping

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


def number(text: str) -> int | float | str:
    """What plain text that looks like a number is; text where neither 64 bits nor a float hold it (go-yaml: resolve)."""
    plain = text.replace("_", "")
    if len(plain) <= INTEGER_DIGITS and NUMBERS[INTEGER].match(plain):
        sign, digits = ("-", plain[1:]) if plain[0] == "-" else ("", plain.removeprefix("+"))
        octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        try:
            value = int(f"{sign}{digits}", 8 if octal else 0)
        except ValueError:  # a prefix alone
            return text
        if -(2**63) <= value < 2**64:
            return value
    if plain.endswith(("f", "F", "n", "N")) and plain.lower().lstrip("+-") in (".inf", ".nan"):
        return float(plain.replace(".", "", 1))
    if not NUMBERS[FLOAT].match(plain):
        return text
    real = float(plain)
    return real if math.isfinite(real) else text


def _number(loader: Any, node: Any) -> int | float | str:
    value = number(loader.construct_scalar(node))
    if isinstance(value, str) and not any(pattern.match(value) for pattern in NUMBERS.values()):
        raise ValueError(f"yaml: cannot decode !!str `{value[:10]}` as a !!{node.tag.rpartition(':')[2]}")
    return float(value) if node.tag == FLOAT and not isinstance(value, str) else value


def _binary(loader: Any, node: Any) -> str:
    try:
        return base64.b64decode("".join(loader.construct_scalar(node).split()), validate=True).decode(errors="replace")
    except binascii.Error:
        raise ValueError("yaml: !!binary value contains invalid base64 data") from None


def _untagged(loader: Any, node: Any) -> Any:
    """Tags that go-yaml has no type for change nothing."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value


Loader.add_constructor(INTEGER, _number)
Loader.add_constructor(FLOAT, _number)
Loader.add_constructor("tag:yaml.org,2002:binary", _binary)
for _name in ("tag:yaml.org,2002:timestamp", *(f"tag:yaml.org,2002:{name}" for name in ("omap", "pairs", "set")), None):
    Loader.add_constructor(_name, _untagged)


def read(body: bytes) -> Any:
    """The first document. YAMLError, TypeError, ValueError (also for loops and what JSON cannot say), RecursionError."""
    try:
        document = _first(body, "data")
        size = expanded_bytes(document)
    except RecursionError:
        anchor = _loop(body)
        if anchor is None:
            raise
        raise ValueError(f"yaml: anchor '{anchor}' value contains itself") from None
    if size > EXPANDED_BYTES:
        raise Excessive
    return msgspec.json.decode(msgspec.json.encode(gojson.numbers(document)))


def _first(body: bytes, form: Literal["data", "node"]) -> Any:
    """Go's Unmarshal never looks at what comes after the first document."""
    if body.replace(b"\0", b"").count(b"%TAG") > TAG_DIRECTIVES:  # in UTF-16, too
        raise Excessive
    loader = Loader(body)
    try:
        if form == "node":
            return loader.get_node() if loader.check_node() else None
        return loader.get_data() if loader.check_data() else None
    finally:
        loader.dispose()


def _loop(body: bytes) -> str | None:
    """The anchor of a collection that holds itself."""
    inside: list[str | None] = []
    for event in yaml.parse(body, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            inside.pop()
        elif isinstance(event, yaml.AliasEvent) and event.anchor in inside:
            return str(event.anchor)
    return None


def duplicates(body: bytes) -> list[str]:
    """`line 3: key "a" already set in map` for each key that a mapping of a readable document sets again, in the order of
    upstream's strict reader; the line is that of the value."""
    errors: list[str] = []
    visited: set[int] = set()

    def walk(node: Any) -> None:
        if id(node) in visited or len(errors) >= MAX_STRICT_ERRORS:
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
                    errors.append(f"line {value.start_mark.line + 1}: key {shown} already set in map")
                keys.add((key.tag, key.value))

    walk(_first(body, "node"))
    return errors[:MAX_STRICT_ERRORS]


def expanded_bytes(value: Any) -> int:
    """About how long it is as JSON, where what is shared counts each time. RecursionError where it holds itself."""
    sizes: dict[int, int] = {}

    def measure(part: Any) -> int:
        if isinstance(part, str):
            return len(part) + AROUND
        if not isinstance(part, dict | list):
            return AROUND
        if id(part) not in sizes:
            inside = [*part, *part.values()] if isinstance(part, dict) else part
            sizes[id(part)] = AROUND + sum(map(measure, inside))
        return sizes[id(part)]

    return measure(value)
