"""Which claims a pod's generic ephemeral volumes ask for; pure (upstream: pkg/controller/volume/ephemeral)."""

from __future__ import annotations

from collections.abc import Iterator

from pybernetes.api.owners import controller_ref
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ...common import clone


def ephemeral_claims(pod: core.Pod) -> Iterator[tuple[str, core.PersistentVolumeClaim]]:
    """(volume, its claim) of each ephemeral volume; the pod owns it, so that it goes with the pod."""
    for volume in pod.spec.volumes:
        if volume.ephemeral is None or volume.ephemeral.volume_claim_template is None:
            continue
        template = clone(volume.ephemeral.volume_claim_template)
        yield (
            volume.name,
            core.PersistentVolumeClaim(
                metadata=meta.ObjectMeta(
                    name=f"{pod.metadata.name}-{volume.name}",
                    namespace=pod.metadata.namespace,
                    labels=template.metadata.labels,
                    annotations=template.metadata.annotations,
                    owner_references=[controller_ref(pod)],
                ),
                spec=template.spec,
            ),
        )
