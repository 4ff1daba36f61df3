"""Estimated costs of a definition's rules, and their limits (upstream: apiextensions/validation/cel_validation.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.cel.ast import Node
from pybernetes.cel.estimate import estimate, sizes_of
from pybernetes.cel.ranges import MOST
from pybernetes.cel.schematypes import REQUEST_BYTES, Declaration

Errors = list[FieldError]

RULE_LIMIT = 10_000_000  # of a rule in all places of an object (StaticEstimatedCostLimit)
SCHEMA_LIMIT = 100_000_000  # of all rules of a version (StaticEstimatedCRDCostLimit)
NAMED = 4  # rules that are named when all together cost too much
_TOTAL = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
_PART = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"


def below(count: int | None, schema: Mapping[str, Any]) -> int | None:
    """How often the places right below one that there are `count` of may be in an object; None if nothing says."""
    limit: int | None = 1
    if schema.get("type") == "array":
        limit = schema.get("maxItems")
    elif schema.get("type") == "object" and schema.get("additionalProperties") is not None:
        limit = schema.get("maxProperties")
    return None if count is None or limit is None else min(count * max(limit, 0), MOST)


def of_rule(tree: Node, declared: Declaration, count: int | None) -> int:
    """Of a rule wherever it is asked. Without a count it is as many as fit into a request."""
    cost = of_message(tree, declared)
    return min(cost * (REQUEST_BYTES // (declared.smallest + 1) if count is None else count), MOST)


def of_message(tree: Node, declared: Declaration) -> int:
    """Of an expression that is evaluated once."""
    return estimate(tree, sizes_of(declared)).most


class Prices:
    """What the rules of a version cost together."""

    def __init__(self, single: bool) -> None:
        """`single`: whether one rule alone may be too much."""
        self._single = single
        self._total = 0
        self._largest: list[tuple[int, Path]] = []

    def add(self, path: Path, what: str, cost: int) -> Errors:
        """An expression. What is wrong with it alone."""
        self._total = min(self._total + cost, MOST)
        if cost >= SCHEMA_LIMIT // 100:
            self._largest = sorted([*self._largest, (cost, path)], key=lambda pair: -pair[0])[:NAMED]
        if not self._single or cost <= RULE_LIMIT:
            return []
        return [field.forbidden(path, _exceeded(f"estimated {what} cost", cost, RULE_LIMIT))]

    def errors(self, path: Path) -> Errors:
        """What is wrong with all together."""
        if self._total <= SCHEMA_LIMIT:
            return []
        errors = [field.forbidden(place, _PART) for _, place in self._largest]
        return [*errors, field.forbidden(path, _exceeded(_TOTAL, self._total, SCHEMA_LIMIT))]


def _exceeded(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    times = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{what} exceeds budget by factor of {times} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength "
        "where arrays, maps, and strings are declared)"
    )
