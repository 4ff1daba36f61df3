"""JSON as Go's encoding/json reads it, for bodies that the fast decoder refuses: its words for bad syntax, and what it lets pass.

Go takes invalid UTF-8 and lone surrogates for U+FFFD, and keeps the text of a number until it knows what type it is for.
Both functions run the standard library's scanner in C; nothing here loops over a body's bytes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TRUNCATED = "unexpected end of JSON input"
TOO_DEEP = "exceeded max depth"  # Go's is 10,000; the interpreter's stack ends before
_SPACE = re.compile(r"[ \t\r\n]*")
_HEX = re.compile("[0-9a-fA-F]{0,4}")
_DIGITS = "0123456789"
_LITERALS = ("null", "true", "false")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ESCAPES = {
    "'": r"\'",
    "\\": r"\\",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}


class Number:
    """A number by its text: `2.0`, `3e+06`."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    @property
    def value(self) -> int | float:
        """As Go holds it where no type is asked for: an int64 where it is written as one and fits, else a float64.

        OverflowError where it fits neither.
        """
        if "." not in self.text and len(self.text) < 21:
            try:
                whole = int(self.text)
            except ValueError:  # an exponent
                pass
            else:
                if -(2**63) <= whole < 2**63:
                    return whole
        number = float(self.text)
        if number in (float("inf"), float("-inf")):
            raise OverflowError(self.text)
        return number


class Members(dict[str, Any]):
    """An object that remembers which of its keys were there twice."""

    twice: frozenset[str] = frozenset()  # a name repeated in it is told once


def _members(pairs: list[tuple[str, Any]]) -> Members:
    members = Members(pairs)
    if len(members) < len(pairs):
        times = Counter(name for name, _ in pairs)
        members.twice = frozenset(name for name in members if times[name] > 1)
    return members


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Go replaces byte by byte; Python's own handler takes what begins a character as one."""
    assert isinstance(error, UnicodeDecodeError)
    return REPLACEMENT * (error.end - error.start), error.end


codecs.register_error("go-replace", _each_byte)


def read(body: bytes) -> Any:
    """The value of a body: objects are Members, numbers Numbers.

    ValueError where it is no JSON (`syntax_error` says why), RecursionError where it is too deep.
    """
    text = body.decode("utf-8", "go-replace")
    value = json.loads(
        text,
        object_pairs_hook=_repaired_members if "\\u" in text else _members,
        parse_int=Number,
        parse_float=Number,
        parse_constant=_not_json,
    )
    return _repaired(value)


def _repaired_members(pairs: list[tuple[str, Any]]) -> Members:
    return _members([(_repaired(name), _repaired(value)) for name, value in pairs])


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub(REPLACEMENT, value)
    return [_repaired(item) for item in value] if isinstance(value, list) else value


def syntax_error(body: bytes) -> str:
    """What is wrong with a body, in the words of Go's scanner; "" where nothing is."""
    text = body.decode("latin-1")  # a character a byte: Go's scanner sees bytes
    try:
        json.loads(text, parse_int=_nothing, parse_float=_nothing, parse_constant=_not_json)
    except _NotJSON as error:
        return str(error)
    except RecursionError:
        return TOO_DEEP
    except json.JSONDecodeError as error:
        return _words(text, error)
    return ""


class _NotJSON(ValueError):
    """A word that Python knows and JSON does not."""


def _not_json(word: str) -> None:
    where = "in numeric literal" if word.startswith("-") else "looking for beginning of value"
    raise _NotJSON(_invalid(word.lstrip("-")[0], where))


def _nothing(text: str) -> None:
    return None


def _words(text: str, error: json.JSONDecodeError) -> str:
    place = error.pos
    match error.msg.split()[:2]:
        case ["Unterminated", _]:
            escaping = (len(text) - len(text.rstrip("\\"))) % 2
            return _within(text, len(text), "in string escape code") if escaping else TRUNCATED
        case ["Invalid", "control"]:
            return _at(text, place, "in string literal")
        case ["Invalid", _]:
            return _escape(text, place)
        case ["Expecting", "property"]:
            return _at(text, _past_space(text, place), "looking for beginning of object key string")
        case ["Illegal", _]:  # a comma before an end, from Python 3.13 on
            place = _past_space(text, place + 1)
            before = "object key string" if text[place : place + 1] == "}" else "value"
            return _at(text, place, f"looking for beginning of {before}")
        case ["Expecting", "value"] | ["Unexpected", _]:
            return _value(text, _past_space(text, place))
        case ["Expecting", "':'"]:
            return _at(text, place, "after object key")
        case ["Expecting", _]:
            return _number(text, place) or _at(text, place, "after " + _member_of(text, place))
    return _number(text, place) or _at(text, place, "after top-level value")


def _past_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _at(text: str, place: int, where: str) -> str:
    return _invalid(text[place], where) if place < len(text) else TRUNCATED


def _within(text: str, place: int, where: str) -> str:
    """Of a word, a number or an escape that goes wrong: to Go's scanner a space follows the end."""
    return _invalid(text[place : place + 1] or " ", where)


def _invalid(character: str, where: str) -> str:
    return f"invalid character {_quoted(character)} {where}"


def _quoted(character: str) -> str:
    """As Go quotes one."""
    if character in _ESCAPES:
        return f"'{_ESCAPES[character]}'"
    if character < " " or character == "\x7f":
        return f"'\\x{ord(character):02x}'"
    return f"'{character}'" if character.isprintable() else f"'\\u{ord(character):04x}'"


def _value(text: str, place: int) -> str:
    """Where a value is looked for: a word or number that goes wrong after its beginning, or none."""
    if text[place : place + 1] == "-":
        return _within(text, place + 1, "in numeric literal")
    for word in _LITERALS:
        if text[place : place + 1] == word[0]:
            good = next(n for n in range(len(word) + 1) if text[place : place + n + 1] != word[: n + 1])
            return _within(text, place + good, f"in literal {word} (expecting {_quoted(word[good])})")
    return _at(text, place, "looking for beginning of value")


def _number(text: str, place: int) -> str:
    """Where something stands behind a number that it could go on with: what is wrong further on. "" elsewhere."""
    if text[place - 1 : place] not in tuple(_DIGITS):
        return ""
    whole = text[:place].rstrip(_DIGITS)  # where the digits begin: behind a point, an exponent or neither
    going_on = "eE" if whole.endswith(".") else "" if whole.endswith(("e", "E", "e-", "E-", "e+", "E+")) else ".eE"
    if text[place : place + 1] not in tuple(going_on):
        return ""
    if text[place] == ".":
        return _within(text, place + 1, "after decimal point in numeric literal")
    place += 1
    if text[place : place + 1] in ("+", "-"):
        place += 1
    return _within(text, place, "in exponent of numeric literal")


def _escape(text: str, place: int) -> str:
    """Of a string: `place` is at its first bad escape, on the backslash or the letter behind it."""
    letter = place if text[place] == "u" and text[place - 1 : place] == "\\" else place + 1
    if text[letter : letter + 1] != "u":
        return _within(text, letter, "in string escape code")
    digits = _HEX.match(text, letter + 1)
    return _within(text, digits.end() if digits else letter, "in \\u hexadecimal character escape")


def _member_of(text: str, place: int) -> str:
    """What has just ended before a place where a comma or an end is missing: it is asked what could follow there."""
    try:
        json.loads(text[:place] + ',"":0', parse_int=_nothing, parse_float=_nothing)
    except json.JSONDecodeError as error:
        return "object key:value pair" if error.pos >= place + 5 else "array element"
    raise AssertionError("nothing can end where something was missing")
