"""The expressions of one admission policy, compiled (upstream: admission/plugin/cel/{compile,composition}.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.cel import admission, types
from pybernetes.cel.environment import Environment, Program
from pybernetes.cel.errors import CompileError, InstantiationError
from pybernetes.cel.mutation import JSON_PATCHES, OBJECT
from pybernetes.cel.types import BOOL, NULL, STRING, Type

CONDITION, MESSAGE, ANNOTATION = (BOOL,), (STRING,), (STRING, NULL)
APPLY_CONFIGURATION, JSON_PATCH = (OBJECT,), (JSON_PATCHES,)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression with what evaluates it; without that, `error` says why there is none."""

    source: str
    program: Program | None = None
    error: str = ""
    internal: bool = False  # an error that is no fault of the types: a constant has no value


class Compiler:
    """Of one policy. What `variable` has compiled may be spoken of by what comes after it."""

    def __init__(self, parameters: bool, composed: bool = True) -> None:
        """`parameters`: whether there are params; `composed`: whether expressions may speak of variables."""
        self._parameters, self._composed = parameters, composed
        self._variables: dict[str, Type] = {}
        self._environments: dict[tuple[bool, bool], Environment] = {}

    def compile(
        self, source: str, expected: Sequence[Type] = (), *, authorizer: bool = True, patches: bool = False
    ) -> Expression:
        """Of any of the types `expected`, or without them of any type."""
        environment = self._environment(authorizer, patches)
        try:
            tree = environment.check(source)
        except CompileError as error:
            return Expression(source, error=f"compilation failed: {error}")
        assert tree.type is not None
        if expected and tree.type not in expected:
            names = [types.go_text(each) for each in expected]
            several = len(names) > 1
            type_names = f"one of [{' '.join(names)}]" if several else names[0]
            return Expression(source, error=f"must evaluate to {type_names} but got {types.go_text(tree.type)}")
        try:
            return Expression(source, environment.program(source, tree))
        except InstantiationError as error:
            return Expression(source, error=str(error), internal=True)

    def variable(self, name: str, source: str) -> Expression:
        """An expression that others may call variables.NAME from now on; one that is wrong is dyn to them."""
        compiled = self.compile(source)
        self._variables[name] = (
            admission.as_variable(compiled.program.type) if compiled.program is not None else types.DYN
        )
        return compiled

    def _environment(self, authorizer: bool, patches: bool) -> Environment:
        environment = self._environments.get((authorizer, patches))
        if environment is None:
            variables = admission.variables(
                parameters=self._parameters,
                authorizer=authorizer,
                composed=self._variables if self._composed else None,
            )
            environment = admission.declared(variables, patches)
            self._environments[authorizer, patches] = environment
        return environment
