"""Which addresses and ports Services get, and where the API server is found by pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import ranges
from .ranges import Network, Span

# Those of kubeadm and of `up`; upstream's API server alone takes 10.0.0.0/24.
DEFAULT_NETWORKS = "10.96.0.0/12"
DEFAULT_PORTS = "30000-32767"


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """`networks`: one, or one of each family; the first one's family is the default. `advertise` "": the host's outward address."""

    networks: Sequence[Network] = field(default_factory=lambda: ranges.parse_networks(DEFAULT_NETWORKS))
    ports: Span = field(default_factory=lambda: ranges.parse_ports(DEFAULT_PORTS))
    advertise: str = ""
