"""kube-system/extension-apiserver-authentication: how extension API servers know who asks, as this one does
(upstream: pkg/controlplane/controller/clusterauthenticationtrust)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError

from .storage import Storage

_log = logging.getLogger(__name__)

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
TRIES, PAUSE_SECONDS = 20, 0.2  # at the start, where servers that start together write the same
LOOK_SECONDS = 60.0  # how often files and object are compared; upstream's controller is as slow where nothing tells it


async def publish(maps: Storage, data: Mapping[str, str]) -> None:
    """Keys that others have put there stay."""
    if not data:
        return
    present = maps.get(NAMESPACE, NAME)
    if present is None:
        await maps.create(NAMESPACE, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": dict(data)})
    elif any((present.get("data") or {}).get(key) != value for key, value in data.items()):
        await maps.update(NAMESPACE, {**present, "data": {**(present.get("data") or {}), **data}})


class Publisher:
    """Publishes what `read` gives at the start, and each minute, for authorities are replaced in their files."""

    def __init__(self, maps: Storage, read: Callable[[], Mapping[str, str]], clock: Clock) -> None:
        self._maps, self._read, self._clock = maps, read, clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it is published; nothing is done, now or later, where there is nothing to publish. StatusError."""
        data = self._read()
        if not data:
            return
        await self._publish_first(data)
        self._task = asyncio.ensure_future(self._follow())

    async def _publish_first(self, data: Mapping[str, str]) -> None:
        """Again where another server was faster: what it wrote is read, and may be all that is to be said. StatusError."""
        for tries in range(1, TRIES + 1):
            try:
                return await publish(self._maps, data)
            except StatusError as error:
                if error.code != 409 or tries == TRIES:
                    raise
            await self._clock.sleep(PAUSE_SECONDS)

    async def stop(self) -> None:
        """Nothing is published any more."""
        await end(self._task)

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await publish(self._maps, self._read())
            except StatusError as error:  # another server was faster, or the store is away
                _log.warning("%s/%s cannot be brought up to date yet: %s", NAMESPACE, NAME, error)
