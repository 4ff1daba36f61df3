"""Records the events of a kubelet (upstream: kubelet's recorder over client-go tools/record)."""

from __future__ import annotations

from pybernetes.aio.clock import Clock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.types import Client

from .machine.events import Event


class Recorder:
    """`record` never waits; `run` sends until cancelled."""

    def __init__(self, client: Client, host: str, clock: Clock | None = None) -> None:
        self._events = EventBroadcaster(client, clock, host)
        self._recorder = self._events.recorder("kubelet")

    def record(self, about: core.Pod | core.Node, event: Event) -> None:
        """Queues an event about a pod or node."""
        self._recorder.event(reference(about, event.field), event.type, event.reason, event.message)

    async def run(self) -> None:
        """See `EventBroadcaster.run`."""
        await self._events.run()


def reference(about: core.Pod | core.Node, field: str) -> core.ObjectReference:
    """To a pod or one of its containers, or to a node."""
    meta = about.metadata
    if isinstance(about, core.Node):
        # A node's events carry its name as uid: what upstream's kubelet writes and kubectl describe looks for.
        return core.ObjectReference(api_version="v1", kind="Node", name=meta.name, uid=meta.name)
    return core.ObjectReference(
        api_version="v1",
        kind="Pod",
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resource_version=meta.resource_version,
        field_path=field,
    )
