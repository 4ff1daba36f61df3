"""Whether a pod's own demands let it run on a node: tolerations, nodeSelector, required node affinity.

Upstream: component-helpers/scheduling/corev1. Pure; the scheduler, daemon sets, taint eviction and the kubelet ask the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from .strconv import parse_int
from .types import core_v1 as core

KEEP_OUT = ("NoSchedule", "NoExecute")  # the effects that keep a new pod away
FIELD_NAME = "metadata.name"  # the one field of nodes that terms may speak of


class Taint(Protocol):
    """core_v1.Taint, or what has its fields."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def effect(self) -> str: ...


T = TypeVar("T", bound=Taint)


def tolerates(toleration: core.Toleration, taint: Taint) -> bool:
    """Toleration.ToleratesTaint."""
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def tolerated(tolerations: Iterable[core.Toleration], taint: Taint) -> bool:
    """Whether one of them covers the taint (TolerationsTolerateTaint)."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def untolerated(
    tolerations: Sequence[core.Toleration], taints: Iterable[T], effects: Collection[str] = KEEP_OUT
) -> T | None:
    """The first taint with one of the effects that is not tolerated (FindMatchingUntoleratedTaint)."""
    return next((taint for taint in taints if taint.effect in effects and not tolerated(tolerations, taint)), None)


def fits_affinity(spec: core.PodSpec, name: str, labels: Mapping[str, str]) -> bool:
    """nodeSelector and the required node affinity, of a node with that name and these labels (GetRequiredNodeAffinity)."""
    if not spec.node_selector.items() <= labels.items():
        return False
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or any(_term_matches(term, name, labels) for term in required.node_selector_terms)


def _term_matches(term: core.NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False  # an empty term matches nothing
    fields = {FIELD_NAME: name}
    return all(_matches(r, labels.get(r.key)) for r in term.match_expressions) and all(
        _matches(r, fields.get(r.key)) for r in term.match_fields
    )


def _matches(requirement: core.NodeSelectorRequirement, value: str | None) -> bool:
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                left, right = parse_int(value or ""), parse_int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return left > right if requirement.operator == "Gt" else left < right
    return False
