"""Field selectors (upstream: ``apimachinery/pkg/fields``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from .labels import Operator, SelectorError
from .selectorindex import FEW, SelectorIndex

_TERM: Final = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)


def escape_field_value(value: str) -> str:
    """Escape backslash, comma and equals sign (``fields.EscapeValue``)."""
    return re.sub(r"([\\,=])", r"\\\1", value)


def unescape_field_value(value: str) -> str:
    """Undo the escapes, refusing unknown ones (``fields.UnescapeValue``)."""
    out: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            out.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            # Upstream prints the code point here, not the character.
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            out.append(char)
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(out)


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One field condition (``fields.Requirement``); operator is ``=`` or ``!=``."""

    field: str
    operator: Operator
    value: str

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Report whether the fields meet the condition; an absent field reads as empty."""
        return (fields.get(self.field, "") == self.value) == (self.operator is Operator.EQUALS)

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape_field_value(self.value)}"


def _indexed(requirements: Iterable[FieldRequirement]) -> SelectorIndex:
    index = SelectorIndex()
    for one in requirements:
        if one.operator is Operator.EQUALS:
            index.require_one_of(one.field, (one.value,))
        else:
            index.refuse_all_of(one.field, (one.value,))
    return index.done()


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All field conditions must hold (``fields.Selector``)."""

    requirements: tuple[FieldRequirement, ...] = ()
    _index: SelectorIndex | None = field(init=False, repr=False, compare=False)
    _fields: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        many = len(self.requirements) > FEW
        object.__setattr__(self, "_index", _indexed(self.requirements) if many else None)
        object.__setattr__(self, "_fields", frozenset(one.field for one in self.requirements) if many else frozenset())

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Report whether the fields are selected."""
        if self._index is not None:  # a field that is not there is empty
            return self._index.matches({name: fields.get(name, "") for name in self._fields}, lambda _: None)
        return all(item.matches(fields) for item in self.requirements)

    def empty(self) -> bool:
        """Report whether the selector leaves everything in."""
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(str(item) for item in self.requirements)


def _split_terms(text: str) -> list[str]:
    """Split at commas that no backslash precedes, leaving escapes as they are."""
    terms: list[str] = []
    start = 0
    escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:index])
            start = index + 1
    terms.append(text[start:])
    return terms


def parse_field_selector(text: str) -> FieldSelector:
    """Parse a field selector (``fields.ParseSelector``)."""
    requirements: list[FieldRequirement] = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        match = _TERM.fullmatch(term)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = Operator.NOT_EQUALS if match[2] == "!=" else Operator.EQUALS
        requirements.append(FieldRequirement(match[1], operator, unescape_field_value(match[3])))
    return FieldSelector(tuple(requirements))
