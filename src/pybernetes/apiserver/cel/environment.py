"""Compiles and evaluates expressions (upstream: apiserver/pkg/cel/environment, admission/plugin/cel).

Variables are dynamically typed: an expression that names a field which is in no schema fails when it is evaluated, not before.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

MISSING = "CEL is not installed: pip install 'pybernetes[cel]'"
PROGRAMS = 2000  # that stay compiled

_NO_KEY = re.compile(r'NOT_FOUND: Key not found in map : "(.*)"', re.DOTALL)
_CODE = re.compile(r"^[A-Z_]+: ")


class CompileError(Exception):
    """An expression that is none, or of another type than it should be."""


class EvaluationError(Exception):
    """What went wrong, in the words of cel-go where they are known."""


class Program:
    """A compiled expression."""

    def __init__(self, source: str, compiled: Any, error_type: Any) -> None:
        self.source, self._compiled, self._error = source, compiled, error_type

    def evaluate(self, data: Mapping[str, Any]) -> Any:
        """The value as Python has it. EvaluationError."""
        try:
            value = self._compiled.eval(data=data)
        except RuntimeError as error:
            raise EvaluationError(_words(str(error))) from None
        if value.type() == self._error:
            raise EvaluationError(_words(str(value.value())))
        return value.plain_value()


def _words(text: str) -> str:
    found = _NO_KEY.match(text)
    if found:
        return f"no such key: {found[1]}"
    return _CODE.sub("", text).replace("divide by zero", "division by zero")


def variables(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that `compiled` needs to know."""
    return tuple(sorted(data))


@functools.lru_cache(maxsize=PROGRAMS)
def compiled(expression: str, names: tuple[str, ...], kind: str) -> Program:
    """`kind` is BOOL, STRING, ...; "" for any. CompileError."""
    environment, error_type = _environment(names)
    try:
        found = environment.compile(expression)
    except RuntimeError as error:
        raise CompileError(
            f"compilation failed: {_CODE.sub('', str(error)).removesuffix(' [INVALID_ARGUMENT]')}"
        ) from None
    given = found.return_type().name()
    if kind and given != kind:
        raise CompileError(f"must evaluate to {kind.lower()}")
    return Program(expression, found, error_type)


@functools.lru_cache(maxsize=16)
def _environment(names: tuple[str, ...]) -> tuple[Any, Any]:
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings
    except ImportError:
        raise CompileError(MISSING) from None
    from .library import functions

    extensions = [
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_strings.ExtStrings(),
    ]
    types = {name: cel.Type.DYN for name in names}
    return cel.NewEnv(variables=types, extensions=extensions, functions=functions()), cel.Type.ERROR
