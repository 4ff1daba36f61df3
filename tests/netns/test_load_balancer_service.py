"""A Service of type LoadBalancer from its creation to the packets of somebody outside: API server, kube-proxy, service-load-balancer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pybernetes.api.types import core_v1
from pybernetes.cli import serviceloadbalancer
from pybernetes.component import flags
from pybernetes.loadbalancer.options import FLAGS

from .test_proxy_packets import Network, eventually, inside, network, running, service, slice_of

__all__ = ["network"]  # the fixture

POOL = "10.78.0.16/28"  # of the network on which the client is: it asks by ARP


def test_who_is_outside_reaches_a_pod_by_an_address_that_no_interface_has(network: Network, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as client:
            given = [f"--kubeconfig={tmp_path / 'kubeconfig'}", f"--address-pool={POOL}", "--interface=10.78.0.2"]
            values = flags.parse("service-load-balancer", FLAGS, [*given, "--hostname-override=node1"])
            work = asyncio.ensure_future(serviceloadbalancer.run(values))
            try:
                ports = [{"port": 80, "targetPort": 8080}]
                await client.create(service("lb", type="LoadBalancer", clusterIP="10.96.20.9", ports=ports))
                await client.create(slice_of("lb", "ab", 8080))

                def reached() -> None:
                    assert not work.done(), work
                    assert network.askers(network.client, "10.78.0.16", 80) == {"a", "b"}
                    assert network.askers(network.node, "10.78.0.16", 80) == {"a", "b"}

                await eventually(reached)
                assert "10.78.0.16" not in network.node.run("ip addr")
                made = await client.get(core_v1.Service, "lb", "default")
                assert [each.ip for each in made.status.load_balancer.ingress] == ["10.78.0.16"]
                await client.delete(core_v1.Service, "lb", "default")

                def gone() -> None:
                    network.client.run("ip neigh flush 10.78.0.16 dev eth0; ping -c1 -W0.2 10.78.0.16", check=False)
                    assert "lladdr" not in network.client.run("ip neigh show 10.78.0.16 dev eth0")

                await eventually(gone)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    inside(network, scenario)
