"""Rules of a definition's schema: whether they are some (upstream: pkg/apis/apiextensions/validation/validation.go, cel_validation.go).

What a rule costs at most, by the bounds that the schema has, times how often its place may be in an object, must stay below a limit,
and so must all rules of a version together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.cel import schematypes, types
from pybernetes.cel.environment import Environment
from pybernetes.cel.errors import CompileError, InstantiationError
from pybernetes.cel.schematypes import Declaration

from . import rulecosts as costs
from . import rulepaths
from .rulecosts import Prices
from .validations import KEY, OLD_SELF, REASONS, environments

Errors = list[FieldError]
Schema = Mapping[str, Any]

_LINE_BREAK = re.compile(r"[\n\r]")
_GO_NAMES = ("Rule", "Message", "MessageExpression")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where rules stand. `unrelated` is the list or map above, if any, whose elements cannot be told from what they were."""

    schema: Schema
    path: Path
    declared: Declaration | None
    prices: Prices
    count: int | None = 1  # how often it may be in an object; None if nothing says
    unrelated: Path | None = None


def rule_errors(schema: Schema, path: Path, priced: bool = True) -> Errors:
    """What is wrong with the rules of a structural schema. Not `priced`: that a single rule costs too much is no fault of it."""
    prices = Prices(priced)
    errors = _errors(_Place(schema, path, schematypes.declaration(schema, root=True), prices))
    return errors + prices.errors(path)


def _errors(place: _Place) -> Errors:
    schema, path = place.schema, place.path
    errors: Errors = []
    for word, name, below, declared in schematypes.below(schema, place.declared):
        at = path / word if word != schematypes.PROPERTIES else (path / word).key(name)
        unrelated = place.unrelated or _unrelated(schema, path)
        errors += _errors(_Place(below, at, declared, place.prices, costs.below(place.count, schema), unrelated))
    return errors + _own_errors(place, errors)


def _unrelated(schema: Schema, path: Path) -> Path | None:
    if schema.get("type") == "array":
        return None if schema.get("x-kubernetes-list-type") == "map" else path
    return None if schema.get("x-kubernetes-map-type", "granular") in ("granular", "atomic") else path


def _own_errors(place: _Place, below: Errors) -> Errors:
    """Of the rules at one place. Expressions are looked at only where everything else is right."""
    given = place.schema.get(KEY) or ()
    at = place.path / KEY
    errors = [error for index, rule in enumerate(given) for error in _form(rule, place.schema, at / index)]
    if errors or below or not given:
        return errors
    if place.declared is None:
        return [field.internal(at, "failed to convert to declType for CEL validation rules")]
    scopes = environments(place.declared)
    for index, rule in enumerate(given):
        errors += _expressions(rule, place, scopes[bool(rule.get("optionalOldSelf"))], at / index)
    return errors


# --- one rule ----------------------------------------------------------------------------------


def _form(rule: Mapping[str, Any], schema: Schema, path: Path) -> Errors:
    """What is wrong with a rule beside its expressions."""
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    errors: Errors = []
    if not text:
        errors.append(field.required(path / "rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(field.invalid(path / "message", message, "must be non-empty if specified"))
    elif _LINE_BREAK.search(message.strip()):
        errors.append(field.invalid(path / "message", message, "must not contain line breaks"))
    elif _LINE_BREAK.search(text) and not message.strip():
        errors.append(field.required(path / "message", "message must be specified if rule contains line breaks"))
    expression, reason = rule.get("messageExpression") or "", rule.get("reason")
    if expression and not expression.strip():
        errors.append(field.required(path / "messageExpression", "messageExpression must be non-empty if specified"))
    if reason and reason not in REASONS:
        errors.append(field.not_supported(path / "reason", reason, sorted(REASONS)))
    return errors + _field_path(rule.get("fieldPath") or "", schema, path / "fieldPath")


def _field_path(given: str, schema: Schema, path: Path) -> Errors:
    errors: Errors = []
    if given and not given.strip():
        errors.append(field.invalid(path, given, "must be non-empty if specified"))
    if _LINE_BREAK.search(given):
        errors.append(field.invalid(path, given, "must not contain line breaks"))
    if given and rulepaths.resolved(given, schema) is None:
        errors.append(field.invalid(path, given, "must be a valid path"))
    return errors


def _expressions(rule: Mapping[str, Any], place: _Place, scope: Environment, path: Path) -> Errors:
    """What is wrong with a rule's expressions; a message is looked at only if the rule is one."""
    assert place.declared is not None
    try:
        tree = scope.check(rule["rule"])
        if tree.type != types.BOOL:
            return [_refused(path / "rule", rule, "cel expression must evaluate to a bool")]
        program = scope.program(rule["rule"], tree)
    except CompileError as error:
        return [_refused(path / "rule", rule, _words("", error))]
    errors = place.prices.add(path / "rule", "rule", costs.of_rule(tree, place.declared, place.count))
    if rule.get("messageExpression"):
        errors += _message(rule, place, scope, path / "messageExpression")
    if OLD_SELF not in program.variables:
        if rule.get("optionalOldSelf") is not None:
            text = "may not be set if oldSelf is not used in rule"
            errors.append(field.invalid(path / "optionalOldSelf", rule["optionalOldSelf"], text))
    elif place.unrelated is not None:
        text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.unrelated}"
        errors.append(field.invalid(path / "rule", rule["rule"], text))
    return errors


def _message(rule: Mapping[str, Any], place: _Place, scope: Environment, path: Path) -> Errors:
    assert place.declared is not None
    try:
        tree = scope.check(rule["messageExpression"])
        if tree.type != types.STRING:
            return [_refused(path, rule, "messageExpression must evaluate to a string")]
        scope.program(rule["messageExpression"], tree)
    except CompileError as error:
        return [_refused(path, rule, _words("messageExpression ", error))]
    return place.prices.add(path, "messageExpression", costs.of_message(tree, place.declared))


def _words(what: str, error: CompileError) -> str:
    if isinstance(error, InstantiationError):
        return f"{what}instantiation failed: {error.reason}" if what else str(error)
    return f"{what}compilation failed: {error}"


def _refused(path: Path, rule: Mapping[str, Any], detail: str) -> FieldError:
    """With the whole rule as the value, as Go's JSON of a struct without tags."""
    shown = {name: rule.get(f"{name[0].lower()}{name[1:]}") or "" for name in _GO_NAMES}
    shown |= {
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return FieldError("FieldValueInvalid", path.text, f"Invalid value: {text}: {detail}")
