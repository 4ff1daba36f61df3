"""Functions of texts (upstream: cel-go ext/strings.go, version 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from .. import functions, types
from ..errors import EvaluationError
from ..functions import TRAVERSAL, Overload
from ..types import DYN, INT, STRING
from ..values import size_of, text_of
from . import formatting
from .declare import function, method

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_STRINGS = types.list_of(STRING)
# unicode.IsSpace, as strings.TrimSpace has it.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_QUOTED = str.maketrans(
    {
        **{character: f"\\{letter}" for character, letter in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)},
        "\\": "\\\\",
        '"': '\\"',
    }
)


def overloads() -> Iterator[Overload]:
    """All of them."""
    once, twice = functions.traversal(0), functions.traversal(0, 2)
    yield method("charAt", "string_char_at_int", (STRING, INT), STRING, _char_at)
    for name, call in (("indexOf", _index_of), ("lastIndexOf", _last_index_of)):
        yield method(name, f"string_{name}_string", (STRING, STRING), INT, call, searched)
        yield method(name, f"string_{name}_string_int", (STRING, STRING, INT), INT, call, searched)
    yield method("lowerAscii", "string_lower_ascii", (STRING,), STRING, lambda text: text.translate(_LOWER), once)
    yield method("upperAscii", "string_upper_ascii", (STRING,), STRING, lambda text: text.translate(_UPPER), once)
    yield method(
        "replace", "string_replace_string_string", (STRING, STRING, STRING), STRING, str.replace, twice, _replaced
    )
    yield method(
        "replace", "string_replace_string_string_int", (STRING, STRING, STRING, INT), STRING, _replace, twice, _replaced
    )
    yield method("split", "string_split_string", (STRING, STRING), _STRINGS, _split, twice)
    yield method("split", "string_split_string_int", (STRING, STRING, INT), _STRINGS, _split, twice)
    yield method("substring", "string_substring_int", (STRING, INT), STRING, _substring, once)
    yield method("substring", "string_substring_int_int", (STRING, INT, INT), STRING, _substring, once)
    yield method("trim", "string_trim", (STRING,), STRING, lambda text: text.strip(_SPACE), once)
    yield method("join", "list_join", (_STRINGS,), STRING, _join, _join_cost, _joined)
    yield method("join", "list_join_string", (_STRINGS, STRING), STRING, _join, _join_cost, _joined)
    yield method(
        "format", "string_format", (STRING, types.list_of(DYN)), STRING, formatting.formatted, once, counted=True
    )
    yield function("strings.quote", "strings_quote", (STRING,), STRING, _quote, once)


def searched(arguments: Sequence[Any], _: Any) -> int:
    """Of a text's bytes (apiserver/pkg/cel/library/cost.go)."""
    return int(len(arguments[0].encode("utf-8", "surrogatepass")) * TRAVERSAL)


def _out_of_range(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, part: str, offset: int = 0) -> int:
    if offset < 0:
        raise _out_of_range(offset)
    if not part:
        return min(offset, len(text))
    return text.find(part, offset)


def _last_index_of(text: str, part: str, offset: int | None = None) -> int:
    if offset is None:
        return text.rfind(part)
    if offset < 0:
        raise _out_of_range(offset)
    if not part:
        return min(offset, len(text))
    if offset >= len(text):
        return -1
    return text.rfind(part, 0, offset + len(part))


def _replaced(arguments: Sequence[Any]) -> int:
    """Characters of the result, at most."""
    text, old, new, *limit = arguments
    count = len(text) + 1 if not old else text.count(old)
    if limit and limit[0] >= 0:
        count = min(count, limit[0])
    return len(text) + count * len(new)


def _replace(text: str, old: str, new: str, limit: int) -> str:
    return text.replace(old, new, max(limit, -1) if limit < len(text) + 2 else -1)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        characters = list(text)
        if 0 < limit < len(characters):
            return [*characters[: limit - 1], text[limit - 1 :]]
        return characters
    return text.split(separator, limit - 1 if 0 < limit <= len(text) + 1 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if end is not None and start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, stop):
        if not 0 <= index <= len(text):
            raise _out_of_range(index)
    return text[start:stop]


def _joined(arguments: Sequence[Any]) -> int:
    """Characters of the result."""
    items, separator = arguments[0], arguments[1] if len(arguments) > 1 else ""
    return sum(map(size_of, items)) + len(separator) * len(items)


def _join_cost(_: Sequence[Any], result: Any) -> int:
    return math.ceil(len(result) * 2 * TRAVERSAL)


def _join(items: list[Any], separator: str = "") -> str:
    for item in items:
        if not isinstance(item, str):
            raise EvaluationError(f"join: invalid input: {text_of(item)}")
    return separator.join(items)


def _quote(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'
