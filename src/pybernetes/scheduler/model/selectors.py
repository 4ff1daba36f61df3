"""Selectors as the scheduler keeps them: hashable, so that equal ones share what was counted for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pybernetes.api.labels import EVERYTHING, NOTHING, Operator, Requirement, Selector, as_selector
from pybernetes.api.types import core_v1 as core

OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
    "Gt": Operator.GREATER_THAN,
    "Lt": Operator.LESS_THAN,
}
Labels = Mapping[str, str]
NamespaceLabels = Callable[[str], Labels]  # {} for a namespace that is not known


def equalities(labels: Labels) -> Selector:
    """labels.Set.AsSelector."""
    return Selector(tuple(Requirement(key, Operator.EQUALS, (labels[key],)) for key in sorted(labels)))


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """A nodeSelectorTerm: all its requirements on labels and fields must hold."""

    labels: tuple[Requirement, ...]
    names: tuple[Requirement, ...] = ()  # on metadata.name, the only field there is


def node_term(term: core.NodeSelectorTerm) -> NodeTerm | None:
    """None for an empty one, which no node meets."""
    if not term.match_expressions and not term.match_fields:
        return None
    return NodeTerm(
        tuple(Requirement(e.key, OPERATORS[e.operator], tuple(e.values)) for e in term.match_expressions),
        tuple(
            Requirement("metadata.name", OPERATORS[e.operator], tuple(e.values))
            for e in term.match_fields
            if e.key == "metadata.name"
        ),
    )


def node_terms(selector: core.NodeSelector | None) -> tuple[NodeTerm, ...] | None:
    """The terms of which one must hold; None where there is no selector."""
    if selector is None:
        return None
    return tuple(t for t in map(node_term, selector.node_selector_terms) if t is not None)


def node_matches(terms: tuple[NodeTerm, ...], labels: Labels, name: str) -> bool:
    """Whether one of the terms holds for a node."""
    field = {"metadata.name": name}
    return any(
        all(r.matches(labels) for r in term.labels) and all(r.matches(field) for r in term.names) for term in terms
    )


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """A podAffinityTerm of a pod whose namespace is known."""

    namespaces: frozenset[str]
    namespace_selector: Selector
    selector: Selector
    topology_key: str

    def matches(self, namespace: str, labels: Labels, namespace_labels: NamespaceLabels) -> bool:
        """Whether it means a pod with these labels there."""
        if namespace not in self.namespaces and (
            self.namespace_selector.nothing or not self.namespace_selector.matches(namespace_labels(namespace))
        ):
            return False
        return self.selector.matches(labels)


def affinity_term(term: core.PodAffinityTerm, namespace: str) -> AffinityTerm:
    """Without namespaces and a selector of them it is about the pod's own."""
    names = frozenset(term.namespaces)
    if not names and term.namespace_selector is None:
        names = frozenset((namespace,))
    return AffinityTerm(
        names, as_selector(term.namespace_selector), as_selector(term.label_selector), term.topology_key
    )


__all__ = [
    "EVERYTHING",
    "NOTHING",
    "AffinityTerm",
    "NamespaceLabels",
    "NodeTerm",
    "affinity_term",
    "equalities",
    "node_matches",
    "node_terms",
]
