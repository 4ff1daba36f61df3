"""Which rules an aggregating cluster role should have; pure (upstream: pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from collections.abc import Iterable

from pybernetes.api.labels import as_selector
from pybernetes.api.types import rbac_v1 as rbac


def rules_of(role: rbac.ClusterRole, roles: Iterable[rbac.ClusterRole]) -> list[rbac.PolicyRule] | None:
    """The rules an aggregating role should have, each once, by selector and name; None if it has them."""
    if role.aggregation_rule is None:
        return None
    others = sorted((r for r in roles if r.metadata.name != role.metadata.name), key=lambda r: r.metadata.name)
    rules: list[rbac.PolicyRule] = []
    for selector in map(as_selector, role.aggregation_rule.cluster_role_selectors):
        for other in others:
            if selector.matches(other.metadata.labels):
                rules.extend(rule for rule in other.rules if rule not in rules)
    return rules if rules != role.rules else None
