"""Label selectors, after upstream's ``apimachinery/pkg/labels`` and the selector helpers of ``pkg/apis/meta/v1``."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from .names import label_key_errors, label_value_errors
from .selectorindex import FEW, SelectorIndex
from .strconv import NumberError, parse_int
from .types import meta_v1 as meta


class SelectorError(ValueError):
    """A selector is not valid; the text is upstream's."""


class Operator(StrEnum):
    """Requirement operators (``pkg/selection``)."""

    IN = "in"
    NOT_IN = "notin"
    EQUALS = "="
    DOUBLE_EQUALS = "=="
    NOT_EQUALS = "!="
    GREATER_THAN = "gt"
    LESS_THAN = "lt"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"


_BINARY_OPERATORS: Final = list(Operator)[:7]
_TOKEN_OPERATORS: Final = {
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    "=": Operator.EQUALS,
    "==": Operator.DOUBLE_EQUALS,
    "!=": Operator.NOT_EQUALS,
    ">": Operator.GREATER_THAN,
    "<": Operator.LESS_THAN,
}


def _quote(text: str) -> str:
    quoted: str = json.dumps(text, ensure_ascii=False)
    return quoted


def _listed(values: Iterable[str]) -> str:
    return f"[{','.join(_quote(value) for value in values)}]"


def _int64(text: str) -> int | None:
    """Read a base-10 int64, or None when it is not one."""
    try:
        return parse_int(text)
    except NumberError:
        return None


def _invalid(path: str, value: str, detail: str) -> str:
    """Word an invalid field as ``field.Invalid`` does; value is already quoted."""
    return f"{path}: Invalid value: {value}: {detail}"


def _key_problem(key: str, path: str) -> list[str]:
    problems = label_key_errors(key)
    return [_invalid(path, _quote(key), "; ".join(problems))] if problems else []


def _raise_aggregate(errors: Iterable[str]) -> None:
    """Raise one error for all, in the manner of ``errors.Aggregate``."""
    unique = list(dict.fromkeys(errors))
    if unique:
        raise SelectorError(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition of a selector (``labels.Requirement``)."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()
    _among: Container[str] = field(init=False, repr=False, compare=False)  # the same values, to look up in

    def __post_init__(self) -> None:
        many = len(self.values) > 8
        object.__setattr__(self, "_among", frozenset(self.values) if many else self.values)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Report whether a set of labels meets the condition."""
        present = self.key in labels
        match self.operator:
            case Operator.IN | Operator.EQUALS | Operator.DOUBLE_EQUALS:
                return present and labels[self.key] in self._among
            case Operator.NOT_IN | Operator.NOT_EQUALS:
                return not present or labels[self.key] not in self._among
            case Operator.EXISTS:
                return present
            case Operator.DOES_NOT_EXIST:
                return not present
        if not present or len(self.values) != 1:
            return False
        left, right = _int64(labels[self.key]), _int64(self.values[0])
        if left is None or right is None:
            return False
        return left > right if self.operator is Operator.GREATER_THAN else left < right

    def __str__(self) -> str:
        joined = ",".join(sorted(self.values))
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({joined})"
            case Operator.GREATER_THAN:
                return f"{self.key}>{joined}"
            case Operator.LESS_THAN:
                return f"{self.key}<{joined}"
        return f"{self.key}{self.operator}{joined}"


def new_requirement(key: str, operator: str, values: Sequence[str] = ()) -> Requirement:
    """Check and build a requirement (``labels.NewRequirement``)."""
    errors = _key_problem(key, "key")
    try:
        parsed = Operator(operator)
    except ValueError:
        parsed = None
        supported = ", ".join(_quote(item) for item in Operator)
        errors.append(f"operator: Unsupported value: {_quote(operator)}: supported values: {supported}")
    match parsed:
        case Operator.IN | Operator.NOT_IN:
            if not values:
                errors.append(_invalid("values", "[]", "for 'in', 'notin' operators, values set can't be empty"))
        case Operator.EQUALS | Operator.DOUBLE_EQUALS | Operator.NOT_EQUALS:
            if len(values) != 1:
                errors.append(
                    _invalid("values", _listed(values), "exact-match compatibility requires one single value")
                )
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            if values:
                errors.append(
                    _invalid("values", _listed(values), "values set must be empty for exists and does not exist")
                )
        case Operator.GREATER_THAN | Operator.LESS_THAN:
            if len(values) != 1:
                errors.append(
                    _invalid("values", _listed(values), "for 'Gt', 'Lt' operators, exactly one value is required")
                )
            for index, value in enumerate(values):
                if _int64(value) is None:
                    detail = "for 'Gt', 'Lt' operators, the value must be an integer"
                    errors.append(_invalid(f"values[{index}]", _quote(value), detail))
    for index, value in enumerate(values):
        problems = label_value_errors(value)
        if problems:
            errors.append(_invalid(f"values[{index}][{key}]", _quote(value), "; ".join(problems)))
    _raise_aggregate(errors)
    assert parsed is not None
    return Requirement(key, parsed, tuple(sorted(values)))  # a set, as upstream: equal ones compare equal


def _indexed(requirements: Iterable[Requirement]) -> SelectorIndex | None:
    """None where one is of the sort that no object meets."""
    index = SelectorIndex()
    for one in requirements:
        match one.operator:
            case Operator.IN | Operator.EQUALS | Operator.DOUBLE_EQUALS:
                index.require_one_of(one.key, one.values)
            case Operator.NOT_IN | Operator.NOT_EQUALS:
                index.refuse_all_of(one.key, one.values)
            case Operator.EXISTS:
                index.require(one.key)
            case Operator.DOES_NOT_EXIST:
                index.refuse(one.key)
            case Operator.GREATER_THAN | Operator.LESS_THAN:
                number = _int64(one.values[0]) if len(one.values) == 1 else None
                if number is None:
                    return None
                if one.operator is Operator.GREATER_THAN:
                    index.require_above(one.key, number)
                else:
                    index.require_below(one.key, number)
    return index.done()


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold (``labels.Selector``); ``nothing`` matches no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _index: SelectorIndex | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", _indexed(self.requirements) if len(self.requirements) > FEW else None)

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Report whether a set of labels is selected."""
        if self._index is not None and not self.nothing:
            return self._index.matches(labels or {}, _int64)
        return not self.nothing and all(item.matches(labels or {}) for item in self.requirements)

    def empty(self) -> bool:
        """Report whether the selector leaves everything in."""
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(str(item) for item in self.requirements)


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def _selector(requirements: Iterable[Requirement]) -> Selector:
    return Selector(tuple(sorted(requirements, key=lambda item: item.key)))


_TOKEN: Final = re.compile(r"==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+")  # blanks are what no token begins with
_SYMBOLS: Final = frozenset(["==", "!=", "=", "!", "(", ")", ",", "<", ">"])


class _Parser:
    """Walk the tokens of a selector; the empty token marks the end of the string."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]
        self._at = 0

    def peek(self) -> str:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    @staticmethod
    def is_identifier(token: str) -> bool:
        return token != "" and token not in _SYMBOLS

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while (token := self.peek()) != "":
            if token != "!" and not self.is_identifier(token):
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token = self.take()
            if token == "":
                break
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            token = self.peek()
            if token != "!" and not self.is_identifier(token):
                raise SelectorError(f"found '{token}', expected: identifier after ','")
        return requirements

    def _requirement(self) -> Requirement:
        key = self.take()
        negated = key == "!"
        if negated:
            key = self.take()
        if not self.is_identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        _raise_aggregate(_key_problem(key, "<nil>"))
        if negated:
            return new_requirement(key, Operator.DOES_NOT_EXIST)
        if self.peek() in ("", ","):
            return new_requirement(key, Operator.EXISTS)
        token = self.take()
        operator = _TOKEN_OPERATORS.get(token)
        if operator is None:
            raise SelectorError(f"found '{token}', expected: {', '.join(_BINARY_OPERATORS)}")
        values = self._values() if operator in (Operator.IN, Operator.NOT_IN) else {self._exact_value()}
        return new_requirement(key, operator, sorted(values))

    def _exact_value(self) -> str:
        if self.peek() in ("", ","):
            return ""
        token = self.take()
        if not self.is_identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> set[str]:
        token = self.take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        token = self.peek()
        if token == ")":
            self.take()
            return {""}
        if token != "," and not self.is_identifier(token):
            raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
        values = self._identifiers()
        self.take()  # the closing parenthesis that ended the list
        return values

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            token = self.take()
            following = self.peek()
            if self.is_identifier(token):
                values.add(token)
                if following == ")":
                    return values
                if following != ",":
                    raise SelectorError(f"found '{following}', expected: ',' or ')'")
            elif token == ",":
                if not values:
                    values.add("")
                if following == ")":
                    values.add("")
                    return values
                if following == ",":
                    self.take()
                    values.add("")
            else:
                raise SelectorError(f"found '{token}', expected: ',', or identifier")


def parse_selector(text: str) -> Selector:
    """Parse a label selector in equality or set syntax (``labels.Parse``)."""
    return _selector(_Parser(text).parse())


_EXPRESSION_OPERATORS: Final = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def selector_from_dict(selector: Mapping[str, Any] | None) -> Selector:
    """Turn a LabelSelector in JSON's form into a selector (``metav1.LabelSelectorAsSelector``); SelectorError.

    None selects nothing; an empty selector selects everything.
    """
    if selector is None:
        return NOTHING
    expressions = [
        (expression.get("key") or "", expression.get("operator") or "", expression.get("values") or ())
        for expression in selector.get("matchExpressions") or []
    ]
    return _label_selector((selector.get("matchLabels") or {}).items(), expressions)


def as_selector(selector: meta.LabelSelector | None) -> Selector:
    """Turn a typed LabelSelector into a selector, as ``selector_from_dict`` does; the latest are remembered."""
    if selector is None:
        return NOTHING
    expressions = tuple((e.key, e.operator, tuple(e.values)) for e in selector.match_expressions)
    return _remembered(tuple(selector.match_labels.items()), expressions)


def _label_selector(
    match_labels: Iterable[tuple[str, str]], expressions: Iterable[tuple[str, str, Sequence[str]]]
) -> Selector:
    requirements = [new_requirement(key, Operator.EQUALS, [value]) for key, value in match_labels]
    for key, name, values in expressions:
        operator = _EXPRESSION_OPERATORS.get(name)
        if operator is None:
            raise SelectorError(f"{_quote(name)} is not a valid label selector operator")
        requirements.append(new_requirement(key, operator, values))
    return _selector(requirements)


_remembered = lru_cache(maxsize=4096)(_label_selector)  # controllers ask for the same few at every event
