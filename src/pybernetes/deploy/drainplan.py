"""Which pods leave a node that is drained, and what forbids it; pure (upstream: kubectl/pkg/drain/filters.go)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pybernetes.api.owners import controller_of
from pybernetes.api.pods import is_finished
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import MIRROR_POD_ANNOTATION

# In kubectl's words; those with a flag are an error without it, and a warning with it.
DAEMON_SET = "DaemonSet-managed Pods"
LOCAL_STORAGE = "Pods with local storage"
UNMANAGED = "Pods that declare no controller"
FLAGS = {
    DAEMON_SET: "--ignore-daemonsets to ignore",
    LOCAL_STORAGE: "--delete-emptydir-data to override",
    UNMANAGED: "--force to override",
}


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user has said may happen."""

    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`evict` in order; `problems` forbid it all, `warnings` are only told."""

    evict: tuple[core.Pod, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(pods: Sequence[core.Pod], daemon_sets: Collection[tuple[str, str]], consent: Consent) -> Plan:
    """`daemon_sets`: (namespace, name) of those there are; a pod of one that is gone is a pod like others, to be forced."""
    evict: list[core.Pod] = []
    refused: dict[str, list[str]] = {}
    allowed: dict[str, list[str]] = {}
    for pod in sorted(pods, key=lambda pod: (pod.metadata.namespace, pod.metadata.name)):
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        if MIRROR_POD_ANNOTATION in pod.metadata.annotations:
            continue  # the kubelet's own: whoever deletes it sees it come again
        if _of_daemon_set(pod) and not is_finished(pod):
            owner = controller_of(pod)
            if owner is not None and (pod.metadata.namespace, owner.name) in daemon_sets:
                (allowed if consent.ignore_daemonsets else refused).setdefault(DAEMON_SET, []).append(name)
                continue
            reasons = [(UNMANAGED, consent.force)]
        else:
            reasons = [(reason, given) for reason, holds, given in _objections(consent) if holds(pod)]
        for reason, given in reasons:
            (allowed if given else refused).setdefault(reason, []).append(name)
        if all(given for _, given in reasons):
            evict.append(pod)
    problems = tuple(
        f"cannot delete {reason} (use {FLAGS[reason]}): {', '.join(names)}" for reason, names in refused.items()
    )
    warnings = tuple(
        f"{'ignoring' if reason is DAEMON_SET else 'deleting'} {reason}: {', '.join(names)}"
        for reason, names in allowed.items()
    )
    return Plan(tuple(evict), problems, warnings)


def _objections(consent: Consent) -> Sequence[tuple[str, Callable[[core.Pod], bool], bool]]:
    return (
        (LOCAL_STORAGE, lambda pod: not is_finished(pod) and has_local_storage(pod), consent.delete_emptydir_data),
        (UNMANAGED, lambda pod: not is_finished(pod) and controller_of(pod) is None, consent.force),
    )


def has_local_storage(pod: core.Pod) -> bool:
    """Whether something is lost with the pod."""
    return any(volume.empty_dir is not None for volume in pod.spec.volumes)


def _of_daemon_set(pod: core.Pod) -> bool:
    owner = controller_of(pod)
    return owner is not None and owner.kind == "DaemonSet"
