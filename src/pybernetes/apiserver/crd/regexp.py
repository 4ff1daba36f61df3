"""Go's regular expressions (RE2) as Python's (upstream: regexp/syntax)."""

from __future__ import annotations

import functools
import re

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_UNSUPPORTED = re.compile(r"\(\?(?:=|!|<=|<!|>|#|\()")


class RegexpError(ValueError):
    """A pattern that Go refuses; the text is Go's."""


class Unsupported(ValueError):
    """A pattern that Go takes and Python cannot say."""


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """RegexpError for what Go refuses, Unsupported for what Python lacks."""
    if found := _UNSUPPORTED.search(pattern):
        raise RegexpError(f"error parsing regexp: invalid or unsupported Perl syntax: `{found[0]}`")
    translated = _translated(pattern)
    try:
        return re.compile(translated, re.ASCII)
    except re.error as error:
        raise RegexpError(f"error parsing regexp: {_words(error, pattern)}") from None


def _words(error: re.error, pattern: str) -> str:
    if "missing ), unterminated" in error.msg:
        return f"missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in error.msg:
        return f"unexpected ): `{pattern}`"
    if "unterminated character set" in error.msg:
        return f"missing closing ]: `{pattern[error.pos or 0 :]}`"
    if "nothing to repeat" in error.msg:
        return f"missing argument to repetition operator: `{pattern[error.pos or 0 :][:1]}`"
    if "bad escape" in error.msg:
        return f"invalid escape sequence: `{pattern[error.pos or 0 :][:2]}`"
    return f"{error.msg}: `{pattern}`"


def _translated(pattern: str) -> str:
    """`$` is the very end of the text, `\\z` too; named classes as ranges."""
    out: list[str] = []
    place, inside = 0, False
    while place < len(pattern):
        char = pattern[place]
        if char == "\\" and place + 1 < len(pattern):
            step, text = _escape(pattern, place)
            out.append(text)
            place += step
            continue
        if inside and pattern.startswith("[:", place) and (end := pattern.find(":]", place)) > 0:
            name = pattern[place + 2 : end]
            if name.startswith("^") or name not in _POSIX:
                raise RegexpError(f"error parsing regexp: invalid character class range: `[:{name}:]`")
            out.append(_POSIX[name])
            place = end + 2
            continue
        if char == "[":
            out.append("\\[" if inside else "[")
            if not inside:
                inside = True
                for first in ("^", "]"):  # a bracket at the beginning is one of the class
                    if pattern.startswith(first, place + 1):
                        out.append("^" if first == "^" else "\\]")
                        place += 1
        elif char == "]" and inside:
            out.append("]")
            inside = False
        elif char == "$" and not inside:
            out.append(r"\Z")
        else:
            out.append(char)
        place += 1
    return "".join(out)


def _escape(pattern: str, place: int) -> tuple[int, str]:
    """(length, Python's text) of an escape."""
    char = pattern[place + 1]
    if char == "z":
        return 2, r"\Z"
    if char in "pP":
        raise Unsupported(f"Unicode classes such as {pattern[place : place + 5]}")
    if char.isdigit() and char != "0":
        raise RegexpError(f"error parsing regexp: invalid escape sequence: `\\{char}`")
    if char == "Q":
        end = pattern.find("\\E", place + 2)
        stop = len(pattern) if end < 0 else end
        return (stop if end < 0 else end + 2) - place, re.escape(pattern[place + 2 : stop])
    if char == "x" and pattern.startswith("{", place + 2) and (end := pattern.find("}", place)) > 0:
        code = int(pattern[place + 3 : end], 16)
        return end + 1 - place, f"\\U{code:08x}"
    return 2, pattern[place : place + 2]
