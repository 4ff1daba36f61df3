"""The conditions of webhooks, and the variables that expressions of admission see (their types: `pybernetes.cel.admission`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from pybernetes.cel import admission, types
from pybernetes.cel.environment import Environment, Program
from pybernetes.cel.errors import CompileError, InstantiationError

PROGRAMS = 2000  # conditions that stay compiled
AUTHORIZER, REQUEST_RESOURCE = admission.AUTHORIZER, admission.REQUEST_RESOURCE


@cache
def conditions(parameters: bool = False) -> Environment:
    """For conditions of webhooks and, with `parameters`, of policies that have some."""
    return admission.declared(admission.variables(parameters=parameters))


@lru_cache(maxsize=PROGRAMS)
def condition(expression: str, parameters: bool = False) -> Program:
    """A condition. CompileError, in the words that what has it is refused with; InstantiationError."""
    try:
        program = conditions(parameters).compile(expression)
    except InstantiationError:
        raise
    except CompileError as error:
        raise CompileError(f"compilation failed: {error}") from None
    if program.type != types.BOOL:
        raise CompileError(f"must evaluate to bool but got {types.go_text(program.type)}")
    return program


def request(given: Mapping[str, object]) -> dict[str, object]:
    """The variable `request` of an AdmissionRequest: what is not set is not there."""
    return {name: value for name, value in given.items() if value is not None}
