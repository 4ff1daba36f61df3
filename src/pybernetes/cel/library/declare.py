"""Short ways to declare overloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..functions import Cost, Overload
from ..types import Type

Work = Callable[[Sequence[Any]], int]


def function(
    name: str, identity: str, parameters: Sequence[Type], result: Type, call: Callable[..., Any],
    cost: Cost | None = None, work: Work | None = None, counted: bool = False,
) -> Overload:  # fmt: skip
    """name(parameters)"""
    return Overload(name, identity, parameters, result, call, cost=cost, work=work, counted=counted)


def method(
    name: str, identity: str, parameters: Sequence[Type], result: Type, call: Callable[..., Any],
    cost: Cost | None = None, work: Work | None = None, counted: bool = False,
) -> Overload:  # fmt: skip
    """first.name(others)"""
    return Overload(name, identity, parameters, result, call, member=True, cost=cost, work=work, counted=counted)
