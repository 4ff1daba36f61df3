"""DefaultBinder: puts a pod onto its node by POST pods/NAME/binding (upstream: plugins/defaultbinder)."""

from __future__ import annotations

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ..framework.interface import Plugin


class DefaultBinder(Plugin):
    """`app` sends what `binding` makes."""

    name = "DefaultBinder"


def binding(pod: core.Pod, node: str) -> core.Binding:
    """The uid keeps a pod of the same name that was made meanwhile from being bound."""
    own = pod.metadata
    return core.Binding(
        metadata=meta.ObjectMeta(name=own.name, namespace=own.namespace, uid=own.uid),
        target=core.ObjectReference(kind="Node", name=node),
    )
