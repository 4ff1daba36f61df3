"""host-gw: a route to each host's subnet, by that host (upstream: pkg/backend/hostgw, route_network.go)."""

from __future__ import annotations

from pybernetes.net.routes import FAMILIES, Router

from .. import plan
from ..interface import External
from ..lease import NO_DATA, Lease, Network
from ..plan import Entry
from . import BackendError, InKernel


class HostGateway(InKernel):
    """See `Backend`. Hosts must share a link: nothing but the destination tells a router between them where to send."""

    type = lease_type = "host-gw"

    def __init__(self, interface: External) -> None:
        if interface.public_ip != interface.address:
            raise BackendError(
                "your PublicIP differs from interface IP, meaning that probably you're on a NAT, which is not supported by host-gw backend"
            )
        self.mtu = interface.mtu
        self._device = interface.index
        self._family = FAMILIES[interface.address.version]

    def prepare(self, router: Router, mac: str) -> str:
        return NO_DATA

    def ensure(self, router: Router, own: Network, network: Network) -> bool:
        return False

    def entries(self, lease: Lease, router: Router) -> tuple[Entry, ...]:
        return plan.by_gateway(lease, self._device)

    def present(self, router: Router) -> set[Entry]:
        return set(router.routes(self._device, self._family))

    def stale(self, router: Router) -> set[Entry]:
        """Routes by other hosts may be anybody's."""
        return set()
