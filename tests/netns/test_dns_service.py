"""A pod's resolver reaches cluster DNS by its service's address, over UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from pybernetes.api import types
from pybernetes.api.types import discovery_v1
from pybernetes.dns import wire
from pybernetes.dns.app import App
from pybernetes.dns.wire import Reply

from .namespaces import Namespace
from .test_proxy_packets import NODE_IP, Network, eventually, inside, network, running, service

__all__ = ["network"]  # the fixture

DNS_IP, PORT = "10.96.0.10", 21790


def asked(where: Namespace, name: str, kind: int) -> Reply:
    """The answer that the service's address gives, to a question over UDP or TCP."""
    message = wire.encode_query(9, name, wire.A)
    with where.socket(kind) as connection:
        connection.settimeout(5.0)
        connection.connect((DNS_IP, 53))
        if kind == socket.SOCK_STREAM:
            connection.sendall(len(message).to_bytes(2, "big") + message)
            return wire.decode_reply(connection.recv(4096)[2:])
        connection.send(message)
        return wire.decode_reply(connection.recv(4096))


def endpoint_slice() -> discovery_v1.EndpointSlice:
    body = {
        "metadata": {"name": "kube-dns", "namespace": "default", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        "ports": [{"name": p.lower(), "port": PORT, "protocol": p} for p in ("UDP", "TCP")],
    }
    return types.decode(types.encode(body), discovery_v1.EndpointSlice)


def test_names_of_services(network: Network, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as client:
            corefile = tmp_path / "Corefile"
            options = f"kubeconfig {tmp_path}/kubeconfig\n pods insecure"
            corefile.write_text(f".:{PORT} {{\n errors\n kubernetes cluster.local {{\n {options}\n }}\n cache 30\n}}")
            app = App(corefile, PORT)
            await app.start()
            try:
                ports = [{"name": p.lower(), "port": 53, "protocol": p} for p in ("UDP", "TCP")]
                await client.create(service("kube-dns", clusterIP=DNS_IP, ports=ports))
                await client.create(endpoint_slice())

                def answers() -> None:
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        reply = asked(network.pods["a"], "kube-dns.default.svc.cluster.local.", kind)
                        assert [r.data for r in reply.answer.answer] == [socket.inet_aton(DNS_IP)]

                await eventually(answers)
                reply = await asyncio.to_thread(
                    asked, network.pods["b"], "nothing.default.svc.cluster.local.", socket.SOCK_DGRAM
                )
                assert reply.answer.rcode == wire.NXDOMAIN
            finally:
                await app.stop()

    inside(network, scenario)
