"""The two steps of the admission chain; what evaluates policies is loaded with the first request that one speaks of."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from pybernetes.component.metrics import Registry

from ...resource import Resource
from ...types import EVERYTHING, Attributes, Authorizer, Reader

if TYPE_CHECKING:
    from .metrics import PolicyMetrics
    from .mutating import MutatingDispatcher
    from .source import Found, Source
    from .validating import ValidatingDispatcher

GROUP = "admissionregistration.k8s.io"


class Policies:
    """What both steps share. `served` gives all resources there are."""

    def __init__(
        self,
        reader: Reader,
        served: Callable[[], Iterable[Resource]],
        authorizer: Authorizer,
        registry: Registry | None = None,
    ) -> None:
        self.reader, self.served, self.authorizer = reader, served, authorizer
        self._registry = registry if registry is not None else Registry()

    @functools.cached_property
    def metrics(self) -> PolicyMetrics:
        """Made at its first use."""
        from .metrics import PolicyMetrics

        return PolicyMetrics(self._registry)


class _Step:
    """What both plug-ins do alike. Nothing is loaded before there is a binding."""

    kinds: ClassVar[tuple[str, str]]  # resources of policies and bindings

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._none_at = -1
        self._source: Source | None = None

    def _found(self, attributes: Attributes) -> Found | None:
        """Policies that may speak of the request, None for none."""
        source = self._source
        if source is None:
            reader, bindings = self._policies.reader, self.kinds[1]
            changed = reader.changed(GROUP, bindings)
            if changed == self._none_at:
                return None
            if not list(reader.list(GROUP, bindings)):
                self._none_at = changed
                return None
            from .source import Source

            source = self._source = Source(reader, self.kinds, self._policies.served)
        matches = source.find(attributes.resource, attributes.subresource, attributes.operation)
        return matches if matches.hooks else None

    @property
    def source(self) -> Source:
        """Where the policies are from, once one was found."""
        assert self._source is not None
        return self._source


class MutatingAdmissionPolicy(_Step):
    """Policies that change the object, one after the other; there is none to change where one is deleted."""

    name = "MutatingAdmissionPolicy"
    resources = EVERYTHING
    kinds = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")

    @functools.cached_property
    def _dispatcher(self) -> MutatingDispatcher:
        from .mutating import MutatingDispatcher

        policies = self._policies
        return MutatingDispatcher(policies.reader, policies.authorizer, policies.metrics, self.source, policies.served)

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Asks those that the request's rules lead to."""
        if attributes.operation == "DELETE":
            return None
        matches = self._found(attributes)
        return self._dispatcher.mutate(attributes, matches) if matches is not None else None

    def validate(self, attributes: Attributes) -> None:
        """Nothing: that is the other one's."""


class ValidatingAdmissionPolicy(_Step):
    """Policies that may only refuse, warn and note."""

    name = "ValidatingAdmissionPolicy"
    resources = EVERYTHING
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")

    @functools.cached_property
    def _dispatcher(self) -> ValidatingDispatcher:
        from .validating import ValidatingDispatcher

        policies = self._policies
        return ValidatingDispatcher(policies.reader, policies.authorizer, policies.metrics, self.source)

    def admit(self, attributes: Attributes) -> None:
        """Nothing: that is the other one's."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Asks those that the request's rules lead to."""
        matches = self._found(attributes)
        return self._dispatcher.validate(attributes, matches) if matches is not None else None
