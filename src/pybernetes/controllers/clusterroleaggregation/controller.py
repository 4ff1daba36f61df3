"""Puts the rules of selected cluster roles into those that aggregate them (upstream: pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from collections.abc import Iterable

from pybernetes.api.errors import StatusError
from pybernetes.api.types import rbac_v1 as rbac

from ..common import Key, as_selector, clone
from ..framework import Context, Controller


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


class ClusterRoleAggregationController(Controller):
    """One queue of aggregating roles; a change of any role is a reason to look at all of these."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._roles = self.informer(rbac.ClusterRole)
        self._roles.add_handler(self._on_role)

    def _on_role(self, old: rbac.ClusterRole | None, new: rbac.ClusterRole | None) -> None:
        for role in self._roles.list():
            if role.aggregation_rule is not None:
                self.enqueue(role)

    async def sync(self, key: Key) -> None:
        """Writes the rules where they differ."""
        role = self._roles.get(key[1])
        rules = rules_of(role, self._roles.list()) if role is not None else None
        if role is None or rules is None:
            return
        wanted = clone(role)
        wanted.rules = rules
        try:
            await self.client.update(wanted)
        except StatusError as error:
            if error.code != 404:
                raise
