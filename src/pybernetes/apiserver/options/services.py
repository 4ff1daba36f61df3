"""The API server's flags of Services: upstream's names."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.apiserver.services.options import ServiceOptions

FLAGS = (
    Flag(
        "advertise-address",
        flags.string,
        "",
        "Where pods reach the API server; empty: --bind-address, or this host's outward address.",
    ),
    Flag(
        "service-cluster-ip-range",
        flags.string,
        "10.0.0.0/24",
        "Addresses of Services: a network, or one of IPv4 and one of IPv6 with a comma between.",
    ),
    Flag("service-node-port-range", flags.string, "30000-32767", "Ports of nodes that Services get."),
)


def options(values: Values) -> ServiceOptions:
    """UsageError for what is no range."""
    from pybernetes.apiserver.services import ranges
    from pybernetes.apiserver.services.options import ServiceOptions

    def parsed(name: str, parse: Any) -> Any:
        try:
            return parse(values[name])
        except ValueError as error:
            raise UsageError(f"--{name}={values[name]}: {error}") from error

    if values["advertise-address"]:
        parsed("advertise-address", ipaddress.ip_address)
    return ServiceOptions(
        networks=parsed("service-cluster-ip-range", ranges.parse_networks),
        ports=parsed("service-node-port-range", ranges.parse_ports),
        advertise=values["advertise-address"] or _bound(values["bind-address"]),
    )


def _bound(address: str) -> str:
    """The address listened on, if others can reach it."""
    return "" if address in ("", "0.0.0.0", "::", "::1") or address.startswith("127.") else str(address)
