"""Looks after the node's memory and disk: conditions, evictions, unused images (upstream: eviction_manager.go, image_gc_manager.go)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pybernetes.aio.clock import Clock

from ..interfaces import Runtime, Volumes
from ..machine import eviction, stimuli
from ..machine.config import cgroup_parent
from ..machine.events import Event, warning
from ..machine.eviction import Candidate
from ..machine.thresholds import CONDITIONS, Amount, Threshold, Watched, met
from ..options import KubeletOptions
from ..runtime.images import CollectionPolicy, ImageRecord, to_free, to_remove, too_old
from ..runtime.types import RuntimeFailure
from ..worker import PodWorker
from .usage import container_cgroup, usage

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0  # as upstream's monitoring interval
IMAGE_SECONDS = 300.0  # as upstream's ImageGCPeriod


def meminfo(text: str) -> Amount:
    """Of /proc/meminfo."""
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if len(line.split()) > 1}
    return Amount(fields.get("MemAvailable", 0), fields.get("MemTotal", 0))


def amounts(root_dir: str, image_root: str) -> dict[str, Amount]:
    """What there is now, by eviction signal."""
    result = {"memory.available": meminfo(Path("/proc/meminfo").read_text())}
    for name, path in (("nodefs", root_dir), ("imagefs", image_root)):
        try:
            disk = os.statvfs(path)
        except OSError as error:
            logger.debug("%s: %s", path, error)
            continue
        result[f"{name}.available"] = Amount(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        result[f"{name}.inodesFree"] = Amount(disk.f_favail, disk.f_files)
    maximum = int(Path("/proc/sys/kernel/pid_max").read_text())
    used = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    result["pid.available"] = Amount(maximum - used, maximum)
    return result


@dataclass(frozen=True, slots=True)
class _Used:
    """What a pod has of something, and each of its containers."""

    whole: int = 0
    by_container: Mapping[str, int] = field(default_factory=dict)


class ResourceKeeper:
    """`pressure` holds the node's conditions that are true now; `changed` is called whenever they are others, `tell` with the Node's events."""

    def __init__(
        self,
        options: KubeletOptions,
        runtime: Runtime,
        volumes: Volumes,
        workers: Callable[[], Mapping[str, PodWorker]],
        changed: Callable[[], None],
        tell: Callable[[Event], None],
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self._options, self._runtime, self._images, self._volumes = options, runtime, runtime, volumes
        self._tell = tell
        self._workers, self._changed, self._clock, self._now = workers, changed, clock, now
        self._watched = Watched()
        self.pressure: tuple[str, ...] = ()  # MemoryPressure, DiskPressure, PIDPressure
        self._seen: dict[str, ImageRecord] = {}

    async def run(self) -> None:
        """Until cancelled."""
        since_images = IMAGE_SECONDS
        while True:
            try:
                await self._check()
                if since_images >= IMAGE_SECONDS or "DiskPressure" in self.pressure:
                    since_images = 0.0
                    await self._free_images(self._options.image_gc)
            except (RuntimeFailure, OSError) as error:
                logger.warning("looking after memory and disk: %s", error)
            await self._clock.sleep(CHECK_SECONDS)
            since_images += CHECK_SECONDS

    async def _check(self) -> None:
        evictions, now = self._options.evictions, self._clock.monotonic()
        present = amounts(self._options.root_dir, await self._images.image_root())
        self._watched = self._watched.seen(evictions.thresholds, present, now)
        fresh = self._watched.pressure(now, evictions.transition)
        if fresh != self.pressure:
            self.pressure = fresh
            self._changed()
        if not await self._evict_over_limit() and self._watched.met:
            await self._reclaim(self._watched.met)

    async def _reclaim(self, lacking: Sequence[Threshold]) -> None:
        """Memory first; a pod goes for a disk only if that is still short when images that nobody uses have gone."""
        threshold = min(lacking, key=lambda one: not one.signal.startswith("memory"))
        self._tell(warning("EvictionThresholdMet", f"Attempting to reclaim {eviction.RESOURCES[threshold.signal]}"))
        on_disk = CONDITIONS[threshold.signal] == "DiskPressure"
        if on_disk:
            await self._free_images(replace(self._options.image_gc, high_percent=0, low_percent=0))
        present = amounts(self._options.root_dir, await self._images.image_root())
        if on_disk and not met(self._options.evictions.thresholds, present, reclaimed=True):
            return
        await self._evict_one(threshold, present[threshold.signal])

    async def _evict_one(self, threshold: Threshold, amount: Amount) -> None:
        """One at a time: what it gives back is seen at the next look."""
        resource = eviction.RESOURCES[threshold.signal]
        running = [w for w in self._workers().values() if w.machine.sandbox is not None and not w.machine.finished]
        used = {w.machine.pod.metadata.uid: await self._used(w, resource) for w in running}
        by_uid = {w.machine.pod.metadata.uid: w for w in running}
        candidates = [Candidate(w.machine.pod, used[uid].whole) for uid, w in by_uid.items()]
        for victim in eviction.rank(candidates, resource)[:1]:
            uid, meta = victim.pod.metadata.uid, victim.pod.metadata
            text = eviction.shortage_message(threshold, amount, victim.pod, used[uid].by_container)
            grace = eviction.eviction_grace(threshold, victim.pod, self._options.evictions.most_grace)
            logger.warning("evicting pod %s/%s: %s", meta.namespace, meta.name, text)
            by_uid[uid].handle(stimuli.Evicted(eviction.EVICTED, text, grace))

    async def _used(self, worker: PodWorker, resource: str) -> _Used:
        """Nothing where that is not measured (inodes, processes)."""
        pod = worker.machine.pod
        if resource == "memory":
            current = {name: slot.current for name, slot in worker.machine.slots.items() if slot.current is not None}
            own = {name: usage(container_cgroup(pod, run.id)).working_set for name, run in current.items()}
            return _Used(usage(cgroup_parent(pod)).working_set, own)
        if resource == eviction.EPHEMERAL_STORAGE:
            own = await self._written(worker)
            empty = [v for v in pod.spec.volumes if v.empty_dir is not None and v.empty_dir.medium != "Memory"]
            volumes = [await asyncio.to_thread(self._volumes.used_bytes, pod, v) for v in empty]
            return _Used(sum(own.values()) + sum(volumes), own)
        return _Used()

    async def _evict_over_limit(self) -> bool:
        """Whether a pod went that keeps more on disk than it may; what that gives back is seen at the next look."""
        gone = False
        for worker in list(self._workers().values()):
            owner = worker.machine.pod
            whole = eviction.limits_storage(owner)
            limited = [
                v
                for v in owner.spec.volumes
                if v.empty_dir is not None and (whole or v.empty_dir.size_limit is not None)
            ]
            if not (limited or whole) or not worker.machine.volumes_ready or worker.machine.finished:
                continue
            used = {v.name: await asyncio.to_thread(self._volumes.used_bytes, owner, v) for v in limited}
            message = eviction.over_limit(owner, used, await self._written(worker) if whole else {})
            if message:
                worker.handle(stimuli.Evicted(eviction.EVICTED, message))
                gone = True
        return gone

    async def _written(self, worker: PodWorker) -> dict[str, int]:
        current = {name: slot.current for name, slot in worker.machine.slots.items() if slot.current is not None}
        return {name: await self._runtime.disk_bytes(run.id) for name, run in current.items()}

    async def _free_images(self, policy: CollectionPolicy) -> None:
        now = self._now()
        in_use = set(await self._images.image_ids_in_use())
        in_use |= {image.id for worker in self._workers().values() for image in worker.volume_images.values()}
        records = {}
        for image in await self._images.images():
            record = self._seen.get(image.id) or ImageRecord(image, now, datetime.min.replace(tzinfo=now.tzinfo))
            last = now if image.id in in_use else record.last_used
            records[image.id] = ImageRecord(image, record.first_seen, last)
        self._seen = records
        disk = os.statvfs(await self._images.image_root())
        missing = to_free(policy, disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize)
        old = too_old(list(records.values()), in_use, policy, now)
        goes = to_remove(list(records.values()), in_use, missing, policy, now) if missing > 0 else []
        for image in {image.id: image for image in (*old, *goes)}.values():
            logger.info("removing image %s to free %d bytes", image.names[0] if image.names else image.id, image.size)
            try:
                await self._images.remove_image(image.id)
            except RuntimeFailure as error:
                logger.warning("image %s stays: %s", image.names[0] if image.names else image.id, error)
