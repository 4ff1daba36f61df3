"""Go's regular expressions over the RE2 library: linear in the text, whatever a client writes as its pattern.

Python's `re` backtracks and means other things (`$`, `\\Z`, flags in the middle, Unicode classes), so no pattern of a user goes through it.
The library is loaded with the first pattern that is matched: `check` needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .regexpsyntax import RegexpError, clean, parse

if TYPE_CHECKING:
    from re2._re2 import RE2

__all__ = ["Pattern", "RegexpError", "check", "compile"]

_SMALL: Final = 20_000  # instructions: a pattern as people write them
_SMALL_MEMORY: Final = (
    1 << 20
)  # bytes that a pattern with its automata may take, the oldest states are dropped then; 512 such are kept
_LARGE_MEMORY: Final = 24 << 20  # of which eight are kept


class Pattern:
    """A compiled pattern. Places are (start, end) in characters of the text."""

    __slots__ = ("_re2", "_unanchored", "names")

    def __init__(self, pattern: str, memory: int, names: Mapping[int, str]) -> None:
        """`pattern` is as the library takes it; `names` are those of its groups, by number (Go's SubexpNames)."""
        self.names = names
        self._re2 = _library_pattern(pattern, memory)
        if not self._re2.ok():
            raise RegexpError("expression too large", pattern)
        self._unanchored = type(self._re2).Anchor.UNANCHORED

    @property
    def subexpressions(self) -> int:
        """How many groups it has (Go's NumSubexp)."""
        return int(self._re2.NumberOfCapturingGroups())

    def search(self, text: str) -> bool:
        """Whether it matches anywhere, as Go's MatchString."""
        data = clean(text).encode()
        return bool(self._spans(data, 0)[0][0] >= 0)

    def find(self, text: str) -> tuple[int, int] | None:
        """Where the leftmost match is (Go's FindStringIndex)."""
        return next(self._places(text), None)

    def find_all(self, text: str) -> list[tuple[int, int]]:
        """Where all matches are that do not overlap (Go's FindAllStringIndex): an empty one next to a match is none."""
        return list(self._places(text))

    def groups(self, text: str) -> list[str] | None:
        """The leftmost match and its groups (Go's FindStringSubmatch): a group that took no part is ""."""
        data = clean(text).encode()
        spans = self._spans(data, 0)
        return None if spans[0][0] < 0 else [data[low:high].decode() if low >= 0 else "" for low, high in spans]

    def _spans(self, data: bytes, start: int) -> list[tuple[int, int]]:
        """Of the leftmost match from there on and its groups, in bytes; (-1, -1) where there is none."""
        spans: list[tuple[int, int]] = self._re2.Match(self._unanchored, data, start, len(data))
        return spans

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        data = clean(text).encode()
        place = characters = 0  # the same place, in bytes and in characters
        start, former_end = 0, -1
        while start <= len(data):
            low, high = self._spans(data, start)[0]
            if low < 0:
                return
            empty_beside = low == high == former_end
            first = characters + _length(data, place, low)
            last = first + _length(data, low, high)
            place, characters = high, last
            if not empty_beside:
                yield first, last
            former_end = high
            start = high if high > low else high + _rune_length(data, high)


def check(pattern: str) -> None:
    """RegexpError for a pattern that Go refuses. Costs as much as the pattern is long, and compiles nothing."""
    parse(pattern, _is_script)


def compile(pattern: str) -> Pattern:
    """The pattern, ready to match. RegexpError for what Go refuses."""
    return _small(pattern) or _large(pattern)


@lru_cache(maxsize=512)
def _small(pattern: str) -> Pattern | None:
    """None for one that is large."""
    syntax = parse(pattern, _is_script)
    return Pattern(syntax.pattern, _SMALL_MEMORY, dict(syntax.names)) if syntax.weight <= _SMALL else None


@lru_cache(maxsize=8)
def _large(pattern: str) -> Pattern:
    syntax = parse(pattern, _is_script)
    return Pattern(syntax.pattern, _LARGE_MEMORY, dict(syntax.names))


@lru_cache(maxsize=512)
def _is_script(name: str) -> bool:
    """Only the library has the list of names."""
    return name.isascii() and name.replace("_", "").isalpha() and _library_pattern(rf"\p{{{name}}}", _SMALL_MEMORY).ok()


def _library_pattern(pattern: str, memory: int) -> RE2:
    """Of the extension itself: the module above it keeps the last 128 patterns, of any size, for good."""
    from re2 import Options
    from re2._re2 import RE2

    options = Options()
    options.max_mem = memory
    options.log_errors = False
    return RE2(pattern.encode(), options)


def _length(data: bytes, start: int, end: int) -> int:
    """How many characters there are between two places."""
    part = data[start:end]
    return len(part) if part.isascii() else len(part.decode())


def _rune_length(data: bytes, place: int) -> int:
    """How many bytes the character has; one at the end, to go beyond it."""
    first = data[place] if place < len(data) else 0
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
