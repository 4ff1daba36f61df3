"""The webhooks of the configurations that are there now, by what they look at (upstream: pkg/admission/configuration).

A request without webhooks costs one look into a dictionary: what was found for a resource, subresource and operation is remembered until
a configuration, or what is served, changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...resource import Resource
from ...types import Reader
from . import rules
from .hooks import Hook, read

_log = logging.getLogger(__name__)

GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A webhook that a request's rules lead to, and the version in which it is shown the request."""

    hook: Hook
    resource: Resource
    index: int  # among all webhooks of its kind, as audit annotations number them


Found = tuple[Invocation, ...]


class Source:
    """Of one kind of configurations. `served` gives all resources, for matchPolicy Equivalent."""

    def __init__(self, reader: Reader, configurations: str, served: Callable[[], Iterable[Resource]]) -> None:
        self._reader, self._configurations, self._served = reader, configurations, served
        self._read_at = (-1, -1)
        self._hooks: list[Hook] = []
        self._found: dict[tuple[str, str, str, str, str], Found] = {}

    def find(self, resource: Resource, subresource: str, operation: str) -> Found:
        """In the order of the configurations' names; selectors are not looked at yet."""
        reader = self._reader
        changed = (
            reader.changed(GROUP, self._configurations),
            reader.changed("apiextensions.k8s.io", "customresourcedefinitions"),
        )
        if changed != self._read_at:
            self._read(changed)
        if not self._hooks:
            return ()
        key = (resource.group, resource.version, resource.name, subresource, operation)
        invocations = self._found.get(key)
        if invocations is None:
            invocations = self._found[key] = self._match(resource, subresource, operation)
        return invocations

    def _read(self, changed: tuple[int, int]) -> None:
        hooks: list[Hook] = []
        for configuration in self._reader.list(GROUP, self._configurations):
            try:
                hooks += read(configuration)
            except ValueError as error:
                _log.error("webhooks of %s are not asked: %s", configuration["metadata"]["name"], error)
        self._hooks = sorted(hooks, key=lambda hook: hook.configuration)
        self._found.clear()
        self._read_at = changed

    def _match(self, resource: Resource, subresource: str, operation: str) -> Found:
        if rules.exempt(resource):
            return ()
        others: list[Resource] | None = None
        invocations = []
        for index, hook in enumerate(self._hooks):
            if hook.equivalent and others is None:
                others = rules.equivalents(resource, subresource, self._served())
            shown = rules.matched(
                hook.rules, resource, subresource, operation, (others or ()) if hook.equivalent else ()
            )
            if shown is not None:
                invocations.append(Invocation(hook, shown, index))
        return tuple(invocations)
