"""find and findAll (upstream: apiserver/pkg/cel/library/regex.go)."""

from __future__ import annotations

from collections.abc import Iterator

from pybernetes.api import goregexp

from .. import functions, types
from ..errors import EvaluationError
from ..functions import Overload
from ..types import INT, STRING
from ..values import Steps
from . import patterns
from .declare import method

_STRINGS = types.list_of(STRING)


def overloads() -> Iterator[Overload]:
    """All of them."""
    yield method("find", "string_find_string", (STRING, STRING), STRING, _find, functions.regexp, counted=True)
    yield method(
        "findAll", "string_find_all_string", (STRING, STRING), _STRINGS, _find_all, functions.regexp, counted=True
    )
    yield method(
        "findAll",
        "string_find_all_string_int",
        (STRING, STRING, INT),
        _STRINGS,
        _find_all,
        functions.regexp,
        counted=True,
    )


def _compiled(pattern: str, text: str, steps: Steps) -> goregexp.Pattern:
    try:
        return patterns.pattern(pattern, text, steps)
    except goregexp.RegexpError as error:
        raise EvaluationError(f"Illegal regex: {error}") from None


def _find(text: str, pattern: str, steps: Steps) -> str:
    place = _compiled(pattern, text, steps).find(text)
    return "" if place is None else text[place[0] : place[1]]


def _find_all(text: str, pattern: str, limit: int = -1, *, steps: Steps) -> list[str]:
    steps.take(4 * len(text))  # each character may be a match of its own
    places = _compiled(pattern, text, steps).find_all(text)
    return [text[start:end] for start, end in (places if limit < 0 else places[:limit])]
