"""What one node works with."""

from __future__ import annotations

from dataclasses import dataclass

from .interfaces import Cgroups, Images, PodNetwork, Prober, Runtime, Volumes


@dataclass(frozen=True, slots=True)
class Machinery:
    """The parts behind `interfaces.py` that `process.py` or `hollownodes.py` chose; a hollow node's cost nothing."""

    runtime: Runtime
    network: PodNetwork
    volumes: Volumes
    prober: Prober
    cgroups: Cgroups
    runtime_name: str
    images: Images | None = None  # else the runtime's, with the pods' credentials
    on_host: bool = True  # False: memory, disk, files of this machine are not the node's, as with hollow ones
