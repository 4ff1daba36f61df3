"""Texts of the kubelet's events and states (upstream: pkg/kubelet/events/event.go and where they are recorded)."""

from __future__ import annotations

from dataclasses import dataclass

from pybernetes.api.durations import format_duration
from pybernetes.api.types import core_v1 as core

ERR_IMAGE_PULL = "ErrImagePull"
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
RUN_CONTAINER_ERROR = "RunContainerError"
POST_START_HOOK_ERROR = "PostStartHookError"
# Waiting reasons of a container that was created: it is there to be observed, as one that has ended.
START_ERRORS = (RUN_CONTAINER_ERROR, POST_START_HOOK_ERROR)
# The event of a waiting reason, where it is not "Failed".
IMAGE_EVENTS = {
    ERR_IMAGE_NEVER_PULL: ERR_IMAGE_NEVER_PULL,
    "InvalidImageName": "InspectFailed",
    "ImageInspectError": "InspectFailed",
}


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


def pulled_text(image: str, seconds: float, size: int) -> str:
    """Pulls wait for no others here, so that both times are one."""
    took = format_duration(int(seconds * 1000) / 1000)
    return f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: {size} bytes.'


def back_off_text(delay: float, container: str, pod: core.Pod) -> str:
    return f"back-off {format_duration(delay)} restarting failed container={container} pod={pod_text(pod)}"
