"""Pods in tables (upstream: pkg/printers/internalversion, printPod)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api.pods import FINISHED

from ...resource import Column
from ..printing import AGE, NAME, age, object_age

Object = Mapping[str, Any]

COLUMNS = (
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        description="The number of times the containers in this pod have been restarted "
        "and when the last container in this pod has restarted.",
    ),
    AGE,
    Column("IP", priority=1),
    Column("Node", priority=1),
    Column("Nominated Node", priority=1),
    Column("Readiness Gates", priority=1),
)
_DONE = {
    "Succeeded": {
        "type": "Completed",
        "status": "True",
        "reason": "Succeeded",
        "message": "The pod has completed successfully.",
    },
    "Failed": {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."},
}


def row_conditions(pod: Object) -> list[dict[str, str]]:
    """A pod that is done is marked, so that clients may hide it."""
    done = _DONE.get((pod.get("status") or {}).get("phase", ""))
    return [dict(done)] if done else []


def row(pod: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    meta, spec, status = pod.get("metadata") or {}, pod.get("spec") or {}, pod.get("status") or {}
    reason, ready, restarts, last = _summary(pod)
    sidecars = sum(1 for c in spec.get("initContainers") or () if _restarts_always(c))
    total = len(spec.get("containers") or ()) + sidecars
    count = f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts)
    addresses = status.get("podIPs") or [{}]
    return [
        meta.get("name", ""),
        f"{ready}/{total}",
        reason,
        count,
        object_age(pod, now),
        addresses[0].get("ip") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _gates(spec.get("readinessGates") or (), status.get("conditions") or ()),
    ]


def _gates(gates: Sequence[Object], conditions: Sequence[Object]) -> str:
    if not gates:
        return "<none>"
    true = {c.get("type") for c in conditions if c.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate.get('conditionType') in true)}/{len(gates)}"


def _restarts_always(container: Object | None) -> bool:
    return container is not None and container.get("restartPolicy") == "Always"


def _has(conditions: Sequence[Object], name: str) -> bool:
    return any(c.get("type") == name and c.get("status") == "True" for c in conditions)


def _later(one: str, container: Object) -> str:
    """The later of a time and the end of the container's last run, both as RFC 3339 in UTC."""
    ended = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
    return max(one, ended)


def _exit(terminated: Object) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _summary(pod: Object) -> tuple[str, int, int, str]:
    """Status word, ready containers, restarts, time of the last one."""
    meta, status = pod.get("metadata") or {}, pod.get("status") or {}
    conditions = status.get("conditions") or ()
    reason = status.get("reason") or status.get("phase") or ""
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        reason = "SchedulingGated"
    waiting, ready, restarts, sidecar_restarts, last, sidecar_last = _init_summary(pod)
    if waiting:
        reason = waiting
    if not waiting or _has(conditions, "Initialized"):
        restarts, last = sidecar_restarts, sidecar_last
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            restarts += container.get("restartCount") or 0
            last = _later(last, container)
            state = container.get("state") or {}
            held, ended = state.get("waiting"), state.get("terminated")
            if held is not None and held.get("reason"):
                reason = held["reason"]
            elif ended is not None:
                reason = _exit(ended)
            elif container.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if _has(conditions, "Ready") else "NotReady"
    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in FINISHED:
            reason = "Terminating"
    return reason, ready, restarts, last


def _init_summary(pod: Object) -> tuple[str, int, int, int, str, str]:
    """Init:... ("" when they are done), ready sidecars, restarts of all and of sidecars, and their last times."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    containers = {c.get("name"): c for c in spec.get("initContainers") or ()}
    ready = restarts = sidecar_restarts = 0
    last = sidecar_last = ""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        restarts += container.get("restartCount") or 0
        last = _later(last, container)
        sidecar = _restarts_always(containers.get(container.get("name")))
        if sidecar:
            sidecar_restarts += container.get("restartCount") or 0
            sidecar_last = _later(sidecar_last, container)
        state = container.get("state") or {}
        ended, held = state.get("terminated"), state.get("waiting")
        if ended is not None and not ended.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += 1 if container.get("ready") else 0
            continue
        if ended is not None:
            word = f"Init:{_exit(ended)}"
        elif held is not None and held.get("reason") not in (None, "", "PodInitializing"):
            word = f"Init:{held['reason']}"
        else:
            word = f"Init:{index}/{len(containers)}"
        return word, ready, restarts, sidecar_restarts, last, sidecar_last
    return "", ready, restarts, sidecar_restarts, last, sidecar_last
