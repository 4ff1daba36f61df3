"""Whether a pod's own demands let it run on a node; pure (upstream: component-helpers/scheduling/corev1). For daemon sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pybernetes.api.types import core_v1 as core


def tolerates(toleration: core.Toleration, taint: core.Taint) -> bool:
    """Toleration.ToleratesTaint."""
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def untolerated(
    taints: Iterable[core.Taint], tolerations: Sequence[core.Toleration], counts: Callable[[core.Taint], bool]
) -> core.Taint | None:
    """The first taint that counts and is not tolerated (FindMatchingUntoleratedTaint)."""
    return next(
        (taint for taint in taints if counts(taint) and not any(tolerates(t, taint) for t in tolerations)), None
    )


def fits_affinity(spec: core.PodSpec, node: core.Node) -> bool:
    """nodeSelector and the required node affinity (GetRequiredNodeAffinity)."""
    if not spec.node_selector.items() <= node.metadata.labels.items():
        return False
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or any(_term_matches(term, node) for term in required.node_selector_terms)


def _term_matches(term: core.NodeSelectorTerm, node: core.Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False  # an empty term matches nothing
    labels = node.metadata.labels
    fields = {"metadata.name": node.metadata.name}
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
                left, right = int(value or ""), int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return left > right if requirement.operator == "Gt" else left < right
    return False
