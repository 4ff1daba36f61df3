"""The loops that comprehensions become, each with the costs of upstream's fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .errors import EvaluationError, NoSuchOverload
from .state import Run, State
from .values import Object, from_key, key_of, text_of

Items = Callable[[State], Iterator[None]]


def quantifier(items: Items, predicate: Run, decisive: bool, cost: int) -> Run:
    def run(state: State) -> Any:
        failure: EvaluationError | None = None
        loop = items(state)
        for _ in loop:
            state.cost += cost
            try:
                value = predicate(state)
            except EvaluationError as error:
                failure = failure or error
                continue
            if value is decisive:
                state.cost += 1 + (cost - 1 if next(loop, loop) is None else 0)  # the next element's condition ends it
                return decisive
            if value is not (not decisive):
                failure = failure or NoSuchOverload("no such overload")
        state.cost += 1
        if failure is not None:
            raise failure
        return not decisive

    return run


def exists_one(items: Items, predicate: Run) -> Run:
    def run(state: State) -> bool:
        count = 0
        for _ in items(state):
            value = predicate(state)
            if value is True:
                count += 1
                state.cost += 2
            elif value is not False:
                raise NoSuchOverload("no such overload")
        state.cost += 2
        return count == 1

    return run


def mapped(items: Items, where: Run | None, body: Run, cost: int) -> Run:
    def run(state: State) -> list[Any]:
        values: list[Any] = []
        for _ in items(state):
            if where is not None and not _true(where(state)):
                continue
            values.append(body(state))
            state.cost += cost
        state.cost += 1
        return values

    return run


def into_map(items: Items, where: Run | None, body: Run, key: int) -> Run:
    """`key` is the variable with it; -1 if the body makes maps."""

    def run(state: State) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for _ in items(state):
            if where is not None and not _true(where(state)):
                continue
            value = body(state)
            entries = pairs(value) if key < 0 else ((state.variables[key], value),)
            for name, each in entries:
                insert_new(built, name, each)
            state.cost += 2 if key < 0 else 3
        state.cost += 1
        return built

    return run


def _true(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise NoSuchOverload("no such overload")


def elements(value: Any) -> Iterator[Any]:
    """Elements of a list, keys of a map."""
    if isinstance(value, list):
        return iter(value)
    if value.__class__ is dict:
        return map(from_key, value)
    if isinstance(value, Object):
        return iter(value.names())
    raise NoSuchOverload("no such overload")


def pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """Indices and elements of a list, keys and values of a map."""
    if isinstance(value, list):
        return iter(enumerate(value))
    if value.__class__ is dict:
        return ((from_key(key), each) for key, each in value.items())
    if isinstance(value, Object):
        return ((name, value.get(name)) for name in value.names())
    raise NoSuchOverload("no such overload")


def insert_new(built: dict[Any, Any], key: Any, value: Any) -> None:
    name = key_of(key)
    if name in built:
        raise EvaluationError(f"insert failed: key {text_of(key)} already exists")
    built[name] = value
