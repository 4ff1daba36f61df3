"""What calls of the libraries' functions may cost (upstream: apiserver/pkg/cel/library/cost.go, cel-go ext/sets.go, ext/lists.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import ast
from .ast import Node
from .functions import LIST_COST, OBJECT_COST, REGEXP_LENGTH, TRAVERSAL, Overload
from .ranges import MOST, UNKNOWN, Range, exactly
from .types import Type

Path = tuple[str, ...]
Estimate = tuple[Range, Range | None]

ONE = exactly(1)
CHECK = exactly(350_000)
NAME_FORMAT_WEIGHT = 128  # characters of the longest regular expression of a named format


@dataclass(frozen=True, slots=True)
class Subject:
    """A target or an argument. `computed` is its size where that is known."""

    node: Node | None
    type: Type
    path: Path
    computed: Range | None
    sizes: Callable[[Path], Range | None]

    @property
    def size(self) -> Range:
        """At most; anything if nothing is known."""
        if self.computed is not None:
            return self.computed
        return (self.sizes(self.path) if self.path else None) or UNKNOWN

    @property
    def element(self) -> Subject | None:
        """Any of a list's elements."""
        if not self.type.parameters:
            return None
        path = (*self.path, "@items") if self.path else ()
        return Subject(None, self.type.parameters[0], path, None, self.sizes)


def call_estimate(overload: Overload, target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    """Cost and size of the result; None for what costs as the language's own functions do."""
    special = _OVERLOADS.get(overload.identity) or _OVERLOADS.get(_family(overload.identity))
    if special is not None:
        return special(target, arguments)
    if overload.function == ast.EQUAL:
        return _equality(arguments)
    if overload.identity == "cidr_ip":
        return ONE, None
    estimator = _FUNCTIONS.get(overload.function)
    return estimator(overload, target, arguments) if estimator is not None else None


def _family(identity: str) -> str:
    return identity.rpartition("_")[2] if identity.startswith("list_") else identity


# --- lists and sets ----------------------------------------------------------------------------

Special = Callable[[Subject | None, Sequence[Subject]], Estimate | None]


def _number(subject: Subject, otherwise: int) -> int:
    node = subject.node
    if isinstance(node, ast.Literal) and type(node.value) is int:
        return max(node.value, 0)
    return otherwise


def _allocated(factor: float, size: Range) -> Estimate:
    return size.scaled(factor).plus(ONE).plus(exactly(LIST_COST)), size


def _slice(target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    if target is None:
        return None
    size = target.size
    return _allocated(1, exactly((_number(arguments[1], size.most) - _number(arguments[0], 0)) & MOST))


def _flatten(target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    return None if target is None else _allocated(float(_number(arguments[0], MOST)) if arguments else 1, target.size)


def _sorted(subject: Subject, kind: Type) -> Estimate:
    factor = 2 + (TRAVERSAL if kind.kind in ("string", "bytes") else 0)
    return _allocated(factor, subject.size.times(subject.size))


def _sort(target: Subject | None, _: Sequence[Subject]) -> Estimate | None:
    return None if target is None else _sorted(target, target.type.parameters[0])


def _sort_by(_: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    return _sorted(arguments[0], arguments[0].type.parameters[0])


def _distinct(target: Subject | None, _: Sequence[Subject]) -> Estimate | None:
    return None if target is None else _allocated(2, target.size.times(target.size))


def _set(factor: float) -> Special:
    return lambda _, arguments: (arguments[0].size.times(arguments[1].size).scaled(factor).plus(ONE), None)


_OVERLOADS: Mapping[str, Special] = {
    "list_slice": _slice,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "lists_range": lambda _, arguments: _allocated(1, exactly(_number(arguments[0], MOST))),
    "list_reverse": lambda target, _: None if target is None else _allocated(1, target.size),
    "list_distinct": _distinct,
    "sort": _sort,
    "sortByAssociatedKeys": _sort_by,
    "list_sets_contains_list": _set(1),
    "list_sets_intersects_list": _set(1),
    "list_sets_equivalent_list": _set(2),
}


# --- Kubernetes' functions ---------------------------------------------------------------------

Estimator = Callable[[Overload, Subject | None, Sequence[Subject]], Estimate | None]


def _fixed(cost: Range) -> Estimator:
    return lambda _, __, ___: (cost, None)


def _argument(factor: float = 1, sized: bool = False) -> Estimator:
    """By the length of the first argument."""

    def estimator(_: Overload, __: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
        if not arguments:
            return None
        size = arguments[0].size
        return size.scaled(factor * TRAVERSAL), size if sized else None

    return estimator


def _own(_: Overload, target: Subject | None, __: Sequence[Subject]) -> Estimate | None:
    return None if target is None else (target.size.scaled(TRAVERSAL), target.size)


def _traversed(overload: Overload, target: Subject | None, _: Sequence[Subject]) -> Estimate | None:
    """Each element of a list, or each character of a text."""
    if target is None:
        return None
    element = target.element
    if element is None:
        return (target.size if overload.function == "includes" else target.size.scaled(TRAVERSAL)), None
    cost = ONE
    if element.type.kind in ("string", "bytes"):
        cost = cost.plus(element.size.scaled(TRAVERSAL))
    return target.size.times(cost), None


def _selector(_: Overload, __: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    size = arguments[0].size
    parts = size.scaled(0.5).scaled(LIST_COST + OBJECT_COST)
    return exactly(LIST_COST).plus(size.scaled(TRAVERSAL)).plus(parts), None


def _replace(_: Overload, target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    if target is None or len(arguments) < 2:
        return None
    size, old, new = target.size, arguments[0].size, arguments[1].size
    most, kept_most = 0, 0
    if old.least == 0:  # of nothing there is one between all characters
        most, kept_most = min(size.most + 1, MOST), size.most
    elif new.most <= old.least:
        kept_most = size.most
    else:
        most = _divided(size.most, old.least)
    least, kept_least = 0, 0
    if old.most == 0:
        least, kept_least = min(size.least + 1, MOST), size.least
    elif old.most <= new.least:
        kept_least = size.least
    else:
        least = _divided(size.least, old.most)
    length = Range(least, most).times(new).plus(Range(kept_least, kept_most))
    return size.scaled(2 * TRAVERSAL), length


def _divided(count: int, by: int) -> int:
    quotient = float(count) / float(by)
    return MOST if quotient >= 2.0**64 else -int(-quotient // 1)


def _split(_: Overload, target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    if target is None:
        return None
    size = target.size
    limit = arguments[1].node if len(arguments) > 1 else None
    most = limit.value & MOST if isinstance(limit, ast.Literal) and type(limit.value) is int else size.most
    return size.scaled(2 * TRAVERSAL), Range(0, most)


def _join(_: Overload, target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    if target is None:
        return None
    count, element = target.size, target.element
    size = count.times(element.size) if element is not None else exactly(0)
    if arguments:
        separators = Range(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(arguments[0].size.times(separators))
    return size.scaled(TRAVERSAL), size


def _find(_: Overload, target: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    if target is None or not arguments:
        return None
    text = target.size.plus(ONE).scaled(TRAVERSAL)
    return text.times(arguments[0].size.scaled(REGEXP_LENGTH)), Range(0, target.size.most)


_ADDRESS = Range(4, 16)  # bytes


def _contains_ip(overload: Overload, _: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    cost = _ADDRESS.plus(_ADDRESS).scaled(TRAVERSAL)
    if overload.identity == "cidr_contains_ip_string":
        cost = cost.plus(arguments[0].size.scaled(TRAVERSAL))
    return cost, None


def _contains_cidr(overload: Overload, _: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    cost = _ADDRESS.plus(_ADDRESS).scaled(TRAVERSAL).plus(_ADDRESS.scaled(TRAVERSAL)).plus(ONE)
    if overload.identity == "cidr_contains_cidr_string":
        cost = cost.plus(arguments[0].size.scaled(TRAVERSAL))
    return cost, None


def _validate(_: Overload, __: Subject | None, arguments: Sequence[Subject]) -> Estimate | None:
    return arguments[0].size.scaled(TRAVERSAL).scaled(NAME_FORMAT_WEIGHT * REGEXP_LENGTH), None


_FUNCTIONS: Mapping[str, Estimator] = {
    "check": _fixed(CHECK),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"), _traversed),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _argument(sized=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _own),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"), _argument()),
    "ip.isCanonical": _argument(2),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _validate,
    **dict.fromkeys(
        (
            *("serviceAccount", "path", "group", "resource", "subresource", "namespace", "name"),
            *("allowed", "reason", "error", "errored", "masked", "prefixLength", "family", "format.named"),
            *("isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast", "isGlobalUnicast"),
            *("sign", "asInteger", "isInteger", "asApproximateFloat", "isGreaterThan", "isLessThan", "compareTo"),
            *("add", "sub", "major", "minor", "patch"),
            *("getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"),
        ),
        _fixed(ONE),
    ),
}  # fmt: skip

_FIXED_SIZE = frozenset(
    ("net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver",
     *(f"kubernetes.authorization.{name}" for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")))
)  # fmt: skip


def _equality(arguments: Sequence[Subject]) -> Estimate | None:
    """Of Kubernetes' own values, which are as large as they are."""
    left, right = arguments
    if left.type != right.type:
        return None
    name = left.type.name
    if name in _FIXED_SIZE:
        return ONE, None
    if name == "kubernetes.NamedFormat":
        return Range(1, 64).scaled(TRAVERSAL), None
    if name == "kubernetes.URL":
        size = right.computed if right.computed is not None else ONE
        return Range(1, size.most).scaled(TRAVERSAL), None
    return None
