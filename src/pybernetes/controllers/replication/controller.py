"""Keeps the number of pods that a ReplicationController asks for (upstream: pkg/controller/replication): the same code."""

from __future__ import annotations

from typing import Any

import msgspec

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ..common import clone
from ..framework import Context
from ..replicaset.controller import SetController


class ReplicationController(SetController[core.ReplicationController]):
    """Looks at each as a ReplicaSet."""

    name = "replicationcontroller-controller"
    component = account = "replication-controller"
    queue_name = "replicationmanager"

    def __init__(self, context: Context) -> None:
        super().__init__(context, core.ReplicationController, context.options.concurrent_rc_syncs)

    def view(self, obj: core.ReplicationController) -> apps.ReplicaSet:
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

    def with_status(
        self, obj: core.ReplicationController, status: apps.ReplicaSetStatus
    ) -> core.ReplicationController | None:
        """A copy of the object with the status; None if it has it."""
        converted = _convert(status, core.ReplicationControllerStatus, core.ReplicationControllerCondition)
        if obj.status == converted:
            return None
        copy = clone(obj)
        copy.status = converted
        return copy


def _convert(status: Any, kind: type[Any], condition_kind: type[Any]) -> Any:
    fields = {field: getattr(status, field) for field in kind.__struct_fields__ if hasattr(status, field)}
    fields["conditions"] = [condition_kind(**msgspec.structs.asdict(c)) for c in status.conditions]
    return kind(**fields)
