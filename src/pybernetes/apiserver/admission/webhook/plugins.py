"""The two steps of the admission chain; what calls webhooks is loaded with the first one to call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from pybernetes.component.metrics import Registry

from ...resource import Resource
from ...types import EVERYTHING, Attributes, Authorizer, Reader
from .source import MUTATING, VALIDATING, Source

if TYPE_CHECKING:
    from .dispatch import Dispatcher


class Webhooks:
    """What both steps share. `served` gives all resources there are; `close` when done."""

    def __init__(
        self,
        reader: Reader,
        served: Callable[[], Iterable[Resource]],
        authorizer: Authorizer,
        registry: Registry | None = None,
    ) -> None:
        self.reader, self.served = reader, served
        self._authorizer = authorizer
        self._registry = registry if registry is not None else Registry()
        self._dispatcher: Dispatcher | None = None

    @property
    def dispatcher(self) -> Dispatcher:
        """Made at its first use."""
        if self._dispatcher is None:
            from .caller import Caller
            from .dispatch import Dispatcher
            from .metrics import WebhookMetrics

            metrics = WebhookMetrics(self._registry)
            self._dispatcher = Dispatcher(self.reader, Caller(self.reader), metrics, self.served, self._authorizer)
        return self._dispatcher

    async def close(self) -> None:
        """Ends the connections to webhooks."""
        if self._dispatcher is not None:
            await self._dispatcher.close()


class MutatingAdmissionWebhook:
    """Webhooks that may change the object, one after the other."""

    name = "MutatingAdmissionWebhook"
    resources = EVERYTHING

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._source = Source(webhooks.reader, MUTATING, webhooks.served)

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Asks those that the request's rules lead to."""
        invocations = self._source.find(attributes.resource, attributes.subresource, attributes.operation)
        return self._webhooks.dispatcher.mutate(attributes, invocations) if invocations else None

    def validate(self, attributes: Attributes) -> None:
        """Nothing: that is the other one's."""


class ValidatingAdmissionWebhook:
    """Webhooks that may only refuse, all at the same time."""

    name = "ValidatingAdmissionWebhook"
    resources = EVERYTHING

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._source = Source(webhooks.reader, VALIDATING, webhooks.served)

    def admit(self, attributes: Attributes) -> None:
        """Nothing: that is the other one's."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Asks those that the request's rules lead to."""
        invocations = self._source.find(attributes.resource, attributes.subresource, attributes.operation)
        return self._webhooks.dispatcher.validate(attributes, invocations) if invocations else None
