"""x-kubernetes-validations: rules in CEL (upstream: pkg/apiserver/schema/cel).

The engine is that of admission's conditions and, as there, optional: without it rules are kept and shown, and definitions warned of.
Values have no types of their own here, so a rule over times or durations, or with optionalOldSelf, is not enforced either.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ..cel import environment
from .values import MISSING, NOWHERE, type_name

Errors = list[FieldError]
Schema = Mapping[str, Any]

KEY = "x-kubernetes-validations"
NAMES = ("oldSelf", "self")
REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
TYPED_FORMATS = ("date", "date-time", "datetime", "duration")  # of strings that upstream gives to rules as times
# What keeps rules from being asked: they may rely on it (upstream: hasBlockingErr).
BLOCKING = frozenset(
    f"FieldValue{reason}" for reason in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid")
)
UNCHECKED = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
_OLD_SELF = re.compile(r"\boldSelf\b")
_KEYWORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return"),
    }
)
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def available() -> bool:
    """Whether there is an engine."""
    return importlib.util.find_spec("cel_expr_python") is not None


def escaped(name: str) -> str:
    """A property's name as rules write it."""
    if name in _KEYWORDS:
        return f"__{name}__"
    for plain, written in _ESCAPES:
        name = name.replace(plain, written)
    return name


def enforced(rule: Mapping[str, Any], schema: Schema) -> bool:
    """Whether this server can say that a value obeys the rule."""
    if rule.get("optionalOldSelf") or not available():
        return False
    text = f"{rule.get('rule', '')} {rule.get('messageExpression') or ''}"
    return not any(re.search(rf"\b{re.escape(name)}\b", text) for name in _typed_names(schema, "self"))


def _typed_names(schema: Schema, name: str) -> Iterable[str]:
    """Names by which a rule would come to a time."""
    if schema.get("type") == "string" and schema.get("format") in TYPED_FORMATS:
        yield name
    for key, below in (schema.get("properties") or {}).items():
        yield from _typed_names(below, escaped(key))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from _typed_names(schema[key], name)


# --- definitions -------------------------------------------------------------------------------


def rule_errors(schema: Schema, path: Path) -> Errors:
    """Rules at any depth that are none."""
    errors: Errors = []
    for index, rule in enumerate(schema.get(KEY) or ()):
        errors += _rule(rule, schema, path / KEY / index)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            errors += rule_errors(schema[key], path / key)
    for name, below in (schema.get("properties") or {}).items():
        errors += rule_errors(below, (path / "properties").key(name))
    return errors


def _rule(rule: Mapping[str, Any], schema: Schema, path: Path) -> Errors:
    text, reason = rule.get("rule") or "", rule.get("reason")
    if not text.strip():
        return [field.required(path / "rule", "rule is not specified")]
    errors: Errors = []
    if reason and reason not in REASONS:
        errors.append(field.not_supported(path / "reason", reason, REASONS))
    if "\n" in text and not rule.get("message"):
        errors.append(field.required(path / "message", "message must be specified if rule contains line breaks"))
    if not enforced(rule, schema):
        return errors
    for name, kind in (("rule", "BOOL"), ("messageExpression", "STRING")):
        if not rule.get(name):
            continue
        try:
            environment.compiled(rule[name], NAMES, kind)
        except environment.CompileError as error:
            errors.append(field.invalid(path / name, rule[name], str(error)))
    return errors


# --- objects -----------------------------------------------------------------------------------


class Validations:
    """The rules at and below one place of a schema."""

    __slots__ = ("_extra", "_items", "_keys", "_properties", "_reads", "_rules", "empty")

    def __init__(self, schema: Schema) -> None:
        self._rules = [_Rule(rule) for rule in schema.get(KEY) or () if enforced(rule, schema)]
        self._reads = _reader(schema) if self._rules else _as_it_is
        found = {name: Validations(below) for name, below in (schema.get("properties") or {}).items()}
        self._properties = {name: below for name, below in found.items() if not below.empty}
        items, extra = schema.get("items"), schema.get("additionalProperties")
        self._items = Validations(items) if isinstance(items, Mapping) else None
        self._extra = Validations(extra) if isinstance(extra, Mapping) else None
        self._keys: Sequence[str] = schema.get("x-kubernetes-list-map-keys") or ()
        below = [one for one in (self._items, self._extra) if one is not None and not one.empty]
        self.empty: bool = not (self._rules or self._properties or below)

    def check(self, value: Any, path: Path, old: Any = MISSING) -> Errors:
        """What is wrong; `old` is the value before the update."""
        if self.empty or value is None:
            return []
        errors: Errors = []
        if self._rules:
            unchanged = old is not MISSING and type(old) is type(value) and old == value
            data = {"self": self._reads(value), "oldSelf": None if old is MISSING else self._reads(old)}
            for rule in self._rules:
                if (rule.compares and old is MISSING) or (unchanged and not rule.compares):
                    continue
                errors += rule.check(data, value, path)
        return errors + self._below(value, path, old)

    def _below(self, value: Any, path: Path, old: Any) -> Errors:
        errors: Errors = []
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for key, item in value.items():
                rules = self._properties.get(key)
                if rules is not None:
                    errors += rules.check(item, path / key, before.get(key, MISSING))
                elif self._extra is not None:
                    errors += self._extra.check(item, path.key(key), before.get(key, MISSING))
        elif isinstance(value, list) and self._items is not None and not self._items.empty:
            former = {self._identity(item): item for item in old} if self._keys and isinstance(old, list) else {}
            for index, item in enumerate(value):
                errors += self._items.check(item, path / index, former.get(self._identity(item), MISSING))
        return errors

    def _identity(self, item: Any) -> Any:
        return tuple(repr(item.get(key)) for key in self._keys) if isinstance(item, dict) else None


class _Rule:
    def __init__(self, given: Mapping[str, Any]) -> None:
        self._text: str = given["rule"].strip()
        self._message: str = (given.get("message") or "").strip()
        self._expression: str = given.get("messageExpression") or ""
        self._reason: str = given.get("reason") or REASONS[0]
        self._field: str = given.get("fieldPath") or ""
        self.compares = _OLD_SELF.search(self._text) is not None

    def check(self, data: Mapping[str, Any], value: Any, path: Path) -> Errors:
        try:
            holds = environment.compiled(self._text, NAMES, "BOOL").evaluate(data)
        except environment.CompileError as error:
            return [field.invalid(path, type_name(value), f"rule compile error: {error}")]
        except environment.EvaluationError as error:
            return [field.invalid(path, type_name(value), f"{error} evaluating rule: {self._message or self._text}")]
        if holds is True:
            return []
        at = Path(f"{path}{self._field}") if str(path) else Path(self._field.removeprefix("."))
        return [self._error(at, value, self._told(data))]

    def _told(self, data: Mapping[str, Any]) -> str:
        if self._expression:
            try:
                told = str(environment.compiled(self._expression, NAMES, "STRING").evaluate(data)).strip()
                if told and "\n" not in told:
                    return told
            except (environment.CompileError, environment.EvaluationError):
                pass  # the rule was broken all the same: the other message tells of it
        return self._message or f"failed rule: {self._text}"

    def _error(self, path: Path, value: Any, detail: str) -> FieldError:
        place = path if str(path) else Path(NOWHERE)
        match self._reason:
            case "FieldValueForbidden":
                return field.forbidden(place, detail)
            case "FieldValueRequired":
                return field.required(place, detail)
            case "FieldValueDuplicate":
                return field.duplicate(place, type_name(value))
        return field.invalid(place, type_name(value), detail)


def unchecked() -> FieldError:
    """Says that rules were not asked."""
    return FieldError("FieldValueInvalid", NOWHERE, f'Invalid value: "null": {UNCHECKED}')


# --- values as rules see them ------------------------------------------------------------------

Reader = Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


def _reader(schema: Schema) -> Reader:
    """Makes names and bytes what rules expect; `_as_it_is` where nothing is to be made."""
    if schema.get("type") == "string" and schema.get("format") == "byte":
        return _bytes
    properties = {name: _reader(below) for name, below in (schema.get("properties") or {}).items()}
    items = _reader(schema["items"]) if isinstance(schema.get("items"), Mapping) else _as_it_is
    extra = schema.get("additionalProperties")
    others = _reader(extra) if isinstance(extra, Mapping) else _as_it_is
    plain = all(escaped(name) == name and read is _as_it_is for name, read in properties.items())
    if plain and items is _as_it_is and others is _as_it_is:
        return _as_it_is

    def read(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                escaped(key) if key in properties else key: properties.get(key, others)(item)
                for key, item in value.items()
            }
        return [items(item) for item in value] if isinstance(value, list) else value

    return read


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return value
