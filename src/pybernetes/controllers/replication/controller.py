"""Keeps the number of pods that a ReplicationController asks for (upstream: pkg/controller/replication): the same code."""

from __future__ import annotations

from typing import Any

import msgspec

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ..common import clone
from ..framework import Context
from ..replicaset.controller import ReplicaSetController


class ReplicationController(ReplicaSetController):
    """Looks at each as a ReplicaSet."""

    name = "replicationcontroller-controller"
    component = account = "replication-controller"
    queue_name = "replicationmanager"
    kind = core.ReplicationController

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_rc_syncs)

    def view(self, obj: Any) -> apps.ReplicaSet:
        """The object as a ReplicaSet; its identity stays its own."""
        spec = obj.spec
        return apps.ReplicaSet(
            api_version=obj.api_version,
            kind=obj.kind,
            metadata=obj.metadata,
            spec=apps.ReplicaSetSpec(
                replicas=spec.replicas,
                min_ready_seconds=spec.min_ready_seconds,
                selector=meta.LabelSelector(match_labels=spec.selector),
                template=spec.template or core.PodTemplateSpec(),
            ),
            status=_convert(obj.status, apps.ReplicaSetStatus, apps.ReplicaSetCondition),
        )

    def with_status(self, obj: Any, status: apps.ReplicaSetStatus) -> Any:
        """A copy of the object with the status."""
        copy = clone(obj)
        copy.status = _convert(status, core.ReplicationControllerStatus, core.ReplicationControllerCondition)
        return copy


def _convert(status: Any, kind: type[Any], condition_kind: type[Any]) -> Any:
    fields = {field: getattr(status, field) for field in kind.__struct_fields__ if hasattr(status, field)}
    fields["conditions"] = [condition_kind(**msgspec.structs.asdict(c)) for c in status.conditions]
    return kind(**fields)
