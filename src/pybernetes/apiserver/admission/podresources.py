"""What a pod asks for in all (upstream: component-helpers/resource). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api.quantity import Quantity, parse_quantity

Amounts = dict[str, Quantity]


def add(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Amounts:
    """The sum of both."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total[name] + amount if name in total else amount
    return total


def _largest(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Amounts:
    return {name: max(a for a in (one.get(name), other.get(name)) if a is not None) for name in {**one, **other}}


def pod_total(spec: Mapping[str, Any], key: str, overhead: bool = False) -> Amounts:
    """`key`: requests or limits. Init containers run one by one, sidecars stay; what the pod states as a whole wins."""
    regular: Amounts = {}
    for container in spec.get("containers") or ():
        regular = add(regular, _of(container, key))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, key)
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, own)
            starting = _largest(starting, sidecars)
        else:
            starting = _largest(starting, add(sidecars, own))
    total = _largest(add(regular, sidecars), starting)
    total |= _of(spec, key)
    if overhead:
        extra = {name: parse_quantity(text) for name, text in (spec.get("overhead") or {}).items()}
        known = extra if key == "requests" else {n: a for n, a in extra.items() if n in total}
        total = add(total, known)
    return total


def _of(owner: Mapping[str, Any], key: str) -> Amounts:
    given = (owner.get("resources") or {}).get(key) or {}
    return {name: parse_quantity(text) for name, text in given.items()}
