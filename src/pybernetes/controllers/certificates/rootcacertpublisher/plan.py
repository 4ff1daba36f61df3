"""What the config map kube-root-ca.crt should hold; pure (upstream: pkg/controller/certificates/rootcacertpublisher)."""

from __future__ import annotations

from collections.abc import Mapping

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ...common import clone

NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
DESCRIBED = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def plan(present: core.ConfigMap | None, namespace: str, data: Mapping[str, str]) -> core.ConfigMap | None:
    """The config map to create (without a known one) or to update to; None if it is as it should be."""
    if present is None:
        metadata = meta.ObjectMeta(name=NAME, namespace=namespace, annotations={DESCRIPTION: DESCRIBED})
        return core.ConfigMap(metadata=metadata, data=dict(data))
    if present.data == data and present.metadata.annotations.get(DESCRIPTION):
        return None
    result = clone(present)
    result.data = dict(data)
    result.metadata.annotations[DESCRIPTION] = DESCRIBED
    return result
