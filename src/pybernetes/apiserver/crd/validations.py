"""x-kubernetes-validations: rules in CEL (upstream: pkg/apiserver/schema/cel/validation.go, compilation.go).

A rule sees its place's value as `self` and, if the place is the same one before an update, the former one as `oldSelf`. What is below a list
that has no keys, or a map that is replaced as a whole, is no such place. Rules that were broken before and whose values have not changed are
not blamed (ratcheting), unless they speak of `oldSelf`. All rules of an object share one budget.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.cel import schematypes, types
from pybernetes.cel.environment import Environment, Program, environment
from pybernetes.cel.errors import CompileError, CostExceeded, EvaluationError, InstantiationError, NoSuchOverload
from pybernetes.cel.schematypes import Declaration
from pybernetes.cel.values import MISSING as UNBOUND
from pybernetes.cel.values import NONE, Optional

from . import rulepaths
from .ruleplaces import OUT_OF_BUDGET, Exhausted, Outcome, Place
from .values import MISSING, NOWHERE

Errors = list[FieldError]
Ask = Callable[[Any, Any, Sequence[FieldError]], tuple[Errors, list[str]]]
Schema = Mapping[str, Any]

KEY = "x-kubernetes-validations"
SELF, OLD_SELF = "self", "oldSelf"
REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
NOT_RATCHETED = ("apiVersion", "kind")  # of the object: both versions of it were converted to one
MAX_MESSAGE = 5 * 1024  # bytes that a messageExpression may make
# What keeps rules from being asked: they may rely on it (upstream: hasBlockingErr).
BLOCKING = frozenset(
    f"FieldValue{reason}" for reason in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid")
)
UNCHECKED = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"


def environments(declared: Declaration) -> tuple[Environment, Environment]:
    """For rules at a place of this type: with `oldSelf` of the same type, and with an optional one."""
    return tuple(  # type: ignore[return-value]  # two
        environment({OLD_SELF: old, SELF: declared.type}) for old in (declared.type, types.optional_of(declared.type))
    )


def trimmed(rule: Mapping[str, Any]) -> str:
    """What messages call a rule."""
    return str(rule.get("message") or rule.get("rule") or "").strip()


# --- rules -------------------------------------------------------------------------------------


def of_resource(schema: Schema) -> Ask:
    """Asks the rules of a custom resource's schema, unless something else is wrong that they may rely on."""
    rules = Validations(schema, schematypes.declaration(schema, root=True), root=True)

    def ask(obj: Any, old: Any, errors: Sequence[FieldError]) -> tuple[Errors, list[str]]:
        if any(error.reason in BLOCKING for error in errors):
            return [FieldError("FieldValueInvalid", NOWHERE, f"Invalid value: null: {UNCHECKED}")], []
        outcome = rules.check(obj, Path(""), old)
        return outcome.errors, outcome.warnings

    return ask


class Rule:
    """One rule, compiled. A rule that does not compile, which no definition of today can have, is broken by every value."""

    __slots__ = ("_failure", "_given", "_message", "_path", "_program", "optional", "text", "transitional")

    def __init__(self, given: Mapping[str, Any], schema: Schema, scopes: tuple[Environment, Environment]) -> None:
        self._given, self.text = given, trimmed(given)
        self.optional = bool(given.get("optionalOldSelf"))
        scope = scopes[self.optional]
        self._failure = ""
        self._program: Program | None = None
        self._message: Program | None = None
        try:
            self._program = scope.compile(given["rule"], types.BOOL)
            if given.get("messageExpression"):
                self._message = scope.compile(given["messageExpression"], types.STRING)
        except CompileError as error:
            words = "" if isinstance(error, InstantiationError) else "compilation failed: "
            self._failure = f"rule compile error: {words}{error}"
        self.transitional = self._program is not None and OLD_SELF in self._program.variables
        path = rulepaths.resolved(given["fieldPath"], schema) if given.get("fieldPath") else None
        self._path = path or ""

    def check(self, bound: Mapping[str, Any], place: Place) -> None:
        """Adds what is wrong to `place`. Exhausted when nothing may be asked any more."""
        if self._program is None:
            place.invalid(self._failure)
            return
        what = self.text
        try:
            holds, cost = self._program.measure(bound, place.budget.call_limit)
        except CostExceeded as error:
            place.budget.exceeded()
            place.pay(error.cost)
            place.stop(
                f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {what}"
            )
        except EvaluationError as error:
            place.pay(error.cost)
            if isinstance(error, NoSuchOverload):
                text = f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {what}"
                place.invalid(text)
            else:
                place.invalid(f"{error} evaluating rule: {what}")
            return
        place.pay(cost)
        if not holds:
            detail = self._told(bound, place) or (what if self._given.get("message") else f"failed rule: {what}")
            place.broken(detail, self._given.get("reason") or REASONS[0], self._path, self.transitional)

    def _told(self, bound: Mapping[str, Any], place: Place) -> str:
        """What the messageExpression says; "" if it says nothing that could be told."""
        if self._message is None:
            return ""
        try:
            value, cost = self._message.measure(bound, place.budget.call_limit)
        except CostExceeded:
            place.budget.exceeded()
            source = field.quote(self._message.source)
            place.stop(
                f"no further validation rules will be run due to call cost exceeds limit for messageExpression: {source}"
            )
        except EvaluationError as error:
            value, cost = "", error.cost
        if not place.budget.pay(cost):
            place.stop(
                "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
            )
        text = str(value).strip()
        return "" if "\n" in text or len(text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE else text


# --- a schema's rules --------------------------------------------------------------------------


class Validations:
    """The rules at and below one place of a schema. There are none in branches such as allOf: they would not be structural."""

    __slots__ = ("_correlates", "_extra", "_items", "_keys", "_kind", "_properties", "_read", "_rules", "empty")

    def __init__(self, schema: Schema, declared: Declaration | None, root: bool = False) -> None:
        """`declared` is the type of the schema's values, None where rules are not asked."""
        self._kind = str(schema.get("type") or "")
        given = [rule for rule in schema.get(KEY) or () if (rule.get("rule") or "").strip()]
        self._rules: list[Rule] = []
        if given and declared is not None:
            scopes = environments(declared)
            self._rules = [Rule(rule, schema, scopes) for rule in given]
            self._read = schematypes.reader(schema, root)
        self._items: Validations | None = None
        self._extra: Validations | None = None
        self._properties: dict[str, Validations] = {}
        for word, name, place, kind in schematypes.below(schema, declared):
            below = Validations(place, kind, schematypes.embedded(place))
            if below.empty:
                continue
            if word == schematypes.PROPERTIES:
                self._properties[name] = below
            elif word == schematypes.ITEMS:
                self._items = below
            else:
                self._extra = below
        self._keys: Sequence[str] = ()
        if schema.get("x-kubernetes-list-type") == "map":
            self._keys = schema.get("x-kubernetes-list-map-keys") or ()
        self._correlates = schema.get("x-kubernetes-map-type", "granular") in ("granular", "atomic")
        self.empty: bool = not (self._rules or self._properties or self._items or self._extra)

    def check(self, value: Any, path: Path, old: Any = MISSING) -> Outcome:
        """What is wrong; `old` is the value before the update."""
        outcome = Outcome()
        with contextlib.suppress(Exhausted):
            self._check(value, path, old, False, outcome, strict=NOT_RATCHETED)
        return outcome

    def _check(
        self,
        value: Any,
        path: Path,
        old: Any,
        unchanged: bool,
        outcome: Outcome,
        *,
        forgives: bool = True,
        strict: Sequence[str] = (),
    ) -> None:
        """`unchanged`: a place above has the value it had.

        Without `forgives`, or for properties of `strict`, a rule that is broken is an error all the same.
        """
        if value is None:
            return
        same = unchanged or (forgives and old is not MISSING and type(old) is type(value) and bool(old == value))
        if self._rules:
            self._ask(value, Place(path, self._kind, value, same, outcome), old)
        if isinstance(value, dict):
            self._check_map(value, path, old, same, outcome, strict)
        elif isinstance(value, list) and self._items is not None:
            former = self._former(old)
            for index, item in enumerate(value):
                self._items._check(item, path / index, former.get(self._identity(item), MISSING), same, outcome)

    def _ask(self, value: Any, place: Place, old: Any) -> None:
        if place.budget.left <= 0:
            place.stop(OUT_OF_BUDGET)
        try:
            former = UNBOUND if old is MISSING or old is None else self._read(old)
            now = self._read(value)
        except EvaluationError as error:  # data that is not of its schema
            for rule in self._rules:
                place.invalid(f"{error} evaluating rule: {rule.text}")
            return
        strict = {SELF: now, OLD_SELF: former}
        loose = {SELF: now, OLD_SELF: NONE if former is UNBOUND else Optional(former)}
        for rule in self._rules:
            if not rule.transitional or rule.optional or former is not UNBOUND:
                rule.check(loose if rule.optional else strict, place)

    def _check_map(
        self, value: dict[str, Any], path: Path, old: Any, unchanged: bool, outcome: Outcome, strict: Sequence[str]
    ) -> None:
        before = old if isinstance(old, dict) and self._correlates else {}
        for key, item in value.items():
            if self._extra is not None:
                self._extra._check(item, path.key(key), before.get(key, MISSING), unchanged, outcome)
            rules = self._properties.get(key)
            if rules is not None:
                forgives = key not in strict
                rules._check(
                    item, path / key, before.get(key, MISSING), unchanged and forgives, outcome, forgives=forgives
                )

    def _former(self, old: Any) -> dict[Any, Any]:
        if not self._keys or not isinstance(old, list):
            return {}
        former: dict[Any, Any] = {}
        for item in old:
            former.setdefault(self._identity(item), item)
        return former

    def _identity(self, item: Any) -> Any:
        if not self._keys or not isinstance(item, dict):
            return None
        return tuple((type(item.get(key)).__name__, str(item.get(key))) for key in self._keys)
