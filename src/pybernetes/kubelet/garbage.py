"""Takes away what nobody needs any more (upstream: kuberuntime_gc.go, kubelet_pods.go HandlePodCleanups)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .machinery import Machinery
from .runtime.types import Container, Sandbox
from .worker import PodWorker

OLDER_RUNS = 2  # dead containers that stay beside the newest run, for kubectl logs --previous


async def collect(
    machinery: Machinery,
    workers: Mapping[str, PodWorker],
    sandboxes: Sequence[Sandbox],
    containers: Sequence[Container],
) -> None:
    """Dead containers beyond the last runs of each, and all of pods that the API no longer has. RuntimeFailure, OSError."""
    runtime = machinery.runtime
    for container in superfluous(containers, workers):
        if container.pod_uid not in workers:
            await runtime.stop_container(container.id, 0)
        await runtime.remove_container(container.id)
    newest: dict[str, int] = {}
    for sandbox in sandboxes:
        newest[sandbox.uid] = max(sandbox.attempt, newest.get(sandbox.uid, 0))
    for sandbox in sandboxes:
        if sandbox.uid not in workers:
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)
        elif not sandbox.ready and sandbox.attempt < newest[sandbox.uid]:
            await runtime.remove_sandbox(sandbox.id)
    # Some may have been made since the list was.
    present = {s.id for s in sandboxes} | {
        w.machine.sandbox.id for w in workers.values() if w.machine.sandbox is not None
    }
    busy = {uid for uid, worker in workers.items() if worker.machine.creates_sandbox}
    await machinery.network.keep_only(present, busy)
    for uid in machinery.volumes.known():
        if uid not in workers:
            await machinery.volumes.remove(uid)
    machinery.cgroups.keep_only(workers)


def superfluous(containers: Sequence[Container], workers: Mapping[str, object]) -> list[Container]:
    """Those of pods that are no more, and ended ones that enough newer runs have followed. Pure."""
    attempts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for container in containers:
        attempts[container.pod_uid, container.name].append(container.attempt)

    def is_old(container: Container) -> bool:
        runs = attempts[container.pod_uid, container.name]
        if container.state != "exited" or len(runs) <= OLDER_RUNS:
            return False
        return sum(attempt > container.attempt for attempt in runs) >= OLDER_RUNS

    return [c for c in containers if c.pod_uid not in workers or is_old(c)]
