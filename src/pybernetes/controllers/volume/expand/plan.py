"""Whether a claim asks for more than its volume has; pure (upstream: pkg/controller/volume/expand)."""

from __future__ import annotations

from pybernetes.api.types import core_v1 as core

from ..persistentvolume.plan import ZERO, requested


def grows(claim: core.PersistentVolumeClaim) -> bool:
    """Whether a bound claim asks for more than it has."""
    return claim.status.phase == "Bound" and requested(claim) > claim.status.capacity.get("storage", ZERO)
