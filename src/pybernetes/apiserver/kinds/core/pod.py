"""Pod of v1 (upstream: pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import pods
from pybernetes.api.times import format_time

from ...resource import Object, Resource, Stamp
from ..strategy import keep, keep_spec_and, keep_status
from . import podparts, podtable, podupdate, podwarnings, profiles
from .poddefaults import default_pod

_STATUS_KEEPS = keep_spec_and("ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds")
GATED = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "lastTransitionTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def prepare_create(pod: Object) -> None:
    """Pending, in its class of service; label keys of affinity terms become selectors."""
    spec = pod["spec"]
    pod["status"] = {"phase": "Pending", "qosClass": pods.qos_class(pods.resources_of(spec))}
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [dict(GATED)]
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if affinity := spec.get("affinity"):
        _match_label_keys(affinity, labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        if keys := constraint.get("matchLabelKeys"):
            _add_requirements(constraint, keys, "In", labels)
    profiles.apply_annotations((pod.get("metadata") or {}).get("annotations") or {}, spec)


def _match_label_keys(affinity: Object, labels: Mapping[str, str]) -> None:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [term["podAffinityTerm"] for term in preferred if term.get("podAffinityTerm")]
        for term in terms:
            _add_requirements(term, term.get("matchLabelKeys") or (), "In", labels)
            _add_requirements(term, term.get("mismatchLabelKeys") or (), "NotIn", labels)


def _add_requirements(term: Object, keys: Any, operator: str, labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return  # refused by validation
    added = [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys if key in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


def stamp(new: Object, old: Object | None, by: Stamp) -> None:
    """Since when a new pod waits for its scheduling gates."""
    if old is None:
        for condition in (new.get("status") or {}).get("conditions") or ():
            condition["lastTransitionTime"] = format_time(by.now)


def prepare_update(new: Object, old: Object) -> None:
    """The status has a path of its own; ephemeral containers too, and a change of them here is refused."""
    keep_status(new, old)


def prepare_status(new: Object, old: Object) -> None:
    """Nothing but status, labels and annotations; the class of service stays."""
    _STATUS_KEEPS(new, old)
    status = new.setdefault("status", {})
    before = old.get("status") or {}
    if not status.get("qosClass"):
        keep(status, before, "qosClass")
    _keep_generations(status, before)


def _keep_generations(status: Object, before: Object) -> None:
    """Who does not know observedGeneration does not take it away; of conditions it is kept by type, in their order."""
    if not status.get("observedGeneration"):
        keep(status, before, "observedGeneration")
    generations: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        generations.setdefault(condition.get("type") or "", []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        numbers = generations.get(condition.get("type") or "")
        number = numbers.pop(0) if numbers else 0
        if number and not condition.get("observedGeneration"):
            condition["observedGeneration"] = number


def graceful(pod: Object, asked: int | None) -> int:
    """Pods that run nowhere, or no more, go at once."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in pods.FINISHED:
        return 0
    seconds = asked if asked is not None else spec.get("terminationGracePeriodSeconds")
    return 1 if seconds is not None and seconds < 0 else seconds or 0


SELECTABLE = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
)


def selectable(pod: Object) -> Mapping[str, str]:
    """The fields by which pods are listed and watched."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return {
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.restartPolicy": spec.get("restartPolicy") or "",
        "spec.schedulerName": spec.get("schedulerName") or "",
        "spec.serviceAccountName": spec.get("serviceAccountName") or "",
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase") or "",
        "status.podIP": status.get("podIP") or "",
        "status.podIPs": "",  # which upstream lets one ask for, and finds in no pod
        "status.nominatedNodeName": status.get("nominatedNodeName") or "",
    }


RESOURCE = Resource(
    group="",
    version="v1",
    name="pods",
    kind="Pod",
    schema="io.k8s.api.core.v1.Pod",
    returns_deleted=True,
    unchecked=("binding",),
    meta_again=1,
    short_names=("po",),
    categories=("all",),
    status=True,
    parts=podparts.PARTS,
    subresources=(
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "resize",
    ),
    default=default_pod,
    stamp=stamp,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    validate=podupdate.validate_create,
    validate_update=podupdate.validate_update,
    warnings=podwarnings.on_create,
    validate_status=podupdate.validate_status,
    selectable=selectable,
    selectable_fields=SELECTABLE,
    columns=podtable.COLUMNS,
    row=podtable.row,
    row_conditions=podtable.row_conditions,
    graceful=graceful,
)
