"""Sends what pods' statuses are told, the newest word on each pod only."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client

_log = logging.getLogger(__name__)

SENDERS = 4  # requests at a time
ERRORS = (StatusError, ConnectionError, TimeoutError)


class StatusPatches:
    """`put` never waits; `run` sends until cancelled; after `settle` nothing is on its way for a pod."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, tuple[core.Pod, dict[str, Any]]] = {}
        self._sending: dict[str, asyncio.Event] = {}
        self._uids: asyncio.Queue[str] = asyncio.Queue()

    def put(self, pod: core.Pod, patch: dict[str, Any]) -> None:
        """A strategic merge patch of the status; fields that an earlier one sets and this one does not are kept."""
        uid = pod.metadata.uid
        earlier = self._waiting.get(uid)
        if earlier is not None:
            patch = {"status": {**earlier[1]["status"], **patch["status"]}}
        else:
            self._uids.put_nowait(uid)
        self._waiting[uid] = (pod, patch)

    async def settle(self, pod: core.Pod) -> None:
        """Drops what waits and lets finish what is being sent: a pod that gets its node must not be called unschedulable after that."""
        self._waiting.pop(pod.metadata.uid, None)
        sending = self._sending.get(pod.metadata.uid)
        if sending is not None:
            await sending.wait()

    async def run(self) -> None:
        """What the server refuses is logged and dropped."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send_all())

    async def _send_all(self) -> None:
        while True:
            uid = await self._uids.get()
            if uid in self._sending:
                await self._sending[uid].wait()
            waiting = self._waiting.pop(uid, None)
            if waiting is None:
                continue
            done = self._sending[uid] = asyncio.Event()
            try:
                await self._send(*waiting)
            finally:
                del self._sending[uid]
                done.set()

    async def _send(self, pod: core.Pod, patch: dict[str, Any]) -> None:
        own = pod.metadata
        try:
            await self._client.patch(core.Pod, own.name, own.namespace, patch, type="strategic", subresource="status")
        except ERRORS as error:
            if not isinstance(error, StatusError) or error.code != 404:
                _log.warning("status of %s/%s: %s", own.namespace, own.name, error)
