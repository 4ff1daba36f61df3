"""What a policy's expressions make of one request, and what they cost (upstream: admission/plugin/cel/{activation,composition}.go,
policy/validating/validator.go, webhook/matchconditions/matcher.go). Pure: who calls gives the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.aio import apart
from pybernetes.cel import admission
from pybernetes.cel.environment import Program
from pybernetes.cel.errors import CelError, CostExceeded, EvaluationError
from pybernetes.cel.library import authorizer as authorizers
from pybernetes.cel.state import PER_CALL_LIMIT
from pybernetes.cel.values import MISSING, Object, Steps

from ...cel.authorizer import Answers
from ...cel.expressions import Expression
from .definitions import Compiled, Validation

BUDGET, CONDITIONS_BUDGET = (
    10_000_000,
    2_500_000,
)  # of all expressions of a kind, and of conditions (apis/cel/config.go)
LOOP_BUDGET = 50_000  # of all policies of a request on the event loop: some 5 to 10 ms
MAX_MESSAGE = 5 * 1024  # bytes of what a messageExpression makes (MaxEvaluatedMessageExpressionSizeBytes)
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"

Now = Callable[[], float]  # seconds of a clock that never goes back


class OutOfBudget(Exception):
    """All expressions together have cost too much."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What expressions see of a request. `answers` and `asked_about` are the authorizer, and the request's resource for it.

    `loop` is shared by all evaluations of the request.
    """

    object: Any
    old_object: Any
    request: Mapping[str, Any]
    params: Any
    namespace: Any
    answers: Answers
    asked_about: authorizers.Attributes
    loop: Loop


@dataclass(slots=True)
class Loop:
    """What evaluations may still cost on the event loop; whoever needs more leaves it."""

    left: int = LOOP_BUDGET


@dataclass(slots=True)
class Meter:
    """What expressions have cost."""

    loop: Loop
    left: int = BUDGET
    variables: int = 0  # what variables cost within the expression that is being evaluated

    def run(self, program: Program, bindings: Mapping[str, Any]) -> tuple[Any, int, CelError | None]:
        """The value, its cost, and why there is none. apart.Leave where it is too dear for the event loop."""
        here = apart.may_leave()
        limit = min(PER_CALL_LIMIT, max(self.loop.left, 0)) if here else PER_CALL_LIMIT
        try:
            value, cost = program.measure(bindings, limit)
            failure: CelError | None = None
        except (EvaluationError, CostExceeded) as error:
            if isinstance(error, CostExceeded) and limit < PER_CALL_LIMIT:
                self.loop.left = 0
                raise apart.Leave from None
            value, cost, failure = MISSING, error.cost, error
        if here:
            self.loop.left -= cost
        return value, cost, failure

    def pay(self, cost: int) -> None:
        """OutOfBudget."""
        if cost > self.left:
            raise OutOfBudget
        self.left -= cost


class Variables(Object):
    """The policy's variables: each is evaluated when an expression comes to it, and once."""

    __slots__ = ("_bindings", "_expressions", "_meter", "_values")
    type_name = "kubernetes.variables"

    def __init__(self, expressions: Mapping[str, Expression], bindings: Mapping[str, Any], meter: Meter) -> None:
        self._expressions, self._bindings, self._meter = expressions, bindings, meter
        self._values: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        if name not in self._expressions:
            return MISSING
        if name not in self._values:
            self._values[name] = self._evaluated(name)
        value = self._values[name]
        if isinstance(value, EvaluationError):
            raise value
        return value

    def _evaluated(self, name: str) -> Any:
        expression = self._expressions[name]
        if expression.program is None:
            return EvaluationError(f'composited variable "{name}" fails to compile: {expression.error}')
        value, cost, failure = self._meter.run(expression.program, self._bindings)
        self._meter.variables += cost
        if failure is not None:
            return EvaluationError(f'composited variable "{name}" fails to evaluate: {failure}')
        return value

    def names(self) -> Iterator[str]:
        return iter(self._expressions)

    def size(self) -> int:
        return len(self._expressions)

    def equals(self, other: Any, steps: Steps) -> bool:
        return self is other


def bindings(
    inputs: Inputs, compiled: Compiled, meter: Meter, *, authorizer: bool, namespace: bool = True
) -> dict[str, Any]:
    """The values of all variables, for a group of expressions that share what variables.NAME has come to."""
    variables: dict[str, Any] = {
        admission.OBJECT: inputs.object,
        admission.OLD_OBJECT: inputs.old_object,
        admission.PARAMS: inputs.params,
        admission.REQUEST: inputs.request,
        admission.NAMESPACE: inputs.namespace if namespace else None,
    }
    if authorizer:
        variables[admission.AUTHORIZER] = authorizers.value_of(inputs.answers)
        variables[admission.REQUEST_RESOURCE] = authorizers.resource_value_of(inputs.answers, inputs.asked_about)
    variables[admission.VARIABLES] = Variables(compiled.variables, variables, meter)
    return variables


@dataclass(frozen=True, slots=True)
class Result:
    """Of one expression: its value, or in `error` why it has none; how long it took, in seconds."""

    value: Any = MISSING
    error: str = ""
    seconds: float = 0.0


def evaluate(expression: Expression, values: Mapping[str, Any], meter: Meter, now: Now) -> Result:
    """One expression. OutOfBudget, apart.Leave, Unanswered."""
    if expression.program is None:
        return Result(error=f"compilation error: {expression.error}")
    start = now()
    meter.variables = 0
    value, cost, failure = meter.run(expression.program, values)
    seconds = now() - start
    meter.pay(meter.variables)
    meter.pay(cost)
    if failure is not None:
        return Result(error=f"expression '{expression.source}' resulted in error: {failure}", seconds=seconds)
    return Result(value, seconds=seconds)


def conditions_met(compiled: Compiled, inputs: Inputs, now: Now) -> bool | str:
    """Whether all matchConditions are true; a text says why nobody can tell. One that is false decides."""
    if not compiled.conditions:
        return True
    meter = Meter(inputs.loop, CONDITIONS_BUDGET)
    values = bindings(inputs, compiled, meter, authorizer=True, namespace=False)
    try:
        results = [evaluate(condition, values, meter, now) for condition in compiled.conditions]
    except OutOfBudget as error:
        return str(error)
    if any(result.value is False for result in results):
        return False
    problems = list(dict.fromkeys(result.error for result in results if result.error))
    if not problems:
        return True
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"


@dataclass(frozen=True, slots=True)
class Decision:
    """Of one validation. `failed`: it could not be decided, and `message` says why."""

    admitted: bool
    message: str = ""
    reason: str = ""
    failed: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """For the audit event: a value, or in `error` why the request is refused for want of one."""

    key: str
    value: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validating policy says of a request with one object of parameters. `unmet`: its conditions say that it has nothing to say."""

    decisions: Sequence[Decision] = ()
    annotations: Sequence[Annotation] = ()
    unmet: bool = False
    undecided: bool = False  # its conditions could not be evaluated


def validated(compiled: Compiled, inputs: Inputs, ignore: bool, now: Now) -> Verdict:
    """`ignore` is the failure policy: what goes wrong admits. apart.Leave, Unanswered."""
    met = conditions_met(compiled, inputs, now)
    if isinstance(met, str):  # a policy that ignores failures has nothing to say then
        return Verdict(unmet=True, undecided=True) if ignore else Verdict([_failure(met, ignore)], undecided=True)
    if not met:
        return Verdict(unmet=True)
    meter = Meter(inputs.loop)
    values = bindings(inputs, compiled, meter, authorizer=True)
    try:
        results = [evaluate(validation.expression, values, meter, now) for validation in compiled.validations]
        messages, spent = _messages(compiled, inputs, meter, now)
        decisions = [
            _decision(validation, result, message, spent, ignore)
            for validation, result, message in zip(compiled.validations, results, messages, strict=True)
        ]
        annotations = _annotations(compiled, inputs, ignore, now)
    except OutOfBudget as error:
        return Verdict([_failure(str(error), ignore)])
    return Verdict(decisions, annotations)


def _failure(message: str, ignore: bool, seconds: float = 0.0) -> Decision:
    return Decision(ignore, message, failed=True, seconds=seconds)


def _messages(compiled: Compiled, inputs: Inputs, meter: Meter, now: Now) -> tuple[list[str], bool]:
    """What the messageExpressions make, "" where that is of no use; True where they were too dear. They pay with what validations left."""
    meter = Meter(meter.loop, meter.left)
    values = bindings(inputs, compiled, meter, authorizer=False)
    messages = []
    for validation in compiled.validations:
        expression = validation.message_expression
        if expression is None:
            messages.append("")
            continue
        try:
            result = evaluate(expression, values, meter, now)
        except OutOfBudget:
            return [""] * len(compiled.validations), True
        messages.append(_usable(result.value) if isinstance(result.value, str) else "")
    return messages, False


def _usable(text: str) -> str:
    message = text.strip()
    return "" if "\n" in message or len(message.encode(errors="surrogatepass")) > MAX_MESSAGE else message


def _decision(validation: Validation, result: Result, message: str, spent: bool, ignore: bool) -> Decision:
    if result.error:
        return _failure(result.error, ignore, result.seconds)
    if spent:
        return _failure(f"failed messageExpression: {OUT_OF_BUDGET}", ignore, result.seconds)
    if result.value is True:
        return Decision(True, seconds=result.seconds)
    text = message or validation.message.strip() or f"failed expression: {validation.expression.source.strip()}"
    return Decision(False, text, validation.reason, seconds=result.seconds)


def _annotations(compiled: Compiled, inputs: Inputs, ignore: bool, now: Now) -> list[Annotation]:
    if not compiled.annotations:
        return []
    meter = Meter(inputs.loop)
    values = bindings(inputs, compiled, meter, authorizer=False)
    annotations = []
    for key, expression in compiled.annotations:
        result = evaluate(expression, values, meter, now)
        if result.error:
            if not ignore:
                annotations.append(Annotation(key, error=result.error, seconds=result.seconds))
        elif isinstance(result.value, str) and result.value.strip():
            annotations.append(Annotation(key, result.value.strip(), seconds=result.seconds))
    return annotations
