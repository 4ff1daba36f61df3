"""Under which keys informers give several objects at once, where more than one room asks for them; pure (upstream: client-go's indexers)."""

from __future__ import annotations

from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Object

BY_CLAIM = "claim"
BY_LABEL = "label"
BY_NODE = "spec.nodeName"


def index_by_label(obj: Object) -> list[str]:
    """NAMESPACE/KEY=VALUE of each label: the way from a selector to its pods without a look at all of them."""
    namespace = obj.metadata.namespace
    return [f"{namespace}/{key}={value}" for key, value in obj.metadata.labels.items()]


def by_node(pod: core.Pod) -> list[str]:
    """The node that a pod is bound to, if it is."""
    return [pod.spec.node_name] if pod.spec.node_name else []


def claims_of(pod: core.Pod) -> list[str]:
    """NAMESPACE/NAME of each claim that a pod uses, those of its generic ephemeral volumes included."""
    names: list[str] = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            names.append(volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            names.append(f"{pod.metadata.name}-{volume.name}")
    return [f"{pod.metadata.namespace}/{name}" for name in names]
