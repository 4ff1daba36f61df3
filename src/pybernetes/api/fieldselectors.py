"""Field selectors (upstream: ``apimachinery/pkg/fields``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .labels import Operator, SelectorError

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


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All field conditions must hold (``fields.Selector``)."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Report whether the fields are selected."""
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
    found: list[FieldRequirement] = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        match = _TERM.fullmatch(term)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = Operator.NOT_EQUALS if match[2] == "!=" else Operator.EQUALS
        found.append(FieldRequirement(match[1], operator, unescape_field_value(match[3])))
    return FieldSelector(tuple(found))
