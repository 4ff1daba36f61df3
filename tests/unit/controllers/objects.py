"""Objects for tests of controllers, as short as they can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pybernetes.api.types import apps_v1, core_v1, meta_v1

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LABELS = {"app": "web"}


def ago(seconds: float) -> datetime:
    """So long before NOW."""
    return NOW - timedelta(seconds=seconds)


def meta(name: str, **fields: Any) -> meta_v1.ObjectMeta:
    """Of namespace ns, the uid is the name."""
    values: dict[str, Any] = {"namespace": "ns", "uid": name, "creation_timestamp": ago(1000), **fields}
    return meta_v1.ObjectMeta(name=name, **values)


def template(image: str = "i", **spec: Any) -> core_v1.PodTemplateSpec:
    """One container."""
    containers = [core_v1.Container(name="c", image=image)]
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=dict(LABELS)), spec=core_v1.PodSpec(containers=containers, **spec)
    )


def pod(
    name: str,
    phase: str = "Running",
    ready: float | None = None,
    node: str = "",
    ip: str = "",
    deleted: bool = False,
    **fields: Any,
) -> core_v1.Pod:
    """`ready`: for so many seconds; None: not ready. Other fields are those of metadata."""
    fields.setdefault("labels", dict(LABELS))
    if deleted:
        fields["deletion_timestamp"] = NOW
    result = core_v1.Pod(metadata=meta(name, **fields), spec=core_v1.PodSpec(node_name=node))
    result.status.phase = phase
    if ip:
        result.status.pod_ip, result.status.pod_ips = ip, [core_v1.PodIP(ip=ip)]
    status = "False" if ready is None else "True"
    moment = NOW if ready is None else ago(ready)
    result.status.conditions = [core_v1.PodCondition(type="Ready", status=status, last_transition_time=moment)]
    return result


def owned(by: Any) -> list[meta_v1.OwnerReference]:
    """Owner references with this controller."""
    reference = meta_v1.OwnerReference(
        api_version=by.api_version, kind=by.kind, name=by.metadata.name, uid=by.metadata.uid, controller=True
    )
    return [reference]


def selector() -> meta_v1.LabelSelector:
    """app=web."""
    return meta_v1.LabelSelector(match_labels=dict(LABELS))


def replica_set(name: str, replicas: int, image: str = "i", **status: int) -> apps_v1.ReplicaSet:
    """With its status; all pods are ready and available unless it says otherwise."""
    values = {"replicas": replicas, "ready_replicas": replicas, "available_replicas": replicas, **status}
    return apps_v1.ReplicaSet(
        metadata=meta(name, labels=dict(LABELS)),
        spec=apps_v1.ReplicaSetSpec(replicas=replicas, selector=selector(), template=template(image)),
        status=apps_v1.ReplicaSetStatus(**values),
    )
