"""What goes wrong in CEL, one class a reason. The words are cel-go's, of which clients see every letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_REPORTED = 100  # errors of one expression that are told, as upstream
MAX_SNIPPET = 16384  # characters of a line that a message may show


class CelError(Exception):
    """Any of the below. `cost` is what an evaluation had cost until then."""

    cost = 0


class CompileError(CelError):
    """An expression that is none, or of types that do not fit: the text has each fault with its place in the source."""


class InstantiationError(CompileError):
    """An expression whose types fit, but with a constant that has no value."""

    def __init__(self, reason: object) -> None:
        self.reason = str(reason)
        super().__init__(f"program instantiation failed: {reason}")


class EvaluationError(CelError):
    """A value that an expression has not: no such key, an overflow, a division by zero."""


class NoSuchOverload(EvaluationError):
    """A function was called with values it does not take, which only a dynamically typed expression can do."""


class CostExceeded(CelError):
    """The expression was stopped: it took more than it may."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


@dataclass(frozen=True, slots=True)
class Issue:
    """A fault of an expression. `offset` counts characters of the source; -1 is no place at all."""

    offset: int
    message: str


def report(source: str, issues: Sequence[Issue]) -> str:
    """The text of a CompileError: a line for each fault in order of the source, with the line that it is in and a caret below."""
    lines = source.split("\n")
    places = [_place(source, issue.offset) for issue in issues]
    order = sorted(range(len(issues)), key=lambda index: places[index])
    told = [_display(lines, places[index], issues[index].message) for index in order[:MAX_REPORTED]]
    if len(issues) > MAX_REPORTED:
        told.append(f"{len(issues) - MAX_REPORTED} more errors were truncated")
    return "\n".join(told)


def _place(source: str, offset: int) -> tuple[int, int]:
    """Line from 1, column from 0. No place is (-1, -1), as upstream's NoLocation."""
    if offset < 0:
        return -1, -1
    return source.count("\n", 0, offset) + 1, offset - (source.rfind("\n", 0, offset) + 1)


def _display(lines: Sequence[str], place: tuple[int, int], message: str) -> str:
    line, column = place
    text = f"ERROR: <input>:{line}:{column + 1}: {message}"
    if line < 1 or len(lines[line - 1]) > MAX_SNIPPET:
        return text
    snippet = lines[line - 1].replace("\t", " ")
    dots = "".join("." if character.isascii() else "．" for character in snippet[:column])  # noqa: RUF001  # as wide as the character
    below = snippet[column : column + 1]
    return f"{text}\n | {snippet}\n | {dots}{'^' if below.isascii() else '＾'}"  # noqa: RUF001
