"""Keeps one certificate fresh while the kubelet runs (upstream: client-go/util/certificate/certificate_manager.go)."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from pybernetes.aio.clock import Clock
from pybernetes.client.types import Client
from pybernetes.pki import keys
from pybernetes.pki.certificates import Leaf

from .plan import Template, retries, rotation_deadline
from .signing import SigningError, issue
from .store import FileStore, StoreError

_log = logging.getLogger(__name__)

WAIT_SECONDS = 900.0  # for one request to be signed; then another is made
LOOK_SECONDS = 60.0  # a machine that was asleep is late, and only its wall clock says so
PAUSE_SECONDS = 1.0  # after a renewal, also where the next is due at once

ClientFor = Callable[[Leaf | None], AbstractAsyncContextManager[Client]]


class CertificateManager:
    """Renews what is in a store before it ends; each renewal has a new key."""

    def __init__(
        self,
        store: FileStore,
        template: Template,
        client_for: ClientFor,
        clock: Clock,
        renewed: Callable[[Leaf | None], None] = lambda before: None,
        failed: Callable[[], None] = lambda: None,
        share: Callable[[], float] = random.random,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`client_for` gives who asks, by the certificate that is there now. `renewed` is called when there is another, with the one before,
        `failed` after each try that gave none.

        `share` of 0 to 1 says where between 70 and 90 % of a certificate's life it is renewed.
        """
        self.store, self._template, self._client_for, self._clock = store, template, client_for, clock
        self._renewed, self._failed, self._share, self._look_seconds = renewed, failed, share, look_seconds
        self.responsive = False  # whether an API server was there when one was last needed (upstream's ServerHealthy)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._due()
            await self._renew()
            await self._clock.sleep(PAUSE_SECONDS)

    async def _due(self) -> None:
        leaf = self.store.leaf()
        deadline = rotation_deadline(leaf, self._template, self._clock.now(), self._share())
        if leaf is not None:
            _log.info("%s: it ends at %s and is renewed at %s", self.store.current_path, leaf.ends, deadline)
        while (left := (deadline - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(min(left, self._look_seconds))

    async def _renew(self) -> None:
        """Tries until there is a new one."""
        for delay in retries():
            try:
                await self._try()
                return
            except (SigningError, StoreError, OSError, ValueError) as error:
                _log.warning("%s cannot be renewed, it will be tried again: %s", self.store.current_path, error)
                self._failed()
                if isinstance(error, SigningError) and error.responsive is not None:
                    self.responsive = error.responsive
            await self._clock.sleep(delay)

    async def _try(self) -> None:
        before = self.store.leaf()
        async with self._client_for(before) as client:
            pair = await issue(client, self._clock, keys.generate(), self._template, WAIT_SECONDS)
        self.store.update(pair, self._clock.now())
        self.responsive = True
        _log.info("%s was renewed: new connections use it", self.store.current_path)
        self._renewed(before)
