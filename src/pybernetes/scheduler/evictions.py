"""Deletes the victims of a preemption (upstream: framework/preemption prepareCandidateAsync)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.eventseries import SeriesRecorder
from pybernetes.client.types import Client

from .framework.conditions import DISRUPTION, PREEMPTED, condition_patch
from .model.pods import PodInfo

_log = logging.getLogger(__name__)


class Evictions:
    """`done` is called when all victims of a pod were asked to go, with whether that failed for any."""

    def __init__(
        self,
        client: Client,
        now: Callable[[], datetime],
        recorder: Callable[[core.Pod], SeriesRecorder],
        done: Callable[[PodInfo, Sequence[PodInfo], bool], None],
    ) -> None:
        self._client, self._now, self._recorder, self._done = client, now, recorder, done
        self._tasks: set[asyncio.Task[None]] = set()
        self.under_way: set[str] = set()  # uids of pods for which room is being made

    def begin(self, info: PodInfo, node: str, victims: Sequence[PodInfo]) -> None:
        """Those that go already need no word."""
        staying = [victim for victim in victims if not victim.terminating]
        if staying:
            self.under_way.add(info.uid)
            task = asyncio.ensure_future(self._evict_all(info, node, staying))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Cancels what is under way; pods whose deletion was not sent yet stay."""
        for task in self._tasks:
            task.cancel()

    async def _evict_all(self, info: PodInfo, node: str, victims: Sequence[PodInfo]) -> None:
        results = await asyncio.gather(*(self._evict(info, node, v) for v in victims), return_exceptions=True)
        self.under_way.discard(info.uid)
        failures = [error for error in results if isinstance(error, BaseException)]
        for error in failures:
            _log.warning("preemption for %s/%s: %s", info.namespace, info.pod.metadata.name, error)
        self._done(info, victims, bool(failures))

    async def _evict(self, info: PodInfo, node: str, victim: PodInfo) -> None:
        name, namespace = victim.pod.metadata.name, victim.namespace
        message = f"{info.pod.spec.scheduler_name}: preempting to accommodate a higher priority pod"
        patch = condition_patch(victim.pod, DISRUPTION, "True", PREEMPTED, message, self._now())
        try:
            if patch is not None:
                await self._client.patch(core.Pod, name, namespace, patch, type="strategic", subresource="status")
            await self._client.delete(core.Pod, name, namespace, uid=victim.uid)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        text = f"Preempted by pod {info.uid} on node {node}"
        self._recorder(info.pod).event(victim.pod, info.pod, "Normal", "Preempted", "Preempting", text)
