"""Configuration files that upstream reads by a strict decoder (encryption, audit policy): YAML or JSON, known fields of their types only.

Upstream: apimachinery/pkg/runtime/serializer, sigs.k8s.io/yaml. A shape says what a value is; what the file leaves out, or has null in, is
left out of what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pybernetes.api import field

from .endpoints.yamlreader import Loader

Object = dict[str, Any]
Shape = type[str] | type[int] | type[bool] | list["Shape"] | Mapping[str, "Shape"]
NOTHING: Mapping[str, Shape] = {}  # of an object that has no fields
_WORDS: Mapping[type, str] = {str: "string", int: "int", bool: "bool"}


class DocumentError(ValueError):
    """A file that cannot be used: one line, in upstream's words where it has them."""


class StrictError(DocumentError):
    """A document with fields that there are not, or with values of another type."""


def read(path: str, what: str) -> bytes:
    """The file's bytes. DocumentError, also where there are none; `what`: what the file is, for the message."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DocumentError(f"error reading {what} file {field.quote(path)}: {error.strerror}") from error
    if not data:
        raise DocumentError(f"{what} file {field.quote(path)} is empty")
    return data


def decode(
    data: bytes, kinds: Sequence[tuple[str, str]], shape: Mapping[str, Shape], *, lenient: bool = False
) -> Object:
    """The document, of one of these (apiVersion, kind). DocumentError. `lenient`: unknown fields are passed over."""
    document = _parsed(data)
    if not isinstance(document, dict):
        raise DocumentError("couldn't get version/kind; json parse error: the document is no object")
    kind, version = document.get("kind"), document.get("apiVersion")
    for name, value in (("Kind", kind), ("apiVersion", version)):
        if not isinstance(value, str) or not value:
            raise DocumentError(f"Object '{name}' is missing in the document")
    if (version, kind) not in kinds:
        raise DocumentError(f"no kind {field.quote(kind)} is registered for version {field.quote(version)}")
    problems: list[tuple[str, bool]] = []
    own = {name: value for name, value in document.items() if name not in ("apiVersion", "kind", "metadata")}
    told: Object = _shaped(own, shape, "", problems)
    wrong = [text for text, unknown in problems if not (lenient and unknown)]
    if wrong:
        raise StrictError(f"strict decoding error: {', '.join(wrong)}")
    return told


class _Strict(Loader):
    """A key stands once in its mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """As PyYAML's. DocumentError."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for _, key in field.repeats([str(key) for key in keys]):
            raise DocumentError(f"yaml: line {node.start_mark.line + 1}: key {field.quote(key)} already set in map")
        return super().construct_mapping(node, deep=deep)


def _parsed(data: bytes) -> Any:
    try:
        return yaml.load(data, Loader=_Strict)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise DocumentError(f"yaml: {' '.join(str(error).split())}") from error


def _shaped(value: Any, shape: Shape, path: str, problems: list[tuple[str, bool]]) -> Any:
    """The value, without its nulls; what does not fit is said in `problems`, with whether that is but unknown."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _misfit(value, "a list", path, problems)
        return [_shaped(one, shape[0], f"{path}[{number}]", problems) for number, one in enumerate(value)]
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return _misfit(value, "an object", path, problems)
        return dict(_fields(value, shape, path, problems))
    fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return value if fits else _misfit(value, _WORDS[shape], path, problems)


def _fields(
    value: Object, shape: Mapping[str, Shape], path: str, problems: list[tuple[str, bool]]
) -> Iterator[tuple[str, Any]]:
    for name, one in value.items():
        place = f"{path}.{name}" if path else str(name)
        if name not in shape:
            problems.append((f"unknown field {field.quote(place)}", True))
        elif one is not None:
            yield name, _shaped(one, shape[name], place, problems)


def _misfit(value: Any, expected: str, path: str, problems: list[tuple[str, bool]]) -> None:
    given = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    text = f"cannot unmarshal {given.get(type(value), 'null')} into field {field.quote(path)}: want {expected}"
    problems.append((text, False))
