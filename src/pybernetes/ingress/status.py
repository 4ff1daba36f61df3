"""status.loadBalancer of Ingresses, written by the elected one (upstream: internal/ingress/status/status.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.types import Client, Informers

from .addresses import Addresses, Source

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class StatusWriter:
    """`run` until cancelled, while this is the one that leads; `clear` once, at its end."""

    def __init__(
        self,
        ours: Callable[[], Sequence[networking.Ingress]],
        source: Source,
        client: Client,
        informers: Informers,
        clock: Clock,
        namespace: str = "",
    ) -> None:
        self._ours, self._source = ours, source
        self._client, self._clock = client, clock
        self._ingresses = informers.informer(networking.Ingress, namespace)
        self._changed = asyncio.Event()
        self.leads = False

    def listen(self) -> None:
        """To all that changes what is to be written."""
        self._ingresses.add_handler(self._on_change)
        self._source.listen(self._on_change)

    def _on_change(self, old: object | None, new: object | None) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Writes what differs."""
        self.leads = True
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self._write(self._source.now()):
                await self._clock.sleep(RETRY_SECONDS)
                self._changed.set()

    async def clear(self) -> None:
        """Nobody is there any more; else whoever leads next writes who is."""
        if not self._source.others():
            await self._write([])

    async def _write(self, addresses: Addresses) -> bool:
        """Whether all of them were."""
        desired = [msgspec.to_builtins(each) for each in addresses]
        complete = True
        for ingress in self._ours():
            if ingress.status.load_balancer.ingress == addresses:
                continue
            meta = ingress.metadata
            patch = {"status": {"loadBalancer": {"ingress": desired or None}}}
            try:
                await self._client.patch(networking.Ingress, meta.name, meta.namespace, patch, subresource="status")
            except (StatusError, ConnectionError, TimeoutError) as error:
                if not isinstance(error, StatusError) or error.code != 404:  # it is gone meanwhile
                    _log.warning("the status of ingress %s/%s: %s", meta.namespace, meta.name, error)
                    complete = False
        return complete
