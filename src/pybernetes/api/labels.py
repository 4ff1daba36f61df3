"""Label and field selectors and name rules.

After upstream's ``apimachinery/pkg/labels``, ``pkg/fields``, ``pkg/util/validation``, ``pkg/api/validate/content``
and the selector helpers of ``pkg/apis/meta/v1``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

# --- names (pkg/util/validation) ---------------------------------------------------------------

QUALIFIED_NAME_MAX: Final = 63
LABEL_VALUE_MAX: Final = 63
DNS1123_LABEL_MAX: Final = 63
DNS1123_SUBDOMAIN_MAX: Final = 253

_ALNUM_ENDS: Final = "'-', '_' or '.', and must start and end with an alphanumeric character"
_QUALIFIED_FMT: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_MSG: Final = f"must consist of alphanumeric characters, {_ALNUM_ENDS}"
_VALUE_FMT: Final = f"({_QUALIFIED_FMT})?"
_VALUE_MSG: Final = f"a valid label must be an empty string or consist of alphanumeric characters, {_ALNUM_ENDS}"
_DNS_LABEL_FMT: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL_MSG: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_DNS_SUBDOMAIN_FMT: Final = rf"{_DNS_LABEL_FMT}(\.{_DNS_LABEL_FMT})*"
_DNS_SUBDOMAIN_MSG: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)

_QUALIFIED_RE: Final = re.compile(_QUALIFIED_FMT)
_VALUE_RE: Final = re.compile(_VALUE_FMT)
_DNS_LABEL_RE: Final = re.compile(_DNS_LABEL_FMT)
_DNS_SUBDOMAIN_RE: Final = re.compile(_DNS_SUBDOMAIN_FMT)


def _max_len_error(limit: int, unit: str = "bytes") -> str:
    """Word a length limit; upstream counts bytes but says "characters" for DNS names."""
    return f"must be no more than {limit} {unit}"


def _regex_error(message: str, pattern: str, *examples: str) -> str:
    """Word a failed pattern as upstream's ``RegexError`` does, odd spacing included."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _too_long(value: str, limit: int) -> bool:
    return len(value.encode("utf-8", "surrogatepass")) > limit


def dns1123_label_errors(value: str) -> list[str]:
    """Explain why a value is not a DNS-1123 label (``validation.IsDNS1123Label``)."""
    errors = [_max_len_error(DNS1123_LABEL_MAX, "characters")] if _too_long(value, DNS1123_LABEL_MAX) else []
    if not _DNS_LABEL_RE.fullmatch(value):
        if _DNS_SUBDOMAIN_RE.fullmatch(value):
            errors.append("must not contain dots")
        else:
            errors.append(_regex_error(_DNS_LABEL_MSG, _DNS_LABEL_FMT, "my-name", "123-abc"))
    return errors


def dns1123_subdomain_errors(value: str) -> list[str]:
    """Explain why a value is not a DNS-1123 subdomain (``validation.IsDNS1123Subdomain``)."""
    return _subdomain_errors(value, "characters")


def _subdomain_errors(value: str, unit: str) -> list[str]:
    errors = [_max_len_error(DNS1123_SUBDOMAIN_MAX, unit)] if _too_long(value, DNS1123_SUBDOMAIN_MAX) else []
    if not _DNS_SUBDOMAIN_RE.fullmatch(value):
        errors.append(_regex_error(_DNS_SUBDOMAIN_MSG, _DNS_SUBDOMAIN_FMT, "example.com"))
    return errors


def label_key_errors(key: str) -> list[str]:
    """Explain why a key is not a qualified name (``content.IsLabelKey``)."""
    shape = _regex_error(_QUALIFIED_MSG, _QUALIFIED_FMT, "MyName", "my.name", "123-abc")
    parts = key.split("/")
    if len(parts) > 2:
        return [f"a valid label key {shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    errors: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        else:
            errors.extend(f"prefix part {message}" for message in _subdomain_errors(parts[0], "bytes"))
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif _too_long(name, QUALIFIED_NAME_MAX):
        errors.append(f"name part {_max_len_error(QUALIFIED_NAME_MAX)}")
    if not _QUALIFIED_RE.fullmatch(name):
        errors.append(f"name part {shape}")
    return errors


def label_value_errors(value: str) -> list[str]:
    """Explain why a value cannot be a label value (``content.IsLabelValue``)."""
    errors = [_max_len_error(LABEL_VALUE_MAX)] if _too_long(value, LABEL_VALUE_MAX) else []
    if not _VALUE_RE.fullmatch(value):
        errors.append(_regex_error(_VALUE_MSG, _VALUE_FMT, "MyValue", "my_value", "12345"))
    return errors


# --- label selectors (pkg/labels) --------------------------------------------------------------


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
_INT: Final = re.compile(r"[+-]?[0-9]{1,200}")


def _quote(text: str) -> str:
    quoted: str = json.dumps(text, ensure_ascii=False)
    return quoted


def _int64(text: str) -> int | None:
    """Read a base-10 int64, or None when it is not one."""
    if not _INT.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


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

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Report whether a set of labels meets the condition."""
        present = self.key in labels
        match self.operator:
            case Operator.IN | Operator.EQUALS | Operator.DOUBLE_EQUALS:
                return present and labels[self.key] in self.values
            case Operator.NOT_IN | Operator.NOT_EQUALS:
                return not present or labels[self.key] not in self.values
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
    listed = f"[{','.join(_quote(value) for value in values)}]"
    try:
        known = Operator(operator)
    except ValueError:
        known = None
        supported = ", ".join(_quote(item) for item in Operator)
        errors.append(f"operator: Unsupported value: {_quote(operator)}: supported values: {supported}")
    match known:
        case Operator.IN | Operator.NOT_IN:
            if not values:
                errors.append(_invalid("values", listed, "for 'in', 'notin' operators, values set can't be empty"))
        case Operator.EQUALS | Operator.DOUBLE_EQUALS | Operator.NOT_EQUALS:
            if len(values) != 1:
                errors.append(_invalid("values", listed, "exact-match compatibility requires one single value"))
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            if values:
                errors.append(_invalid("values", listed, "values set must be empty for exists and does not exist"))
        case Operator.GREATER_THAN | Operator.LESS_THAN:
            if len(values) != 1:
                errors.append(_invalid("values", listed, "for 'Gt', 'Lt' operators, exactly one value is required"))
            for index, value in enumerate(values):
                if _int64(value) is None:
                    detail = "for 'Gt', 'Lt' operators, the value must be an integer"
                    errors.append(_invalid(f"values[{index}]", _quote(value), detail))
    for index, value in enumerate(values):
        problems = label_value_errors(value)
        if problems:
            errors.append(_invalid(f"values[{index}][{key}]", _quote(value), "; ".join(problems)))
    _raise_aggregate(errors)
    assert known is not None
    return Requirement(key, known, tuple(values))


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold (``labels.Selector``); ``nothing`` matches no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Report whether a set of labels is selected."""
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


_TOKEN: Final = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+)")
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
        found: list[Requirement] = []
        while (token := self.peek()) != "":
            if token != "!" and not self.is_identifier(token):
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
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
        return found

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
    """Turn a LabelSelector object into a selector (``metav1.LabelSelectorAsSelector``).

    None selects nothing; an empty selector selects everything.
    """
    if selector is None:
        return NOTHING
    found = [
        new_requirement(key, Operator.EQUALS, [value]) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or []:
        name = expression.get("operator") or ""
        operator = _EXPRESSION_OPERATORS.get(name)
        if operator is None:
            raise SelectorError(f"{_quote(name)} is not a valid label selector operator")
        found.append(new_requirement(expression.get("key") or "", operator, list(expression.get("values") or [])))
    return _selector(found)


# --- field selectors (pkg/fields) --------------------------------------------------------------

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
