"""The syntax of Go's regular expressions: what Go refuses, in its words, and the same pattern for the RE2 library.

Upstream: Go's regexp/syntax (parse.go, Perl flags). The library `re2` is of the same family; it takes `\\C`, lacks Go's inexact names of Unicode
classes, and has neither Go's limits of depth and size nor its words. So patterns are read here, once, in time that grows as their length, and
nothing has to be compiled to know whether one is valid.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .regexpclasses import named_class
from .regexpsize import LITERAL, LITERAL_WEIGHT, Group, Node

MAX_HEIGHT: Final = 1000  # Go's: deeper nesting is refused
MAX_REPEAT: Final = 1000  # Go's: of one repetition, and of the product of nested ones
MAX_SIZE: Final = (128 << 20) // 40  # Go's, in its instructions of 40 bytes
MAX_WEIGHT: Final = 450_000  # the library's instructions, of bytes: it compiles so many in 0.15 s and 8 MB

_FLAGS: Final = "imsU"
_ALNUM: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_OCTAL: Final = frozenset("01234567")
_CONTROL: Final = frozenset("afnrtv")  # \a, \n and kin
_PERL_CLASSES: Final = frozenset("dDsSwW")
_POSIX: Final = frozenset((
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit",
))  # fmt: skip
_REPEAT: Final = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_CLASS_WEIGHT: Final = 16  # of a class of few ranges
_UNICODE_WEIGHT: Final = 1300  # `\pL`, measured
_MAX_CLASS_WEIGHT: Final = 1700  # however many a class joins


class RegexpError(ValueError):
    """A pattern that Go refuses; the text is Go's, as in "error parsing regexp: missing closing ): `(a`"."""

    def __init__(self, code: str, expression: str) -> None:
        super().__init__(f"error parsing regexp: {code}: `{expression}`")


@dataclass(frozen=True, slots=True)
class Syntax:
    """A valid pattern: as the library takes it, and about how many instructions it makes of it."""

    pattern: str
    weight: int
    names: tuple[tuple[int, str], ...] = ()  # of groups that have one


def clean(text: str) -> str:
    """With U+FFFD for what is no character in UTF-8, as Go's strings are read."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def parse(pattern: str, is_script: Callable[[str], bool]) -> Syntax:
    """RegexpError for what Go refuses. `is_script` knows the names of Unicode's scripts."""
    return _Parser(clean(pattern), is_script).parse()


class _Parser:
    def __init__(self, pattern: str, is_script: Callable[[str], bool]) -> None:
        self._text = pattern
        self._is_script = is_script
        self._place = 0
        self._out: list[str] = []
        self._groups = [Group(captures=False)]
        self._captures, self._names = 0, list[tuple[int, str]]()
        self._last_named = pattern.rfind(":]")  # asked once: a search for each "[:" that has no end is quadratic

    def parse(self) -> Syntax:
        text, repeat_from = self._text, -1
        while self._place < len(text):
            start = self._place
            char = text[start]
            repeat = None
            if char == "{":
                repeat = _REPEAT.match(text, start)
            if char in "*+?" or repeat:
                self._repeat(repeat, repeat_from)
                repeat_from = start if repeat_from < 0 else repeat_from
                continue
            self._piece(char)
            repeat_from = -1
        whole = self._groups[-1].closed()
        if len(self._groups) > 1:
            raise RegexpError("missing closing )", text)
        self._limits(whole)
        if whole.weight > MAX_WEIGHT:
            raise RegexpError("expression too large", text)
        return Syntax("".join(self._out), whole.weight, tuple(self._names))

    def _piece(self, char: str) -> None:
        group = self._groups[-1]
        if char == "(":
            self._open()
        elif char == "|":
            group.alternative()
            self._take(1)
        elif char == ")":
            if len(self._groups) == 1:
                raise RegexpError("unexpected )", self._text)
            node = self._groups.pop().closed()
            self._limits(node)
            self._groups[-1].add(node)
            self._take(1)
        elif char == "[":
            group.add(Node(weight=self._class()))
        elif char == "\\":
            self._escaped()
        else:
            group.add(Node(weight=_CLASS_WEIGHT) if char in ".^$" else LITERAL)
            self._take(1)

    def _take(self, length: int, text: str | None = None) -> None:
        """Goes on behind `length` characters, which the library reads as `text`."""
        self._out.append(self._text[self._place : self._place + length] if text is None else text)
        self._place += length

    def _limits(self, node: Node) -> None:
        if node.size > MAX_SIZE:
            raise RegexpError("expression too large", self._text)
        if node.height > MAX_HEIGHT:
            raise RegexpError("expression nests too deeply", self._text)

    # Repetitions.

    def _repeat(self, counted: re.Match[str] | None, repeat_from: int) -> None:
        text, start = self._text, self._place
        end = counted.end() if counted else start + 1
        least, most = _counts(counted) if counted else (0, -1)
        if least > MAX_REPEAT or most > MAX_REPEAT or 0 <= most < least:
            raise RegexpError("invalid repeat count", text[start:end])
        if text.startswith("?", end):  # not greedy
            end += 1
        if repeat_from >= 0:
            raise RegexpError("invalid nested repetition operator", text[repeat_from:end])
        last = self._groups[-1].last
        if last is None:
            raise RegexpError("missing argument to repetition operator", text[start:end])
        copies = max(most, least, 1)
        repeats = 0 if most == 0 else last.repeats * (most if most >= 0 else max(least, 1)) if counted else last.repeats
        size, weight = last.size * copies + (max(most - least, 0) if counted else 2), last.weight * copies + copies
        node = Node(last.height + 1, max(size, 1), weight, repeats)
        self._limits(node)
        if (least >= 2 or most >= 2) and repeats > MAX_REPEAT:
            raise RegexpError("invalid repeat count", text[start:end])
        self._groups[-1].last = node
        self._take(end - start)

    # Groups and flags.

    def _open(self) -> None:
        text, start = self._text, self._place
        if not text.startswith("(?", start):
            self._captures += 1
            self._groups.append(Group(captures=True))
            self._take(1)
            return
        for prefix, least in (("(?P<", 5), ("(?<", 4)):  # at least so much is left, or it is no named capture
            if text.startswith(prefix, start) and len(text) - start >= least:
                self._named(prefix)
                return
        self._flags()

    def _named(self, prefix: str) -> None:
        text, start = self._text, self._place
        end = text.find(">", start)
        if end < 0:
            raise RegexpError("invalid named capture", text[start:])
        name = text[start + len(prefix) : end]
        if not name or any(char != "_" and char not in _ALNUM for char in name):
            raise RegexpError("invalid named capture", text[start : end + 1])
        self._captures += 1
        self._names.append((self._captures, name))
        self._groups.append(Group(captures=True))
        self._take(end + 1 - start, "(")  # names of groups, which Go lets repeat, say nothing about what matches

    def _flags(self) -> None:
        text, start = self._text, self._place
        negative = any_flag = False
        place = start + 2
        while place < len(text):
            char = text[place]
            place += 1
            if char in _FLAGS:
                any_flag = True
            elif char == "-" and not negative:
                negative, any_flag = True, False
            elif char in ":)" and (any_flag or not negative):
                if char == ":":
                    self._groups.append(Group(captures=False))
                self._take(place - start)
                return
            else:
                break
        raise RegexpError("invalid or unsupported Perl syntax", text[start:place])

    # Escapes and classes.

    def _escaped(self) -> None:
        text, start, group = self._text, self._place, self._groups[-1]
        char = text[start + 1 : start + 2]
        if char in ("A", "b", "B", "z"):
            group.add(Node())
            self._take(2)
        elif char == "C":
            raise RegexpError("invalid escape sequence", r"\C")
        elif char == "Q":
            end = text.find(r"\E", start + 2)
            for _ in range(start + 2, len(text) if end < 0 else end):
                group.add(LITERAL)
            self._take((len(text) if end < 0 else end + 2) - start)
        elif char in ("p", "P"):
            end, ranges = self._unicode_class(start)
            group.add(Node(weight=_UNICODE_WEIGHT))
            self._take(end - start, ranges if ranges.startswith("\\p") or ranges.startswith("\\P") else f"[{ranges}]")
        elif char and char in _PERL_CLASSES:
            group.add(Node(weight=_CLASS_WEIGHT))
            self._take(2)
        else:
            end, _ = self._escape(start)
            group.add(LITERAL)
            self._take(end - start)

    def _escape(self, start: int) -> tuple[int, int]:
        """(where it ends, which rune it is)."""
        text = self._text
        char = text[start + 1 : start + 2]
        if not char:
            raise RegexpError("trailing backslash at end of expression", "")
        place = start + 2
        if char.isascii() and char not in _ALNUM:
            return place, ord(char)
        if char in _OCTAL and (char == "0" or (place < len(text) and text[place] in _OCTAL)):
            while place < min(start + 4, len(text)) and text[place] in _OCTAL:
                place += 1
            return place, int(text[start + 1 : place], 8)
        if char == "x":
            return self._hexadecimal(start)
        if char in _CONTROL:
            return place, ord("\a\f\n\r\t\v"["afnrtv".index(char)])
        raise RegexpError("invalid escape sequence", text[start:place])

    def _hexadecimal(self, start: int) -> tuple[int, int]:
        text, place = self._text, start + 2
        if text.startswith("{", place):
            rune, place = 0, place + 1
            while place < len(text):
                char = text[place]
                place += 1
                if char == "}" and place > start + 4:
                    return place, rune
                if char not in _HEX or (rune := rune * 16 + int(char, 16)) > sys.maxunicode:
                    break
        else:
            digits = text[place : place + 2]
            place = min(place + 2, len(text))
            if len(digits) == 2 and set(digits) <= _HEX:
                return place, int(digits, 16)
        raise RegexpError("invalid escape sequence", text[start:place])

    def _unicode_class(self, start: int) -> tuple[int, str]:
        """(where it ends, the same within a class of the library)."""
        text = self._text
        negative = text[start + 1] == "P"
        place = start + 2
        if text.startswith("{", place):
            end = text.find("}", start)
            if end < 0:
                raise RegexpError("invalid character class range", text[start:])
            name, end = text[place + 1 : end], end + 1
        else:
            name, end = text[place : place + 1], place + 1
        if name.startswith("^"):
            negative, name = not negative, name[1:]
        ranges = named_class(name, negative, self._is_script) if place < len(text) else None
        if ranges is None:
            raise RegexpError("invalid character class range", text[start:end])
        return end, ranges

    def _class(self) -> int:
        """Reads a class; how much it weighs."""
        text, start = self._text, self._place
        weight = _CLASS_WEIGHT
        self._take(2 if text.startswith("[^", start) else 1)
        first = True
        while first or not text.startswith("]", self._place):
            first = False
            place = self._place
            if place >= len(text):
                raise RegexpError("missing closing ]", text[start:])
            if text.startswith("[:", place) and place + 2 <= self._last_named:
                end = text.find(":]", place + 2)
                if text[place + 2 : end].removeprefix("^") not in _POSIX:
                    raise RegexpError("invalid character class range", text[place : end + 2])
                self._take(end + 2 - place)
                weight += _CLASS_WEIGHT
            elif text.startswith(("\\p", "\\P"), place):
                end, ranges = self._unicode_class(place)
                self._take(end - place, ranges)
                weight += _UNICODE_WEIGHT
            elif text[place] == "\\" and text[place + 1 : place + 2] and text[place + 1] in _PERL_CLASSES:
                self._take(2)
                weight += _CLASS_WEIGHT
            else:
                self._range(start)
                weight += LITERAL_WEIGHT
        self._take(1)
        return min(weight, _MAX_CLASS_WEIGHT)

    def _range(self, start: int) -> None:
        text, place = self._text, self._place
        end, low = self._class_rune(place, start)
        if text.startswith("-", end) and end + 1 < len(text) and text[end + 1] != "]":
            end, high = self._class_rune(end + 1, start)
            if high < low:
                raise RegexpError("invalid character class range", text[place:end])
        self._take(end - place)

    def _class_rune(self, place: int, start: int) -> tuple[int, int]:
        text = self._text
        if place >= len(text):
            raise RegexpError("missing closing ]", text[start:])
        return self._escape(place) if text[place] == "\\" else (place + 1, ord(text[place]))


def _counts(counted: re.Match[str]) -> tuple[int, int]:
    """({least, most}); most is -1 without an end. Numbers of many digits are all too large."""
    least, comma, most = counted.groups()
    first = int(least[:9])
    return first, (int(most[:9]) if most else -1) if comma else first
