"""JSONPath as definitions use it, in columns, scale and selectable fields (upstream: client-go/util/jsonpath).

`.spec.a`, `['a.b']`, `[0]`, `[-1]`, `[1:3]`, `[*]`, `.*`, `..a`, `[?(@.type=="Ready")]`; what is missing is no result.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from pybernetes.api.strconv import parse_int

Step = Callable[[Any], Iterable[Any]]


class JSONPathError(ValueError):
    """The text is no path."""


_NAME = re.compile(r"((?:\\.|[^.\[\]\\\s])+)")
_NUMBER = re.compile("-?[0-9]{1,18}")
_SLICE = re.compile(r"\s*((?:-?[0-9]{1,18})?)\s*:\s*((?:-?[0-9]{1,18})?)\s*(?::\s*((?:-?[0-9]{1,18})?)\s*)?")
_COMPARISON = re.compile("==|!=|<=|>=|<|>")
MAX_VALUES = 10_000  # that a path may find: `..a..a..a` finds each value in as many ways as there are to it
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compiled(path: str) -> Callable[[Any], list[Any]]:
    """The values that a path finds in an object. JSONPathError."""
    steps = _steps(path)

    def find(root: Any) -> list[Any]:
        values = [root]
        for step in steps:
            values = list(islice((below for value in values for below in step(value)), MAX_VALUES))
        return values

    return find


def _steps(path: str) -> list[Step]:
    steps: list[Step] = []
    place = 0
    while place < len(path):
        if path.startswith("..", place):
            name, place = _name(path, place + 2)
            steps.append(_everywhere(name))
        elif path[place] == ".":
            if path.startswith("[", place + 1) or place + 1 == len(path):
                place += 1
                continue
            name, place = _name(path, place + 1)
            steps.append(_every if name == "*" else _field(name))
        elif path[place] == "[":
            end = _closing(path, place)
            steps.append(_bracket(path[place + 1 : end].strip()))
            place = end + 1
        else:
            raise JSONPathError(f"unexpected {path[place]!r} in {path!r}")
    return steps


def _name(path: str, place: int) -> tuple[str, int]:
    match = _NAME.match(path, place)
    if match is None:
        raise JSONPathError(f"a name is missing at {place} of {path!r}")
    return re.sub(r"\\(.)", r"\1", match[1]), match.end()


def _closing(path: str, start: int) -> int:
    quoted, depth = "", 0
    for place in range(start, len(path)):
        char = path[place]
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "'\"":
            quoted = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                return place
    raise JSONPathError("unterminated array")


def _bracket(text: str) -> Step:
    if text == "*":
        return _every
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return _field(text[1:-1])
    if _NUMBER.fullmatch(text):
        return _index(int(text))
    if match := _SLICE.fullmatch(text):
        first, last, step = (int(part) if part else None for part in match.groups())
        if step == 0:
            raise JSONPathError(f"invalid array index {text}")
        return lambda value: value[first:last:step] if isinstance(value, list) else ()
    if text.startswith("?(") and text.endswith(")") and (inner := text[2:-1].strip()):
        if (sign := _COMPARISON.search(inner, 1)) and sign.end() < len(inner):
            return _filter(inner[: sign.start()].strip(), sign[0], inner[sign.end() :].strip())
        return _filter(inner, None, None)
    raise JSONPathError(f"invalid array index {text}")


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _index(index: int) -> Step:
    return lambda value: (value[index],) if isinstance(value, list) and -len(value) <= index < len(value) else ()


def _every(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _everywhere(name: str) -> Step:
    def step(value: Any) -> Iterable[Any]:
        left = [value]
        while left:
            value = left.pop()
            if isinstance(value, dict) and name in value:
                yield value[name]
            left.extend(reversed(list(_every(value))))

    return step


def _filter(left: str, comparison: str | None, right: str | None) -> Step:
    one = _operand(left)
    other = _operand(right) if right is not None else None
    compare = _COMPARISONS[comparison] if comparison else None

    def holds(item: Any) -> bool:
        left = one(item)
        if compare is None or other is None:
            return bool(left)
        right = other(item)
        try:
            return bool(left) and bool(right) and compare(left[0], right[0])
        except TypeError:
            return False

    return lambda value: [item for item in value if holds(item)] if isinstance(value, list) else ()


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        return compiled(text[1:])
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        literal: Any = text[1:-1]
    elif text in ("true", "false"):
        literal = text == "true"
    else:
        try:
            literal = float(text) if "." in text else parse_int(text)
        except ValueError:
            raise JSONPathError(f"unrecognized operand {text!r}") from None
    return lambda item: [literal]


def simple(path: str) -> tuple[str, ...]:
    """The names of a path in dot notation, such as `.spec.replicas`."""
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"\.((?:\\.|[^.\\])+)", path))
