"""Pods that have a node but may not be bound yet (upstream: framework/runtime/waiting_pods_map.go). No I/O; times are the caller's.

A plug-in that answers `Wait` in `permit` holds a pod back until it, or the pod's other waiting plug-ins, `allow` it; any of them may
`reject` it. Gang scheduling is made of this: the first pods of a gang wait, the last one allows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..model.pods import PodInfo
from .interface import Plugin, Rejection, Wait

MAX_WAIT = 15 * 60.0  # seconds, upstream's maxTimeout: longer waits are cut


@dataclass(slots=True)
class WaitingPod:
    """A pod that plug-ins hold back. `deadlines`: until when (monotonic seconds), by the plug-in's name."""

    info: PodInfo
    node: str
    began: float
    deadlines: dict[str, float]
    rejection: Rejection | None = None

    @property
    def decided(self) -> bool:
        """Whether it may be bound or has been rejected."""
        return not self.deadlines or self.rejection is not None


class WaitingPods:
    """What `permit` holds back; `changed` is called whenever a pod may have been decided."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._pods: dict[str, WaitingPod] = {}
        self.changed = changed

    def __iter__(self) -> Iterator[WaitingPod]:
        return iter(list(self._pods.values()))

    def get(self, uid: str) -> WaitingPod | None:
        """The pod, if it waits."""
        return self._pods.get(uid)

    def ask(self, plugins: Sequence[Plugin], info: PodInfo, node: str, now: float) -> Rejection | WaitingPod | None:
        """Asks the plug-ins in their order: None: bind it; the first rejection ends it (RunPermitPlugins)."""
        deadlines: dict[str, float] = {}
        for plugin in plugins:
            answer = plugin.permit(info, node)
            if isinstance(answer, Wait):
                deadlines[plugin.name] = now + min(answer.seconds, MAX_WAIT)
            elif answer is not None:
                return Rejection(plugin.name, answer)
        if not deadlines:
            return None
        waiting = self._pods[info.uid] = WaitingPod(info, node, now, deadlines)
        return waiting

    def allow(self, uid: str, plugin: str) -> None:
        """The plug-in has nothing more against the pod."""
        waiting = self._pods.get(uid)
        if waiting is not None and waiting.deadlines.pop(plugin, None) is not None:
            self.changed()

    def reject(self, uid: str, plugin: str, why: str) -> None:
        """The pod gives its node back and waits for an event that may help."""
        waiting = self._pods.get(uid)
        if waiting is not None and not waiting.decided:
            text = f'pod "{waiting.info.pod.metadata.name}" rejected while waiting on permit: {why}'
            waiting.rejection = Rejection(plugin, text)
            self.changed()

    def expire(self, now: float) -> None:
        """Rejects those whose time is over."""
        for uid, waiting in list(self._pods.items()):
            for plugin, deadline in waiting.deadlines.items():
                if deadline <= now and not waiting.decided:
                    waited = f"{round(deadline - waiting.began, 3):g}s"
                    self.reject(uid, plugin, f"rejected due to timeout after waiting {waited} at plugin {plugin}")

    def next_deadline(self) -> float | None:
        """When the next wait is over."""
        return min((end for waiting in self._pods.values() for end in waiting.deadlines.values()), default=None)

    def remove(self, uid: str) -> None:
        """The pod is bound or gone; nothing where it did not wait."""
        self._pods.pop(uid, None)
