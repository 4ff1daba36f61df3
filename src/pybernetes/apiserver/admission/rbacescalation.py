"""Nobody gives rights that he has not, by a role or by a binding (upstream: pkg/registry/rbac/*/policybased, escalation_check.go).

Upstream does this in the storage of the kinds, between mutating admission and validation: here it ends the mutating chain.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from pybernetes.api import errors
from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP

from ..authentication.user import User
from ..authorization.escalation import missing
from ..authorization.modes import Authorizers
from ..authorization.rules import GROUP, Rule, compact, described, quoted
from ..types import Attributes, RequestInfo

ROLES = ("roles", "clusterroles")
BINDINGS = ("rolebindings", "clusterrolebindings")
FULL: list[Rule] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
# What the garbage collector writes; who changes nothing else gives nothing.
GC_FIELDS = ("ownerReferences", "finalizers", "managedFields")

Object = dict[str, Any]


class RBACEscalation:
    """The verbs `escalate` (on roles) and `bind` (on the role bound) lift the limit."""

    name = "RBACEscalation"
    resources = frozenset((GROUP, resource) for resource in (*ROLES, *BINDINGS))

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """403 for rights that the user lacks, 404 for a binding to a role that is not there."""
        obj, resource = attributes.object, attributes.resource
        if (
            obj is None
            or resource.group != GROUP
            or SYSTEM_PRIVILEGED_GROUP in attributes.user.groups
            or self._authorizers.everyone
        ):
            return None
        if attributes.old_object is not None and only_gc_fields(obj, attributes.old_object):
            return None
        if resource.name in ROLES:
            return self._role(attributes, obj)
        return self._binding(attributes, obj) if resource.name in BINDINGS else None

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    async def _may(self, user: User, verb: str, resource: str, name: str, namespace: str) -> bool:
        info = RequestInfo(
            verb, "", is_resource=True, group=GROUP, version="v1", resource=resource, name=name, namespace=namespace
        )
        return (await self._authorizers.authorize(user, info)).allowed

    async def _role(self, attributes: Attributes, role: Object) -> None:
        old = attributes.old_object or {}
        rules, aggregation = role.get("rules") or [], role.get("aggregationRule")
        aggregates = aggregation is not None and aggregation != old.get("aggregationRule")
        if attributes.old_object is not None and rules == (old.get("rules") or []) and not aggregates:
            return
        name = role["metadata"].get("name", "")
        if await self._may(attributes.user, "escalate", attributes.resource.name, name, attributes.namespace):
            return
        self._confirm(attributes, name, rules)
        if aggregates:  # it may gather anything
            self._confirm(attributes, name, FULL)

    async def _binding(self, attributes: Attributes, binding: Object) -> None:
        ref, namespace = binding.get("roleRef") or {}, attributes.namespace
        kind, role = ref.get("kind", ""), ref.get("name", "")
        resource = {"Role": "roles", "ClusterRole": "clusterroles"}.get(kind)
        if resource is None or ref.get("apiGroup", "") != GROUP:
            return  # validation refuses it
        if await self._may(attributes.user, "bind", resource, role, namespace):
            return
        rbac = self._authorizers.rbac
        rules, problem = rbac.role_rules(kind, role, namespace) if rbac else (FULL, "")
        if problem:
            # Upstream's storage of roles calls what it does not find by the resource of the request.
            raise errors.not_found(GROUP, attributes.resource.name, role)
        self._confirm(attributes, binding["metadata"].get("name", ""), rules)

    def _confirm(self, attributes: Attributes, name: str, rules: list[Rule]) -> None:
        user, rbac, resource = attributes.user, self._authorizers.rbac, attributes.resource
        owned, problems = rbac.rules_for(user, attributes.namespace) if rbac else ([], [])
        lacking = missing(owned, rules)
        if not lacking:
            return
        listed = "\n".join(sorted({described(rule) for rule in compact(lacking)}))
        text = (
            f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions '
            f"not currently held:\n{listed}"
        )
        if problems:
            text += f"; resolution errors: [{', '.join(problems)}]"
        raise errors.forbidden(resource.group, resource.name, name, text)


def only_gc_fields(new: Object, old: Object) -> bool:
    """Whether an update changes no more than the garbage collector does."""

    def rest(obj: Object) -> Object:
        metadata = {k: v for k, v in obj["metadata"].items() if k not in GC_FIELDS and v}
        return {**obj, "metadata": metadata}

    return new != old and rest(new) == rest(old)
