"""Forgets what no watch needs any more (upstream: storage/etcd3/compact.go).

Several API servers may share a store: in each interval one of them compacts, the one that wins the write of a key. The key and its
value are upstream's, so that an API server of upstream's may be one of them.
"""

from __future__ import annotations

import asyncio
import logging

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end

from .types import Closed, Compacted, Conflict, NoSpace, Store, StoreError

_log = logging.getLogger(__name__)

KEY = "compact_rev_key"
DEFAULT_SECONDS = (
    300.0  # upstream's --etcd-compaction-interval: so long, and up to twice as long, a list or watch can go back
)


class Compactor:
    """In each interval what is older than the round before is dropped."""

    def __init__(self, store: Store, interval: float, clock: Clock) -> None:
        self._store, self._interval, self._clock = store, interval, clock
        self._known = 0  # revision of the key when it was last seen
        self._task: asyncio.Task[None] | None = None
        self._before = 0  # the store's revision in the last round, by whomever; 0 before there was one

    def start(self) -> None:
        """Begins; with an interval of 0 nothing is ever compacted."""
        if self._interval > 0:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends it. A round that is under way may be left half done: the next one of any server does the rest."""
        await end(self._task)

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._interval)
            try:
                await self.round()
            except Closed:
                return
            except StoreError as error:
                _log.error("compaction failed, it will be tried again: %s", error)
            except Exception:
                _log.exception("compaction failed, it will be tried again")

    async def round(self) -> None:
        """Compacts, unless another has done so since the last round. StoreError."""
        try:
            written = await self._store.put(KEY, b"%d" % self._before, self._known)
        except Conflict as conflict:
            self._known = conflict.current.mod_revision if conflict.current else 0
            self._before = await self._store.revision()
            return
        except NoSpace:  # what makes room must not wait for it; two servers that compact do no harm
            target, self._before = self._before, await self._store.revision()
        else:
            target, self._before, self._known = self._before, written.mod_revision, written.mod_revision
        if not target:
            return
        try:
            await self._store.compact(target)
        except Compacted:
            _log.debug("revision %d has been compacted by another", target)
