"""Puts the rules of selected cluster roles into those that aggregate them (upstream: pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import rbac_v1 as rbac

from ..common import Key, clone
from ..framework import Context, Controller
from .plan import rules_of


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
        desired = clone(role)
        desired.rules = rules
        try:
            await self.client.update(desired)
        except StatusError as error:
            if error.code != 404:
                raise
