"""Calls of functions: by the overload that the checker found, or by the one that the values ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import CostExceeded, NoSuchOverload
from .functions import Overload
from .state import COPIED, Run, State
from .values import added, type_name


def direct(overload: Overload, runs: Sequence[Run]) -> Run:
    """A call whose types are certain."""
    call, cost, work = overload.call, overload.cost, overload.work
    assert call is not None, overload
    if cost is None and work is None and not overload.counted and len(runs) == 1:
        (only,) = runs

        def unary(state: State) -> Any:
            value = call(only(state))
            state.cost += 1
            return value

        return unary
    if cost is None and work is None and not overload.counted and len(runs) == 2:
        left, right = runs

        def binary(state: State) -> Any:
            value = call(left(state), right(state))
            state.cost += 1
            return value

        return binary

    def run(state: State) -> Any:
        return charged(state, overload, [each(state) for each in runs])

    return run


def charged(state: State, overload: Overload, arguments: Sequence[Any]) -> Any:
    call = overload.call
    assert call is not None, overload
    if overload.work is not None and overload.work(arguments) > 10 * state.limit:
        raise CostExceeded
    value = call(*arguments, steps=state.steps) if overload.counted else call(*arguments)
    state.cost += 1 if overload.cost is None else overload.cost(arguments, value)
    if state.cost > state.limit:
        raise CostExceeded
    return value


def dispatched(function: str, overloads: Sequence[Overload], runs: Sequence[Run]) -> Run:
    """A call whose overload only the values tell."""
    operator = not function[0].isalpha()

    def run(state: State) -> Any:
        arguments = [each(state) for each in runs]
        for overload in overloads:
            if overload.takes(arguments):
                return charged(state, overload, arguments)
        if operator:
            raise NoSuchOverload("no such overload")
        raise NoSuchOverload(f"no such overload: {function}({', '.join(map(type_name, arguments))})")

    return run


def summed(runs: Sequence[Run], overloads: Sequence[Overload]) -> Run:
    """Of lists, or of anything else if that is what there is."""
    left, right = runs

    def run(state: State) -> Any:
        first, second = left(state), right(state)
        if isinstance(first, list) and isinstance(second, list):
            state.cost += 1
            state.steps.take((len(first) + len(second)) // COPIED)
            return added(first, second)
        for overload in overloads:
            if overload.call is not None and overload.takes((first, second)):
                return charged(state, overload, (first, second))
        raise NoSuchOverload("no such overload")

    return run
