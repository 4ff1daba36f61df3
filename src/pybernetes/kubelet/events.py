"""Texts of the kubelet's events and states (upstream: pkg/kubelet/events/event.go and where they are recorded)."""

from __future__ import annotations

from dataclasses import dataclass

from pybernetes.api.types import core_v1 as core

ERR_IMAGE_PULL = "ErrImagePull"
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"


@dataclass(frozen=True, slots=True)
class Event:
    """Something to record about a pod; `field` is the container's field path or ""."""

    type: str
    reason: str
    message: str
    field: str = ""


def normal(reason: str, message: str, field: str = "") -> Event:
    return Event("Normal", reason, message, field)


def warning(reason: str, message: str, field: str = "") -> Event:
    return Event("Warning", reason, message, field)


def pod_text(pod: core.Pod) -> str:
    """The name of a pod in messages (format.Pod)."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def back_off_text(delay: float, container: str, pod: core.Pod) -> str:
    return f"back-off {duration(delay)} restarting failed container={container} pod={pod_text(pod)}"
