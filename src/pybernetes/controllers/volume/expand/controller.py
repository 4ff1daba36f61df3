"""Tells who has to enlarge a volume whose claim asks for more (upstream: pkg/controller/volume/expand).

Upstream enlarges only the volumes of its own plugins here, of which none is left: outside resizers do the rest.
"""

from __future__ import annotations

from pybernetes.api.types import core_v1 as core

from ...common import Key
from ...framework import Context, Controller
from ..persistentvolume.plan import requested
from .plan import grows

MESSAGE = "waiting for an external controller to expand this PVC"


class PersistentVolumeExpander(Controller):
    """One queue of claims; it enlarges nothing, but says who has to."""

    name = "persistentvolume-expander-controller"
    component = "volume_expand"
    account = "expand-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._volumes = self.informer(core.PersistentVolume)
        self._claims.add_handler(self._on_claim)

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        if new is not None and grows(new) and (old is None or requested(new) > requested(old)):
            self.enqueue(new)

    async def sync(self, key: Key) -> None:
        """Tells once for each growth of a claim who has to enlarge its volume: nobody here does."""
        claim = self._claims.get(key[1], key[0])
        volume = self._volumes.get(claim.spec.volume_name) if claim is not None else None
        if claim is None or volume is None or not grows(claim):
            return
        csi = volume.spec.csi is not None  # for others there may be nobody
        self.recorder.event(claim, "Normal" if csi else "Warning", "ExternalExpanding", MESSAGE)
