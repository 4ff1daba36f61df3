"""Values against the rules of a schema, in upstream's words (upstream: kube-openapi/pkg/validation/validate, apiextensions
pkg/apiserver/validation).

On an update what has not changed is not blamed (upstream: ratcheting, pkg/apiserver/validation/ratcheting.go).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import goregexp
from pybernetes.api.field import FieldError, Path, invalid, not_supported, quote, required, too_long, too_many

from . import formats
from .structural import MAX_JSON_INTEGER

Errors = list[FieldError]
Schema = Mapping[str, Any]

MISSING: Any = object()  # nothing to compare with
MAX_FLOAT32 = (2 - 2**-23) * 2.0**127
NOWHERE = "<nil>"  # what upstream prints for the path of what has none

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
# What numbers of a format hold; an int64 is what every integer is (upstream: validate/values.go, IsValueValidAgainstRange).
_RANGES = {
    ("integer", "int32"): (-(2**31), 2**31 - 1),
    ("number", "float"): (-MAX_FLOAT32, MAX_FLOAT32),
}
_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def type_name(value: Any) -> str:
    """As JSON schema calls it."""
    return "null" if value is None else _NAMES[type(value)]


def _fault(name: str, value: Any, text: str) -> FieldError:
    return invalid(Path(name), value, f"{name} in body {text}")


def _number(value: float) -> str:
    """As Go prints a float64."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(value)


class Rules:
    """One place of a schema, compiled. Names of errors are relative to the value that is checked; "" is the value itself."""

    def __init__(self, schema: Schema) -> None:
        kind = schema.get("type") or ""
        self._kinds: tuple[str, ...] = (kind,) if kind else ()
        if schema.get("x-kubernetes-int-or-string"):
            self._kinds = ("integer", "string")
        self._accepted = {python for name in self._kinds for python in _TYPES.get(name, ())}
        self._nullable = bool(schema.get("nullable"))
        self._enum: Sequence[Any] | None = schema.get("enum") or None
        self._schema = schema
        self._pattern: str = schema.get("pattern") or ""
        self._format = schema.get("format") or ""
        self._strings = bool(self._pattern) or self._format in formats.CHECKS or _any(schema, "minLength", "maxLength")
        self._range = _RANGES.get((kind, self._format))
        self._numbers = self._range is not None or _any(schema, "minimum", "maximum", "multipleOf")
        self._properties = {name: Rules(below) for name, below in (schema.get("properties") or {}).items()}
        items, extra = schema.get("items"), schema.get("additionalProperties")
        self._items = Rules(items) if isinstance(items, Mapping) else None
        self._extra = Rules(extra) if isinstance(extra, Mapping) else None
        self._required: Sequence[str] = schema.get("required") or ()
        self._keys: Sequence[str] = schema.get("x-kubernetes-list-map-keys") or ()
        self._logic = {
            word: [Rules(one) for one in schema[word]] for word in ("anyOf", "oneOf", "allOf") if schema.get(word)
        }
        self._not = Rules(schema["not"]) if isinstance(schema.get("not"), Mapping) else None

    def check(self, value: Any, name: str = "", old: Any = MISSING) -> Errors:
        """What is wrong; `old` is the value before the update."""
        violations: Errors = []
        self._check(value, name, old, violations)
        return violations

    def _check(self, value: Any, name: str, old: Any, violations: Errors) -> None:
        if old is not MISSING and type(old) is type(value) and old == value:
            return
        kind = type(value)
        if value is None:
            if self._kinds and not self._nullable:
                violations.append(self._wrong_type(name, "null"))
            if self._enum is not None:
                self._among(value, name, violations)
            return
        if self._kinds and kind not in self._accepted and not self._whole(value):
            violations.append(self._wrong_type(name, type_name(value)))
        if self._logic or self._not is not None:
            self._combinations(value, name, violations)
        if kind is dict:
            self._among_if(value, name, violations)
            self._object(value, name, old, violations)
        elif kind is list:
            self._array(value, name, old, violations)
            self._among_if(value, name, violations)
        else:
            if kind is str:
                if self._strings:
                    self._string(value, name, violations)
            elif kind is not bool and self._numbers:
                self._bounds(value, name, violations)
            self._among_if(value, name, violations)

    def _whole(self, value: Any) -> bool:
        whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_JSON_INTEGER
        return whole and "integer" in self._kinds

    def _wrong_type(self, name: str, actual: str) -> FieldError:
        text = f'{name} in body must be of type {",".join(self._kinds)}: "{actual}"'
        return FieldError("FieldValueTypeInvalid", name, f'Invalid value: "{actual}": {text}')

    # Parts, in upstream's order.

    def _combinations(self, value: Any, name: str, violations: Errors) -> None:
        if "anyOf" in self._logic:
            self._any_of(self._logic["anyOf"], value, name, violations)
        if "oneOf" in self._logic:
            self._one_of(self._logic["oneOf"], value, name, violations)
        if "allOf" in self._logic:
            rules = self._logic["allOf"]
            failed = [errors for rule in rules if (errors := rule.check(value, name))]
            violations.extend(error for errors in failed for error in errors)
            if failed:
                none = ". None validated" if len(failed) == len(rules) else ""
                violations.append(_combined(f'"{name}" must validate all the schemas (allOf){none}'))
        if self._not is not None and not self._not.check(value, name):
            violations.append(_combined(f'"{name}" must not validate the schema (not)'))

    @staticmethod
    def _any_of(rules: Sequence[Rules], value: Any, name: str, violations: Errors) -> None:
        best: Errors | None = None
        for rule in rules:
            errors = rule.check(value, name)
            if not errors:
                return
            if best is None or len(errors) < len(best):
                best = errors
        violations.append(_combined(f'"{name}" must validate at least one schema (anyOf)'))
        violations.extend(best or ())

    @staticmethod
    def _one_of(rules: Sequence[Rules], value: Any, name: str, violations: Errors) -> None:
        failed = [errors for rule in rules if (errors := rule.check(value, name))]
        valid = len(rules) - len(failed)
        if valid == 1:
            return
        how = f"Found {valid} valid alternatives" if valid else "Found none valid"
        violations.append(_combined(f'"{name}" must validate one and only one schema (oneOf). {how}'))
        if not valid:
            violations.extend(sorted(failed, key=len)[0])

    def _string(self, value: str, name: str, violations: Errors) -> None:
        schema = self._schema
        least, most = schema.get("minLength"), schema.get("maxLength")
        if most is not None and len(value) > most:
            violations.append(too_long(Path(name), most))
        if least is not None and len(value) < least:
            violations.append(_fault(name, value, f"should be at least {least} chars long"))
        if self._pattern and (pattern := _unmatched(self._pattern, value)):
            violations.append(_fault(name, value, f"should match '{pattern}'"))
        check = formats.CHECKS.get(self._format)
        if check is not None and not check(value):
            violations.append(_fault(name, value, f"must be of type {self._format}: {quote(value)}"))

    def _bounds(self, value: float, name: str, violations: Errors) -> None:
        schema = self._schema
        if self._range is not None and not self._range[0] <= value <= self._range[1]:
            kind = f"type {self._kinds[0]} with format {self._format}"
            violations.append(_combined(f"Checked value must be of {kind} in {name}"))
        step = schema.get("multipleOf")
        if step and not _multiple(value, step):
            violations.append(_fault(name, value, f"should be a multiple of {_number(step)}"))
        most, least = schema.get("maximum"), schema.get("minimum")
        if most is not None and (value >= most if schema.get("exclusiveMaximum") else value > most):
            how = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
            violations.append(_fault(name, value, f"should be {how} {_number(most)}"))
        if least is not None and (value <= least if schema.get("exclusiveMinimum") else value < least):
            how = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
            violations.append(_fault(name, value, f"should be {how} {_number(least)}"))

    def _array(self, value: list[Any], name: str, old: Any, violations: Errors) -> None:
        least, most = self._schema.get("minItems"), self._schema.get("maxItems")
        if self._items is not None:
            former = _former(old, self._keys)
            for index, item in enumerate(value):
                before = former.get(_identity(item, self._keys), MISSING) if former else MISSING
                self._items._check(item, f"{name}[{index}]", before, violations)
        if least is not None and len(value) < least:
            violations.append(_fault(name, len(value), f"should have at least {least} items"))
        if most is not None and len(value) > most:
            violations.append(too_many(Path(name), len(value), most))

    def _among_if(self, value: Any, name: str, violations: Errors) -> None:
        if self._enum is not None:
            self._among(value, name, violations)

    def _among(self, value: Any, name: str, violations: Errors) -> None:
        assert self._enum is not None, "asked only where values are enumerated"
        if not any((type(value) is type(one) and value == one) or _equal_numbers(value, one) for one in self._enum):
            words = [one if isinstance(one, str) else quote(one) for one in self._enum]
            violations.append(not_supported(Path(name), value, words))

    def _object(self, value: dict[str, Any], name: str, old: Any, violations: Errors) -> None:
        least, most = self._schema.get("minProperties"), self._schema.get("maxProperties")
        if least is not None and len(value) < least:
            violations.append(_fault(name, least, f"should have at least {least} properties"))
        if most is not None and len(value) > most:
            violations.append(too_many(Path(name), len(value), most))
        former = old if isinstance(old, dict) else {}
        for key, item in value.items():
            rules = self._properties.get(key, self._extra)
            if rules is not None:
                rules._check(item, f"{name}.{key}" if name else key, former.get(key, MISSING), violations)
        for key in self._required:
            if key not in value:
                violations.append(required(Path(f"{name}.{key}" if name else key)))


def _combined(text: str) -> FieldError:
    return FieldError("FieldValueInvalid", NOWHERE, f'Invalid value: "": {text}')


def _any(schema: Schema, *names: str) -> bool:
    return any(schema.get(name) is not None for name in names)


def _unmatched(pattern: str, value: str) -> str:
    """What upstream names as the pattern that does not match; "" where it does. A definition of old times may hold a senseless one."""
    try:
        return "" if goregexp.compile(pattern).search(value) else pattern
    except goregexp.RegexpError as error:
        return f"{pattern}, but pattern is invalid: {error}"


def _multiple(value: float, step: float) -> bool:
    if isinstance(value, int) and float(step).is_integer():
        return value % int(step) == 0
    try:
        quotient = value / step
    except OverflowError:
        return False
    if not abs(quotient) < 2**53:  # as upstream: what is no integer of JSON is no multiple
        return False
    return math.isclose(quotient, round(quotient), rel_tol=1e-12, abs_tol=0)


def _equal_numbers(one: Any, other: Any) -> bool:
    numbers = (int, float)
    return type(one) in numbers and type(other) in numbers and one == other


def _identity(item: Any, keys: Sequence[str]) -> Any:
    return tuple(repr(item.get(key)) for key in keys) if isinstance(item, dict) else None


def _former(old: Any, keys: Sequence[str]) -> dict[Any, Any]:
    """The items of a map list before, by their keys; others have no identity."""
    return {_identity(item, keys): item for item in old} if keys and isinstance(old, list) else {}
