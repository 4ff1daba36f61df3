"""Records events through the API, repeated ones counted, floods held back (client-go tools/record)."""

from __future__ import annotations

from functools import partial

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from .eventcorrelator import Correlated, Correlator
from .eventoutbox import Outbox, Request, reference_to
from .types import Client, Object


class EventBroadcaster:
    """The way to the server; `recorder` gives each component its own source, `run` sends until cancelled."""

    def __init__(self, client: Client, clock: Clock | None = None, host: str = "") -> None:
        self._client, self._host = client, host
        self._clock: Clock = clock or RealClock()
        self._outbox = Outbox(self._prepare, self._clock)
        self._correlator = Correlator()

    def recorder(self, component: str) -> EventRecorder:
        """A recorder whose events say that they come from the component."""
        return EventRecorder(self._outbox, self._clock, component, self._host)

    async def run(self) -> None:
        """Sends the queued events; one that the server refuses is logged and dropped, without an answer it is tried again."""
        await self._outbox.run()

    async def flush(self) -> None:
        """Returns when everything queued so far was sent."""
        await self._outbox.flush()

    def _prepare(self, event: core.Event) -> Request | None:
        correlated = self._correlator.correlate(event, self._clock.now())
        return partial(self._send, correlated) if correlated is not None else None

    async def _send(self, correlated: Correlated) -> None:
        event = correlated.event
        if correlated.patch is not None:
            namespace, name = event.metadata.namespace, event.metadata.name
            try:
                await self._client.patch(core.Event, name, namespace, correlated.patch, type="strategic")
                return
            except StatusError as error:
                if error.code != 404:
                    raise
            event.metadata.name = self._outbox.name(event.involved_object, self._clock.now())
        self._correlator.sent(correlated.key, await self._client.create(event))


class EventRecorder:
    """Makes events about objects."""

    def __init__(self, outbox: Outbox, clock: Clock, component: str, host: str) -> None:
        self._outbox, self._clock, self._component, self._host = outbox, clock, component, host

    def event(self, about: Object | core.ObjectReference, type: str, reason: str, message: str) -> None:
        """Queues an event; `about` is a typed object or an ObjectReference."""
        moment = self._clock.now()
        now = moment.replace(microsecond=0)
        reference = about if isinstance(about, core.ObjectReference) else reference_to(about)
        namespace = reference.namespace or "default"
        self._outbox.put(
            core.Event(
                metadata=meta.ObjectMeta(name=self._outbox.name(reference, moment), namespace=namespace),
                involved_object=reference,
                reason=reason,
                message=message,
                type=type,
                count=1,
                first_timestamp=now,
                last_timestamp=now,
                source=core.EventSource(component=self._component, host=self._host),
                reporting_component=self._component,
                reporting_instance=self._host,
            )
        )

    def normal(self, about: Object | core.ObjectReference, reason: str, message: str) -> None:
        """type Normal."""
        self.event(about, "Normal", reason, message)

    def warning(self, about: Object | core.ObjectReference, reason: str, message: str) -> None:
        """type Warning."""
        self.event(about, "Warning", reason, message)
