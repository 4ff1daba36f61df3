"""The functions that Kubernetes adds to CEL (upstream: apiserver/pkg/cel/library/{lists,quantity,urls,ip,cidr}.go).

Not here: authorizer, semver, format, sets, two-variable comprehensions, jsonpatch; find and findAll, which would need a regular-expression
engine of bounded time (`matches` is the engine's own, RE2); indexOf and lastIndexOf of lists, whose names its strings have.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from . import values

Function = tuple[
    str, bool, str, tuple[str, ...], Callable[..., Any]
]  # name, member, type, parameter types, implementation
MAP = "MAP"  # values of `values`


def _sorted(items: Sequence[Any]) -> bool:
    return all(a <= b for a, b in itertools.pairwise(items))


def _least(items: Sequence[Any], pick: Callable[[Sequence[Any]], Any], name: str) -> Any:
    if not items:
        raise ValueError(f"{name} called on empty list")
    return pick(items)


LISTS: list[Function] = [
    ("isSorted", True, "BOOL", ("LIST",), _sorted),
    ("sum", True, "DYN", ("LIST",), sum),
    ("min", True, "DYN", ("LIST",), lambda items: _least(items, min, "min")),
    ("max", True, "DYN", ("LIST",), lambda items: _least(items, max, "max")),
]
QUANTITIES: list[Function] = [
    ("quantity", False, MAP, ("STRING",), values.quantity),
    ("isQuantity", False, "BOOL", ("STRING",), values.is_quantity),
    ("isInteger", True, "BOOL", (MAP,), values.is_integer),
    ("asInteger", True, "INT", (MAP,), values.as_integer),
    ("asApproximateFloat", True, "DOUBLE", (MAP,), lambda q: values.amount(q).nanos / 1e9),
    ("sign", True, "INT", (MAP,), lambda q: values.amount(q).sign()),
    ("add", True, MAP, (MAP, MAP), values.plus),
    ("add", True, MAP, (MAP, "INT"), values.plus),
    ("sub", True, MAP, (MAP, MAP), lambda a, b: values.plus(a, b, -1)),
    ("sub", True, MAP, (MAP, "INT"), lambda a, b: values.plus(a, b, -1)),
    ("isLessThan", True, "BOOL", (MAP, MAP), lambda a, b: values.amount(a) < values.amount(b)),
    ("isGreaterThan", True, "BOOL", (MAP, MAP), lambda a, b: values.amount(a) > values.amount(b)),
    ("compareTo", True, "INT", (MAP, MAP), lambda a, b: values.amount(a).cmp(values.amount(b))),
]
URLS: list[Function] = [
    ("url", False, MAP, ("STRING",), values.url),
    ("isURL", False, "BOOL", ("STRING",), values.is_url),
    ("getScheme", True, "STRING", (MAP,), lambda u: values.url_part(u, "scheme")),
    ("getHost", True, "STRING", (MAP,), lambda u: values.url_part(u, "host")),
    ("getHostname", True, "STRING", (MAP,), lambda u: values.url_part(u, "hostname")),
    ("getPort", True, "STRING", (MAP,), lambda u: values.url_part(u, "port")),
    ("getEscapedPath", True, "STRING", (MAP,), lambda u: values.url_part(u, "path")),
    ("getQuery", True, MAP, (MAP,), values.url_query),
]
ADDRESSES: list[Function] = [
    ("ip", False, MAP, ("STRING",), values.ip),
    ("isIP", False, "BOOL", ("STRING",), values.is_ip),
    ("family", True, "INT", (MAP,), lambda a: values.address(a).version),
    ("isUnspecified", True, "BOOL", (MAP,), lambda a: values.address(a).is_unspecified),
    ("isLoopback", True, "BOOL", (MAP,), lambda a: values.address(a).is_loopback),
    ("isGlobalUnicast", True, "BOOL", (MAP,), lambda a: _global_unicast(values.address(a))),
    ("cidr", False, MAP, ("STRING",), values.cidr),
    ("isCIDR", False, "BOOL", ("STRING",), values.is_cidr),
    ("containsIP", True, "BOOL", (MAP, "STRING"), values.contains),
    ("containsIP", True, "BOOL", (MAP, MAP), values.contains),
    ("containsCIDR", True, "BOOL", (MAP, "STRING"), values.contains),
    ("containsCIDR", True, "BOOL", (MAP, MAP), values.contains),
    ("prefixLength", True, "INT", (MAP,), lambda c: values.interface(c).network.prefixlen),
]
ALL = [*LISTS, *QUANTITIES, *URLS, *ADDRESSES]


def _global_unicast(address: Any) -> bool:
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)


@functools.cache
def functions() -> list[Any]:
    """As the engine declares them."""
    from cel_expr_python import cel

    def typed(name: str) -> Any:
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN) if name == MAP else getattr(cel.Type, name)

    overloads: dict[str, list[Any]] = {}
    for name, member, given, parameters, implementation in ALL:
        identity = "_".join((name, *parameters)).lower()
        overload = cel.Overload(identity, typed(given), [typed(p) for p in parameters], member, implementation)
        overloads.setdefault(name, []).append(overload)
    return [cel.FunctionDecl(name, found) for name, found in overloads.items()]
