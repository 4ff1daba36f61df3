"""Tokens of CEL (upstream: cel-go parser/gen/CEL.g4). What is no token is told of and left out, as ANTLR's lexers do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import Issue

END = "<EOF>"
IDENTIFIER, ESCAPED = "IDENTIFIER", "ESC_IDENTIFIER"
INT, UINT, FLOAT, STRING, BYTES = "NUM_INT", "NUM_UINT", "NUM_FLOAT", "STRING", "BYTES"
KEYWORDS = frozenset(("in", "true", "false", "null"))


class Token(NamedTuple):
    """`kind` is one of the names above, or the token itself for operators, brackets and keywords."""

    kind: str
    text: str
    offset: int


_HIDDEN = re.compile(r"(?:[\t \r\n\f]+|//[^\n]*)+")
_NUMBER = re.compile(
    r"(?P<NUM_FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])|(?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r"`[A-Za-z0-9_./ -]+`")
_OPERATORS = ("==", "!=", "<=", ">=", "&&", "||", *"[]{}().,-!?:+*/%<>")
_STRING_START = re.compile(r"(?P<bytes>[bB]?)(?P<raw>[rR]?)(?P<quote>\"\"\"|'''|\"|')")
_ESCAPE = re.compile(r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_ESCAPE_DIGITS = {"x": 2, "X": 2, "u": 4, "U": 8}


def tokens(source: str, issues: list[Issue]) -> list[Token]:
    """All tokens, the last of them END. What is none is added to `issues`."""
    return list(_tokens(source, issues))


def _tokens(source: str, issues: list[Issue]) -> Iterator[Token]:
    at, end = 0, len(source)
    while True:
        hidden = _HIDDEN.match(source, at)
        if hidden:
            at = hidden.end()
        if at >= end:
            yield Token(END, END, end)
            return
        token, stop = _token(source, at)
        if token is None:
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{source[at:stop]}'"))
        else:
            yield token
        at = stop


def _token(source: str, at: int) -> tuple[Token | None, int]:
    """The token here and where it ends; without one, where to go on."""
    character = source[at]
    start = _STRING_START.match(source, at) if character in "bBrR\"'" else None
    if start:
        stop, whole = _string_end(source, start.end(), start["quote"], bool(start["raw"]))
        kind = BYTES if start["bytes"] else STRING
        return (Token(kind, source[at:stop], at) if whole else None), stop
    word = _IDENTIFIER.match(source, at)
    if word:
        text = word[0]
        return Token(text if text in KEYWORDS else IDENTIFIER, text, at), word.end()
    number = _NUMBER.match(source, at)
    if number:
        return Token(str(number.lastgroup), number[0], at), number.end()
    for operator in _OPERATORS:
        if source.startswith(operator, at):
            return Token(operator, operator, at), at + len(operator)
    if character == "`":
        escaped = _ESCAPED.match(source, at)
        if escaped:
            return Token(ESCAPED, escaped[0], at), escaped.end()
        allowed = re.compile(r"`[A-Za-z0-9_./ -]*").match(source, at)
        return None, min((allowed.end() if allowed else at) + 1, len(source))
    return None, min(at + (2 if character in "=&|" else 1), len(source))


def _string_end(source: str, at: int, quote: str, raw: bool) -> tuple[int, bool]:
    """Where a string ends, and whether it does; if not, behind the character that breaks it."""
    end, several = len(source), len(quote) == 3
    while at < end:
        if source.startswith(quote, at):
            return at + len(quote), True
        character = source[at]
        if character in "\n\r" and not several:
            return at + 1, False
        if character == "\\" and not raw:
            escape = _ESCAPE.match(source, at)
            if escape is None:
                return _broken_escape(source, at), False
            at = escape.end()
        else:
            at += 1
    return end, False


def _broken_escape(source: str, at: int) -> int:
    """Behind the first character that the escape at `at` cannot have."""
    letter, stop = source[at + 1 : at + 2], at + 2
    if letter in _ESCAPE_DIGITS:
        digits, allowed = _ESCAPE_DIGITS[letter], "0123456789abcdefABCDEF"
    else:
        digits, allowed = (2, "01234567") if letter and letter in "0123" else (0, "")
    while digits and source[stop : stop + 1] and source[stop] in allowed:
        stop, digits = stop + 1, digits - 1
    return min(stop + (1 if letter in _ESCAPE_DIGITS or letter in "0123" else 0), len(source))
