"""What a request changes of a quota's use, for each resource (upstream: pkg/quota/v1/evaluator). Pure.

The rules themselves are `api.quota`'s, on typed objects; here stands which objects they are asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from pybernetes.api import pods, quota
from pybernetes.api.quantity import Quantity
from pybernetes.api.quota import Scope, Usage
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import from_json

from ..resource import Resource

T = TypeVar("T")
Object = dict[str, Any]


def subtract(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Usage:
    """The difference, nothing below zero."""
    zero = Quantity()
    return {name: max(amount - other[name], zero) if name in other else amount for name, amount in one.items()}


class Evaluator(Generic[T]):
    """Of one resource: reads its objects typed and asks `api.quota`."""

    def __init__(
        self,
        kind: type[T],
        usage: Callable[[T, datetime], Usage],
        matches: Callable[[str], bool],
        in_scope: Callable[[T, Scope], bool] = lambda obj, scope: False,
        *,
        updates: bool = False,
    ) -> None:
        self._kind, self._usage, self._in_scope = kind, usage, in_scope
        self.matches = matches  # whether the resource counts for a name in a quota
        self.updates = updates  # whether an update can change what is used

    def typed(self, obj: Object) -> T:
        """The object as the rules read it."""
        return from_json(obj, self._kind)

    def usage(self, obj: Object, now: datetime) -> Usage:
        """By all names that count the object."""
        return self._usage(self.typed(obj), now)

    def in_scopes(self, obj: Object, scopes: Sequence[Scope]) -> bool:
        """Whether a quota of these scopes speaks of the object."""
        return not scopes or quota.in_scopes(self.typed(obj), scopes, self._in_scope)


_PODS = Evaluator(core.Pod, quota.pod_usage, quota.is_pod_name, quota.pod_in_scope)
_SERVICES = Evaluator(
    core.Service, lambda service, now: quota.service_usage(service), quota.SERVICE_NAMES.__contains__, updates=True
)
_CLAIMS = Evaluator(
    core.PersistentVolumeClaim,
    lambda claim, now: quota.claim_usage(claim),
    quota.is_claim_name,
    quota.claim_in_scope,
    updates=True,
)
_OWN: dict[str, Evaluator[Any]] = {"pods": _PODS, "services": _SERVICES, "persistentvolumeclaims": _CLAIMS}


class _Anything(msgspec.Struct):
    """Of objects that only count, nothing is read."""


def evaluator(resource: Resource) -> Evaluator[Any]:
    """Any namespaced resource counts as objects at least."""
    if resource.group == "" and resource.name in _OWN:
        return _OWN[resource.name]
    names = {f"{quota.COUNT}{resource.name}.{resource.group}" if resource.group else f"{quota.COUNT}{resource.name}"}
    if resource.group == "" and resource.name in quota.COUNTED:
        names.add(resource.name)
    used = dict.fromkeys(names, quota.ONE)
    return Evaluator(_Anything, lambda obj, now: used, names.__contains__)


def status_counts(new: Object, old: Object) -> bool:
    """Whether a write of a claim's status changes what it uses."""
    return quota.status_changes_usage(_CLAIMS.typed(new), _CLAIMS.typed(old))


def unstated(pod: Object, required: Sequence[str]) -> dict[str, list[str]]:
    """Which containers leave open what a quota demands to be stated."""
    return quota.unstated(pods.resources_of(pod["spec"]), required)
