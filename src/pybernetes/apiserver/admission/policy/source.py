"""The policies with bindings that there are now, by what they look at (upstream: policy/generic/policy_source.go).

A request costs one look into a dictionary where no policy speaks of its kind. Expressions are compiled when a request first comes to their policy,
and again when its generation changes; what is compiled of policies that are gone is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pybernetes.aio import apart

from ...resource import Object, Resource
from ...types import Reader
from ..webhook import rules
from . import definitions
from .definitions import Binding, Compiled, ParamKind, Policy
from .matching import EXEMPT, REVIEWS, Subject, by_rules

Read = TypeVar("Read")

_log = logging.getLogger(__name__)

GROUP = rules.EXEMPT_GROUP
COMPILED_WEIGHT = 20  # a character of an expression takes as long as so many bytes of an object


@dataclass(frozen=True, slots=True)
class Hook:
    """A policy with its bindings."""

    policy: Policy
    bindings: Sequence[Binding]


@dataclass(frozen=True, slots=True)
class Found:
    """Policies that may speak of a request, by name, and the other versions of its resource."""

    hooks: Sequence[Hook]
    others: Sequence[Resource]


NONE = Found((), ())


class Source:
    """Of one kind of policies; `kinds` are the resources of policies and bindings. `served` gives all resources."""

    def __init__(self, reader: Reader, kinds: tuple[str, str], served: Callable[[], Iterable[Resource]]) -> None:
        self._reader, self._served = reader, served
        self._policies, self._bindings = kinds
        self._read_at = (-1, -1, -1)
        self._hooks: list[Hook] = []
        self._found: dict[tuple[str, str, str, str, str], Found] = {}
        self._compiled: dict[tuple[str, int], Compiled] = {}
        self._known = (Known(Policy.read), Known(Binding.read))

    def find(self, resource: Resource, subresource: str, operation: str) -> Found:
        """By the rules of policies alone: names, selectors and bindings are not looked at yet."""
        place = (resource.group, resource.name)
        if place in EXEMPT or place in REVIEWS:
            return NONE
        changed = self._reader.changed
        now = (
            changed(GROUP, self._policies),
            changed(GROUP, self._bindings),
            changed("apiextensions.k8s.io", "customresourcedefinitions"),
        )
        if now != self._read_at:
            self._read(now)
        if not self._hooks:
            return NONE
        key = (resource.group, resource.version, resource.name, subresource, operation)
        matches = self._found.get(key)
        if matches is None:
            matches = self._found[key] = self._match(resource, subresource, operation)
        return matches

    async def compiled(self, policy: Policy) -> Compiled:
        """Its expressions."""
        compiled = self._compiled.get(policy.revision)
        if compiled is None:
            compiled = await apart.run(policy.size * COMPILED_WEIGHT, definitions.compiled, policy.spec)
            self._compiled[policy.revision] = compiled
        return compiled

    def resource_of(self, kind: ParamKind) -> Resource | None:
        """What a kind of parameters is served as now; None for one that is not."""
        for resource in self._served():
            if (resource.api_version, resource.kind) == (kind.api_version, kind.kind) and "list" in resource.verbs:
                return resource
        return None

    def _read(self, now: tuple[int, int, int]) -> None:
        policies, bindings = self._known
        by_policy: dict[str, list[Binding]] = {}
        for binding in bindings.read(self._reader.list(GROUP, self._bindings)):
            by_policy.setdefault(binding.policy, []).append(binding)
        hooks = [
            Hook(policy, sorted(by_policy[policy.name], key=lambda binding: binding.name))
            for policy in policies.read(self._reader.list(GROUP, self._policies))
            if policy.name in by_policy
        ]
        self._hooks = sorted(hooks, key=lambda hook: hook.policy.name)
        self._found.clear()
        revisions = {hook.policy.revision for hook in hooks}
        self._compiled = {key: compiled for key, compiled in self._compiled.items() if key in revisions}
        self._read_at = now

    def _match(self, resource: Resource, subresource: str, operation: str) -> Found:
        others = rules.equivalents(resource, subresource, self._served())
        subject = Subject(resource, subresource, operation, "", others, None, ())
        hooks = [
            hook
            for hook in self._hooks
            if by_rules(hook.policy.constraints.rules, hook.policy.constraints.equivalent, subject, named=False)
            is not None
        ]
        return Found(hooks, others) if hooks else NONE


class Known(Generic[Read]):
    """Objects that were read already: after a change of one the others need not be read again."""

    def __init__(self, read: Callable[[Object], Read]) -> None:
        self._read = read
        self._known: dict[
            int, tuple[Object, Read | None]
        ] = {}  # by the object's address, which it keeps as long as it stands here

    def read(self, objects: Iterable[Object]) -> list[Read]:
        """All that can be read; what is not among them is forgotten."""
        definitions = self._known
        self._known = {id(obj): definitions.get(id(obj)) or (obj, self._readable(obj)) for obj in objects}
        return [definition for _, definition in self._known.values() if definition is not None]

    def _readable(self, obj: Object) -> Read | None:
        try:
            return self._read(obj)
        except ValueError as error:
            _log.error("%s %s is not enforced: %s", obj.get("kind"), obj["metadata"]["name"], error)
            return None
