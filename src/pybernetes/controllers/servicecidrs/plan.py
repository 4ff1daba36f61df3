"""Whether a range of service addresses may go, and its condition; pure (upstream: pkg/controller/servicecidrs)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime

from pybernetes.api.conditions import condition
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import networking_v1 as networking

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks_of(cidr: networking.ServiceCIDR) -> list[Network]:
    return [ipaddress.ip_network(text) for text in cidr.spec.cidrs]


def is_serving(cidr: networking.ServiceCIDR) -> bool:
    """Whether addresses may be taken from it."""
    ready = condition(cidr.status.conditions, "Ready")
    return cidr.metadata.deletion_timestamp is None and (ready is None or ready.status == "True")


def contains(network: Network, inner: Network) -> bool:
    return network.version == inner.version and inner.subnet_of(network)  # type: ignore[arg-type]  # of one version


def may_go(
    cidr: networking.ServiceCIDR, others: Iterable[networking.ServiceCIDR], addresses: Iterable[Address]
) -> bool:
    """Whether each of its addresses lies in another range as well."""
    rest = [network for other in others if is_serving(other) for network in networks_of(other)]
    own = [network for network in networks_of(cidr) if not any(contains(other, network) for other in rest)]
    if not own:
        return True
    return not any(
        any(address in network for network in own) and not any(address in network for network in rest)
        for address in addresses
    )


def ready_condition(
    conditions: Sequence[meta.Condition], status: str, reason: str, message: str, now: datetime
) -> meta.Condition | None:
    """Ready as it should be; None if it is. Its time moves only with the status."""
    present = condition(conditions, "Ready")
    if present is not None and (present.status, present.reason, present.message) == (status, reason, message):
        return None
    stays = present is not None and present.status == status
    since = present.last_transition_time if present is not None and stays else now.replace(microsecond=0)
    return meta.Condition(type="Ready", status=status, reason=reason, message=message, last_transition_time=since)
