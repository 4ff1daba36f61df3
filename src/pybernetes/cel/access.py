"""Looking into values: fields, keys, indices, optional ones too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import EvaluationError, NoSuchOverload
from .state import State
from .values import MISSING, NONE, Object, Optional, Steps, equal, key_of, text_of


def field(value: Any, name: Any) -> Any:
    """A field's value, or MISSING."""
    if value.__class__ is dict:
        return value.get(name, MISSING)
    if isinstance(value, Object):
        return value.get(name)
    if isinstance(value, Optional):
        return field(value.value, name) if value.present else MISSING
    raise NoSuchOverload("no such overload")


def find(container: Any, key: Any) -> Any:
    """The value of a key of a map, or MISSING."""
    if container.__class__ is dict:
        return container.get(key_of(key), MISSING)
    if isinstance(container, Object) and isinstance(key, str):
        return container.get(key)
    raise NoSuchOverload("no such overload")


def find_any(container: Any, at: Any) -> Any:
    """An element of a list or a value of a map, or MISSING."""
    if not isinstance(container, list):
        return find(container, at)
    if isinstance(at, bool) or not isinstance(at, int | float) or at != at or int(at) != at:  # NaN
        raise EvaluationError(
            f"unsupported index: {text_of(at)}"
            if not isinstance(at, float)
            else f"unsupported index value {text_of(at)} in list"
        )
    return container[int(at)] if 0 <= at < len(container) else MISSING


def if_present(state: State, value: Any) -> Optional:
    """What an optional field or index comes to. One that is not there costs nothing."""
    if value is MISSING:
        state.cost -= 1
        return NONE
    return value if isinstance(value, Optional) else Optional(value)


def present(value: Any) -> bool:
    if not isinstance(value, Optional):
        raise EvaluationError(f"cannot initialize optional list element from non-optional value {text_of(value)}")
    return value.present


class Made(Object):
    """An object that an expression made."""

    __slots__ = ("_fields", "type_name")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.type_name, self._fields = name, fields

    def get(self, name: str) -> Any:
        return self._fields.get(name, MISSING)

    def names(self) -> Iterator[str]:
        return iter(self._fields)

    def size(self) -> int:
        return len(self._fields)

    def equals(self, other: Any, steps: Steps) -> bool:
        return isinstance(other, Made) and equal(self._fields, other._fields, steps)
