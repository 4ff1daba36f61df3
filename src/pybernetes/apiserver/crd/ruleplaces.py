"""Where rules are asked, what they may cost and what comes of them (upstream: pkg/apiserver/schema/cel/validation.go)."""

from __future__ import annotations

from typing import Any, NoReturn

from pybernetes.aio import apart
from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.cel.state import PER_CALL_LIMIT

from .values import NOWHERE

Errors = list[FieldError]

OBJECT_BUDGET = 10_000_000  # of all rules of an object (apiserver/pkg/apis/cel/config.go: RuntimeCELCostBudget)
LOOP_BUDGET = 50_000  # of them on the event loop: some 5 to 10 ms
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Exhausted(Exception):
    """No rule may be asked any more."""


class Budget:
    """What the rules of one object may still cost. Those that are dear leave the event loop, where all of them are asked again."""

    __slots__ = ("_on_loop", "left")

    def __init__(self, left: int = OBJECT_BUDGET) -> None:
        self.left = left
        self._on_loop = LOOP_BUDGET if apart.may_leave() else None

    @property
    def call_limit(self) -> int:
        """Of one evaluation."""
        return PER_CALL_LIMIT if self._on_loop is None else min(PER_CALL_LIMIT, self._on_loop)

    def exceeded(self) -> None:
        """An evaluation went beyond `call_limit`. apart.Leave where that was the event loop's."""
        if self.call_limit < PER_CALL_LIMIT:
            raise apart.Leave

    def pay(self, cost: int) -> bool:
        """Whether there was enough. apart.Leave."""
        if self._on_loop is not None:
            self._on_loop -= cost
            if self._on_loop < 0:
                raise apart.Leave
        if cost > self.left:
            return False
        self.left -= cost
        return True


class Place:
    """Where a rule is asked: collects what is wrong there."""

    __slots__ = ("_errors", "_kind", "_path", "_unchanged", "_value", "_warnings", "budget")

    def __init__(self, path: Path, kind: str, value: Any, unchanged: bool, outcome: Outcome) -> None:
        self._path, self._kind, self._value, self._unchanged = path, kind, value, unchanged
        self._errors, self._warnings, self.budget = outcome.errors, outcome.warnings, outcome.budget

    def _at(self, below: str = "") -> Path:
        text = f"{self._path}{below}" if str(self._path) else below.removeprefix(".")
        return Path(text or NOWHERE)

    def invalid(self, detail: str) -> None:
        """A rule that could not be asked."""
        self._errors.append(field.invalid(self._at(), self._kind, detail))

    def stop(self, detail: str) -> NoReturn:
        """The same, and the end of all rules."""
        self.invalid(detail)
        raise Exhausted

    def pay(self, cost: int) -> None:
        """Takes it from the budget, if there is so much."""
        if not self.budget.pay(cost):
            self.stop(OUT_OF_BUDGET)

    def broken(self, detail: str, reason: str, below: str, transitional: bool) -> None:
        """A rule that does not hold: an error, or a warning where nothing has changed."""
        path = self._at(f".{below}" if below and not below.startswith("[") else below)
        value = field.OMITTED if self._kind in ("object", "array") else self._value
        match reason:
            case "FieldValueForbidden":
                error = field.forbidden(path, detail)
            case "FieldValueRequired":
                error = field.required(path, detail)
            case "FieldValueDuplicate":
                error = field.duplicate(path, value)
            case _:
                error = field.invalid(path, value, detail)
        if self._unchanged and not transitional:
            self._warnings.append(str(error))
        else:
            self._errors.append(error)


class Outcome:
    """What all rules of an object came to."""

    __slots__ = ("budget", "errors", "warnings")

    def __init__(self) -> None:
        self.errors: Errors = []
        self.warnings: list[str] = []
        self.budget = Budget()
