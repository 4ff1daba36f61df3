"""Rules of aggregating roles."""

from __future__ import annotations

from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import rbac_v1 as rbac
from pybernetes.controllers.clusterroleaggregation.plan import rules_of


def role(name: str, label: str = "", *verbs: str, selects: tuple[str, ...] = ()) -> rbac.ClusterRole:
    selectors = [meta.LabelSelector(match_labels={"l": value}) for value in selects]
    return rbac.ClusterRole(
        metadata=meta.ObjectMeta(name=name, labels={"l": label}),
        rules=[rbac.PolicyRule(verbs=[verb]) for verb in verbs],
        aggregation_rule=rbac.AggregationRule(cluster_role_selectors=selectors) if selects else None,
    )


def test_rules_come_by_selector_and_name_each_once() -> None:
    total = role("sum", "x", selects=("x", "y"))
    roles = [role("c", "y", "list"), role("b", "x", "watch", "get"), role("a", "x", "get"), total]
    found = rules_of(total, roles)
    assert found is not None and [rule.verbs for rule in found] == [["get"], ["watch"], ["list"]]
    total.rules = found
    assert rules_of(total, roles) is None


def test_rules_go_with_their_roles() -> None:
    assert rules_of(role("sum", "", "get", selects=("x",)), []) == []
    assert rules_of(role("plain", "", "get"), []) is None
