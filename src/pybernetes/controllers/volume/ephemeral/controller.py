"""Makes the claims of pods' generic ephemeral volumes (upstream: pkg/controller/volume/ephemeral)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controlled_by
from pybernetes.api.types import core_v1 as core

from ...common import Key
from ...framework import Again, Context, Controller
from ...indexers import BY_CLAIM, claims_of
from .plan import ephemeral_claims


class EphemeralVolumeController(Controller):
    """One queue of pods with ephemeral volumes."""

    name = "ephemeral-volume-controller"
    component = "ephemeral_volume"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_ephemeralvolume_syncs)
        self._pods = self.informer(core.Pod)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._pods.add_index(BY_CLAIM, claims_of)
        self._pods.add_handler(self._on_pod)
        self._claims.add_handler(self._on_claim)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if old is None and new is not None:
            self._look_at(new)

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        if new is None and old is not None:
            for pod in self._pods.by_index(BY_CLAIM, f"{old.metadata.namespace}/{old.metadata.name}"):
                self._look_at(pod)

    def _look_at(self, pod: core.Pod) -> None:
        if pod.metadata.deletion_timestamp is None and any(v.ephemeral is not None for v in pod.spec.volumes):
            self.enqueue(pod)

    async def sync(self, key: Key) -> None:
        """Makes what is missing; a claim of the name that is not the pod's is told."""
        pod = self._pods.get(key[1], key[0])
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return
        for volume, claim in ephemeral_claims(pod):
            try:
                await self._ensure(pod, claim)
            except (StatusError, Again) as error:
                self.recorder.warning(pod, "FailedBinding", f"ephemeral volume {volume}: {error}")
                raise

    async def _ensure(self, pod: core.Pod, claim: core.PersistentVolumeClaim) -> None:
        namespace, name = claim.metadata.namespace, claim.metadata.name
        existing = self._claims.get(name, namespace)
        if existing is None:
            await self.client.create(claim)
        elif not controlled_by(existing, pod):
            where = f"{namespace}/{pod.metadata.name}"
            raise Again(f"PVC {namespace}/{name} was not created for pod {where} (pod is not owner)")
