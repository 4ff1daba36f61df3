"""Service ports by chance, from a small world in which the same addresses, ports and endpoints come up again and again."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from pybernetes.proxy.model import Endpoint, ServicePort

from ..objects import port


def random_port(chance: random.Random, number: int, name: str = "", family: str = "IPv4") -> ServicePort:
    """One port of the service `sN`."""
    four = family == "IPv4"
    prefix, pods = ("10.96.0.", "10.244.0.") if four else ("fd00:96::", "fd00:244::")
    everywhere = [
        Endpoint(f"{pods}{n}", 8080, n < 4) for n in sorted(chance.sample(range(1, 9), chance.randrange(5)), key=str)
    ]
    fields: dict[str, Any] = {
        "protocol": chance.choice(["tcp", "tcp", "udp", "sctp"]),
        "cluster_ip": f"{prefix}{number + 10}",
        "port": 80 if not name else 443,
        "node_port": chance.choice([0, 30000 + number * 2 + bool(name)]),
        "external_ips": chance.choice([(), ("198.51.100.7" if four else "2001:db8::7",)]),
        "ingress_ips": chance.choice([(), (f"198.51.100.{20 + number}" if four else f"2001:db8::{20 + number}",)]),
        "source_ranges": chance.choice(
            [(), ("203.0.113.0/24", "192.0.2.0/25") if four else ("2001:db8:1::/48", "2001:db8:3::/48")]
        ),
        "local_only": chance.random() < 0.3,
        "internal_local": chance.random() < 0.2,
        "affinity_seconds": chance.choice([0, 0, 60, 10800]),
        "endpoints": tuple(everywhere),
        "local_endpoints": tuple(e for e in everywhere if e.local),
    }
    return replace(port(f"s{number}", **fields), name=name)


def random_ports(chance: random.Random, services: int = 8, family: str = "IPv4") -> list[ServicePort]:
    """Of some of so many services, each with one port or two."""
    ports = []
    for number in range(services):
        if chance.random() < 0.8:
            ports.append(random_port(chance, number, family=family))
            if chance.random() < 0.3:
                ports.append(random_port(chance, number, "tls", family))
    return ports
