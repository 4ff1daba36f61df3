"""Short ways to evaluate an expression in a table."""

from collections.abc import Mapping
from typing import Any

from pybernetes.cel import types
from pybernetes.cel.environment import environment
from pybernetes.cel.errors import CelError
from pybernetes.cel.types import Type

VARIABLES: dict[str, Type] = {
    "any": types.DYN, "i": types.INT, "u": types.UINT, "d": types.DOUBLE, "s": types.STRING, "b": types.BOOL,
    "l": types.list_of(types.INT), "m": types.map_of(types.STRING, types.INT),
}  # fmt: skip
VALUES: dict[str, Any] = {
    "any": {"a": {"b": "c"}, "n": 1, "list": [1, "x"], "null": None},
    "i": 5, "d": 1.5, "s": "text", "b": True, "l": [1, 2, 3], "m": {"k": 1},
}  # fmt: skip


def value(source: str, bindings: Mapping[str, Any] = VALUES) -> Any:
    """Of the expression, or the text of what is wrong with it."""
    try:
        return environment(VARIABLES).compile(source).evaluate(bindings)
    except CelError as error:
        return str(error)


def cost(source: str, bindings: Mapping[str, Any] = VALUES) -> int:
    return environment(VARIABLES).compile(source).measure(bindings)[1]


def first_line(source: str) -> str:
    """Of what is wrong with it."""
    return str(value(source)).partition("\n")[0]
