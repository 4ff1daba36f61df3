"""Containers that a pod which is over has no end of (upstream: pkg/kubelet/status/status_manager.go TerminatePod). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pybernetes.api.pods import is_sidecar
from pybernetes.api.types import core_v1 as core

REASON = "ContainerStatusUnknown"
MESSAGE = "The container could not be located when the pod was terminated"
EXIT_CODE = 137
Statuses = Mapping[str, core.ContainerStatus]


def ended(pod: core.Pod, statuses: Statuses) -> dict[str, core.ContainerStatus]:
    """The statuses of a pod whose phase is a last one: a container that was to run, and of which nothing is known, counts as failed.

    Of a pod whose containers run still nothing is changed. Who looks at exit codes alone would take such a pod for one that never began.
    """
    if any(status.state.running is not None for status in statuses.values()):
        return dict(statuses)
    missing = [init.name for init in _begun(pod.spec.init_containers, statuses)]
    if _initialized(pod, statuses):
        missing += [container.name for container in pod.spec.containers]
    state = core.ContainerState(
        terminated=core.ContainerStateTerminated(exit_code=EXIT_CODE, reason=REASON, message=MESSAGE)
    )
    return {
        name: msgspec.structs.replace(status, state=state)
        if name in missing and status.state.terminated is None
        else status
        for name, status in statuses.items()
    }


def _initialized(pod: core.Pod, statuses: Statuses) -> bool:
    """Whether its main containers were to run (hasPodInitialized)."""
    if not pod.spec.init_containers:
        return True
    for container in pod.spec.containers:
        status = statuses[container.name]
        if status.last_state.terminated is not None or status.state.terminated is not None:
            return True
    last = pod.spec.init_containers[-1]
    status = statuses[last.name]
    if is_sidecar(last):
        return bool(status.started)
    end = status.state.terminated or status.last_state.terminated
    return end is not None and end.exit_code == 0


def _begun(inits: Sequence[core.Container], statuses: Statuses) -> Sequence[core.Container]:
    """Init containers up to the last that has ever run; the first one in any case (initializedContainers)."""
    for index in range(len(inits) - 1, -1, -1):
        status = statuses[inits[index].name]
        if status.state.waiting is None or status.last_state.terminated is not None:
            return inits[: index + 1]
    return inits[:1]
