"""The part of Go's text/template that records are written in: fields, index, comparisons, printf, if. Pure.

`parse` refuses what Go refuses, and what is not there, in one line. Neither loops nor templates in one another are there, so that text comes
out in time that grows with the template and its data; a `printf` width is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 32  # of parentheses and of ifs in one another
MAX_WIDTH = 1000  # of a printf verb
MAX_TEXT = 65535  # of what comes out: no record is longer

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value] | None"


class TemplateError(ValueError):
    """One line: why it is no template, or why it cannot be filled in."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Field:
    """.A.b, or $.A.b; no names: the dot itself."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    arguments: tuple[Expression, ...]


Expression = Literal | Field | Call


@dataclass(frozen=True, slots=True)
class If:
    """Branches with their conditions, the last one's may be always true."""

    branches: tuple[tuple[Expression, tuple[Node, ...]], ...]


Node = str | Literal | Field | Call | If

_TOKEN = re.compile(
    r'\s*(?:(?P<sign>[()|])|(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?[0-9]+)'
    r"|(?P<field>\$?(?:\.[A-Za-z_][A-Za-z0-9_]*)+|\$?\.|\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*))(?=[\s()|]|$))"
)
_VERB = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>[0-9]{0,4})(?:\.(?P<precision>[0-9]{0,4}))?(?P<verb>.)", re.DOTALL)


class Template:
    """Ready to be filled in."""

    def __init__(self, nodes: Sequence[Node], text: str) -> None:
        self._nodes, self.text = nodes, text

    def execute(self, data: Mapping[str, Value]) -> str:
        """TemplateError where the data do not fit, or more comes out than a record may be long."""
        parts: list[str] = []
        _render(self._nodes, data, parts)
        text = "".join(parts)
        if len(text) > MAX_TEXT:
            raise TemplateError(f"more than {MAX_TEXT} characters come out")
        return text


def _render(nodes: Sequence[Node], data: Mapping[str, Value], parts: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, If):
            for condition, inner in node.branches:
                if _truth(_evaluate(condition, data)):
                    _render(inner, data, parts)
                    break
        else:
            parts.append(_printed(_evaluate(node, data)))


def parse(text: str) -> Template:
    """TemplateError."""
    pieces: list[str | list[_Token]] = []
    place, trim = 0, False
    while (start := text.find("{{", place)) >= 0:
        end = text.find("}}", start)
        if end < 0:
            raise TemplateError("unclosed action")
        action = text[start + 2 : end]
        before = text[place:start].lstrip() if trim else text[place:start]
        pieces.append(before.rstrip() if action.startswith("- ") else before)
        trim = action.endswith(" -")
        action = action.removeprefix("- ").removesuffix(" -")
        if not action.strip().startswith("/*"):
            pieces.append(_tokens(action))
        place = end + 2
    pieces.append(text[place:].lstrip() if trim else text[place:])
    nodes = _Parser(pieces).nodes(0, top=True)
    return Template(nodes, text)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise TemplateError(f"unexpected {text[place:].strip()[:20]!r} in an action")
        tokens.append(_Token(match.lastgroup or "", match[match.lastgroup or 0]))
        place = match.end()
    if not tokens:
        raise TemplateError("missing value for command")
    return tokens


class _Parser:
    def __init__(self, pieces: Sequence[str | list[_Token]]) -> None:
        self._pieces, self._place = pieces, 0
        self._tokens: list[_Token] = []
        self._at = 0

    def nodes(self, depth: int, top: bool = False) -> tuple[Node, ...]:
        """Up to {{else}}, {{end}} or the end of all; the former stay."""
        if depth > MAX_DEPTH:
            raise TemplateError(f"more than {MAX_DEPTH} levels")
        nodes: list[Node] = []
        while self._place < len(self._pieces):
            piece = self._pieces[self._place]
            if isinstance(piece, str):
                self._place += 1
                if piece:
                    nodes.append(piece)
                continue
            word = piece[0].text
            if word in ("else", "end") and not top:
                return tuple(nodes)
            if word in ("else", "end"):
                raise TemplateError(f"unexpected {{{{{word}}}}}")
            self._place += 1
            if word == "if":
                nodes.append(self._if(piece[1:], depth))
            elif word in ("range", "with", "define", "template", "block", "break", "continue"):
                raise TemplateError(f"{word} is not there")
            else:
                nodes.append(self._pipeline(piece))
        if not top:
            raise TemplateError("unexpected EOF: an {{if}} has no {{end}}")
        return tuple(nodes)

    def _if(self, condition: list[_Token], depth: int) -> If:
        branches: list[tuple[Expression, tuple[Node, ...]]] = []
        test: Expression = self._pipeline(condition)
        last = False
        while True:
            branches.append((test, self.nodes(depth + 1)))
            piece = self._pieces[self._place]
            assert isinstance(piece, list)  # nodes() stopped at else or end
            self._place += 1
            if piece[0].text == "end":
                return If(tuple(branches))
            if last:
                raise TemplateError("expected end; found {{else}}")
            last = len(piece) == 1
            if not last and piece[1].text != "if":
                raise TemplateError(f"unexpected {piece[1].text!r} after else")
            test = Literal(True) if last else self._pipeline(piece[2:])

    def _pipeline(self, tokens: list[_Token]) -> Expression:
        before = self._tokens, self._at
        self._tokens, self._at = tokens, 0
        expression = self._piped(0)
        if self._at < len(tokens):
            raise TemplateError(f"unexpected {tokens[self._at].text!r} in an action")
        self._tokens, self._at = before
        return expression

    def _piped(self, depth: int) -> Expression:
        """commands with | between them: the value of each is the last argument of the next."""
        if depth > MAX_DEPTH:
            raise TemplateError(f"more than {MAX_DEPTH} levels")
        expression = self._command(depth, None)
        while self._at < len(self._tokens) and self._tokens[self._at].text == "|":
            self._at += 1
            expression = self._command(depth, expression)
        return expression

    def _command(self, depth: int, piped: Expression | None) -> Expression:
        operands: list[Expression] = []
        name = ""
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "sign" and token.text in "|)":
                break
            self._at += 1
            if token.kind == "name" and token.text not in ("true", "false", "nil") and not name and not operands:
                name = token.text
                if name not in FUNCTIONS and name not in ("and", "or"):
                    raise TemplateError(f'function "{name}" not defined')
            else:
                operands.append(self._operand(token, depth))
        if piped is not None:
            operands.append(piped)
        if name:
            return Call(name, tuple(operands))
        if not operands:
            raise TemplateError("missing value for command")
        if len(operands) > 1:
            raise TemplateError("can't give argument to non-function")
        return operands[0]

    def _operand(self, token: _Token, depth: int) -> Expression:
        if token.kind == "string":
            return Literal(token.text[1:-1] if token.text[0] == "`" else _unquoted(token.text))
        if token.kind == "number":
            return Literal(int(token.text[:20]))
        if token.kind == "field":
            return Field(
                tuple(token.text.removeprefix("$").split(".")[1:]) if token.text not in (".", "$", "$.") else ()
            )
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        if token.text == "nil":
            return Literal(None)
        if token.text != "(":
            if token.text in FUNCTIONS:
                return Call(token.text, ())
            raise TemplateError(f'function "{token.text}" not defined')
        inner = self._piped(depth + 1)
        if self._at >= len(self._tokens) or self._tokens[self._at].text != ")":
            raise TemplateError("unclosed left paren")
        self._at += 1
        return inner


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        raise TemplateError(f"bad string {text}") from None
    assert isinstance(value, str)  # of quotes
    return value


def _evaluate(expression: Expression, data: Mapping[str, Value]) -> Value:
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Field):
        return _field(expression.names, data)
    if expression.name in ("and", "or"):  # as far as they are needed
        value: Value = None
        for argument in expression.arguments:
            value = _evaluate(argument, data)
            if _truth(value) == (expression.name == "or"):
                break
        return value
    arguments = [_evaluate(argument, data) for argument in expression.arguments]
    try:
        return FUNCTIONS[expression.name](*arguments)
    except (TypeError, IndexError) as error:
        raise TemplateError(f"error calling {expression.name}: {error}") from None


def _field(names: tuple[str, ...], data: Mapping[str, Value]) -> Value:
    value: Value = data
    for place, name in enumerate(names):
        if not isinstance(value, Mapping):
            raise TemplateError(f"can't evaluate field {name} in .{'.'.join(names[:place])}")
        if name not in value and place == 0:
            raise TemplateError(f"can't evaluate field {name}")
        value = value.get(name)
    return value


def _truth(value: Value) -> bool:
    return bool(value)


def _printed(value: Value) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, str | int):
        return str(value)
    return f"[{' '.join(map(_printed, value))}]"


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, Mapping) and isinstance(key, str):
            value = value.get(key, "")
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {key}")
            value = value[key]
        else:
            raise TemplateError(f"error calling index: can't index with {_printed(key)}")
    return value


def _length(value: Value) -> int:
    if value is None or isinstance(value, int):
        raise TemplateError(f"error calling len: len of {_printed(value)}")
    return len(value)


def _parse_int(text: Value, base: Value, bits: Value) -> int:
    """Go's strconv.ParseUint, which is what upstream has under this name."""
    if not isinstance(text, str) or not isinstance(base, int) or not isinstance(bits, int):
        raise TemplateError("error calling parseInt: a string, a base and a size are expected")
    try:
        if not text[:1].isalnum() or "_" in text or len(text) > 64 or not (base == 0 or 2 <= base <= 36):
            raise ValueError
        value = int(text, base)
    except ValueError:
        raise TemplateError(f'error calling parseInt: strconv.ParseUint: parsing "{text}": invalid syntax') from None
    if not 0 <= value < 1 << (bits or 64):
        raise TemplateError(f'error calling parseInt: strconv.ParseUint: parsing "{text}": value out of range')
    return value


def _printf(format: Value, *arguments: Value) -> str:
    """The verbs %s, %v, %d, %x, %X, %o, %b, %c, %q, %t and %%."""
    if not isinstance(format, str):
        raise TemplateError("error calling printf: the format is no string")
    rest = list(arguments)

    def verb(match: re.Match[str]) -> str:
        kind, width = match["verb"], min(int(match["width"] or 0), MAX_WIDTH)
        if kind == "%":
            return "%"
        if not rest:
            return f"%!{kind}(MISSING)"
        text = _formatted(kind, rest.pop(0))
        if match["precision"] and kind in "svq":
            text = text[: int(match["precision"])]
        flags = match["flags"]
        fill = "0" if "0" in flags and "-" not in flags and kind in "dxXob" else " "
        return text.ljust(width) if "-" in flags else text.rjust(width, fill)

    text = _VERB.sub(verb, format)
    if len(text) > MAX_TEXT:
        raise TemplateError(f"error calling printf: more than {MAX_TEXT} characters come out")
    return text


_NUMBER_VERBS: dict[str, str] = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b", "c": "c"}


def _formatted(kind: str, value: Value) -> str:
    if kind in _NUMBER_VERBS and isinstance(value, int) and not isinstance(value, bool):
        if kind == "c" and not 0 <= value < 0x110000:
            return "\ufffd"
        return format(value, _NUMBER_VERBS[kind])
    if kind in "xX" and isinstance(value, str):
        return value.encode().hex() if kind == "x" else value.encode().hex().upper()
    if kind == "q" and isinstance(value, str):
        return json.dumps(value)
    if kind in "sv" or (kind == "t" and isinstance(value, bool)):
        return _printed(value)
    return f"%!{kind}({_printed(value)})"


def _slice(value: Value, *bounds: Value) -> Value:
    if not isinstance(value, Sequence) or any(not isinstance(bound, int) for bound in bounds) or len(bounds) > 2:
        raise TemplateError("error calling slice: a string or list and up to two numbers are expected")
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    low, high = (numbers[0] if numbers else 0), (numbers[1] if len(numbers) > 1 else len(value))
    if not 0 <= low <= high <= len(value):
        raise TemplateError(f"error calling slice: index out of range: {low}, {high}")
    return value[low:high]


def _ordered(compare: Callable[[int], bool]) -> Callable[[Value, Value], Value]:
    def compared(left: Value, right: Value) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare((left > right) - (left < right))
        if isinstance(left, int) and isinstance(right, int):
            return compare((left > right) - (left < right))
        raise TemplateError("incompatible types for comparison")

    return compared


def _equal(left: Value, *others: Value) -> bool:
    if not others:
        raise TemplateError("error calling eq: missing argument for comparison")
    return any(type(left) is type(other) and left == other for other in others)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "index": _index,
    "len": _length,
    "not": lambda value: not _truth(value),
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": _ordered(lambda order: order < 0),
    "le": _ordered(lambda order: order <= 0),
    "gt": _ordered(lambda order: order > 0),
    "ge": _ordered(lambda order: order >= 0),
    "slice": _slice,
    "print": lambda *values: "".join(map(_printed, values)),
    "printf": _printf,
    "parseInt": _parse_int,
}
