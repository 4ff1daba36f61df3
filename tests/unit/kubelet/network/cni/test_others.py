"""Calico's and Cilium's conflists as their installers write them: what their plugins are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pybernetes.api.types import core_v1 as core

from .test_network import ID, Node, _pod, _run, _sandbox

CALICO: dict[str, Any] = {
    "name": "k8s-pod-network",
    "cniVersion": "0.3.1",
    "plugins": [
        {
            "type": "calico",
            "log_level": "info",
            "datastore_type": "kubernetes",
            "nodename": "node1",
            "mtu": 0,
            "ipam": {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "false"},
            "policy": {"type": "k8s"},
            "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
        },
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ],
}
CALICOS_RESULT: dict[str, Any] = {
    "cniVersion": "0.3.1",
    "interfaces": [{"name": "cali12345678901"}],
    "ips": [{"version": "4", "address": "192.168.5.7/32"}],
    "dns": {},
}
CILIUM: dict[str, Any] = {
    "cniVersion": "0.3.1",
    "name": "cilium",
    "plugins": [{"type": "cilium-cni", "enable-debug": False, "log-file": "/var/run/cilium/cilium-cni.log"}],
}
CILIUMS_RESULT: dict[str, Any] = {
    "cniVersion": "0.3.1",
    "interfaces": [
        {"name": "lxc1234", "mac": "02:00:00:00:00:01"},
        {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/var/run/netns/x"},
    ],
    "ips": [
        {"version": "6", "address": "fd00::7/128", "gateway": "fd00::1", "interface": 1},
        {"version": "4", "address": "10.0.1.7/32", "gateway": "10.0.1.1", "interface": 1},
    ],
    "routes": [{"dst": "10.0.1.1/32"}, {"dst": "0.0.0.0/0", "gw": "10.0.1.1"}],
}


def _with_port() -> core.Pod:
    pod = _pod()
    ports = [core.ContainerPort(container_port=80, host_port=8080, protocol="TCP")]
    pod.spec.containers = [core.Container(name="c", ports=ports)]
    pod.metadata.annotations = {"kubernetes.io/egress-bandwidth": "5M"}
    return pod


def _arguments(pod: core.Pod) -> str:
    return (
        f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID={ID};"
        f"K8S_POD_UID={pod.metadata.uid}"
    )


def test_calico(tmp_path: Path) -> None:
    node = Node(tmp_path)
    for name in ("calico", "portmap", "bandwidth"):
        node.plugins.install(name)
        node.plugins.says(name, "ADD", CALICOS_RESULT)
    (node.conf_dir / "10-pods.conflist").unlink()
    (node.conf_dir / "10-calico.conflist").write_text(json.dumps(CALICO))
    (node.conf_dir / "calico-kubeconfig").write_text("its credentials are no network")
    pod = _with_port()

    async def work() -> None:
        assert await node.network.setup(_sandbox(ID), pod) == ("192.168.5.7",)
        named = {"name": "k8s-pod-network", "cniVersion": "0.3.1"}
        previous = {name: value for name, value in CALICOS_RESULT.items() if name != "dns"}
        assert node.plugins.input("calico", "ADD") == CALICO["plugins"][0] | named
        ports = [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}]
        assert node.plugins.input("portmap", "ADD") == CALICO["plugins"][1] | named | {
            "prevResult": previous,
            "runtimeConfig": {"portMappings": ports},
        }
        assert node.plugins.input("bandwidth", "ADD") == CALICO["plugins"][2] | named | {
            "prevResult": previous,
            "runtimeConfig": {"bandwidth": {"egressRate": 5_000_000, "egressBurst": 2147483647}},
        }
        assert node.plugins.environment("calico", "ADD") == {
            "CNI_COMMAND": "ADD",
            "CNI_CONTAINERID": ID,
            "CNI_NETNS": f"{tmp_path}/netns/cni-{ID}",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(node.plugins.path),
            "CNI_ARGS": _arguments(pod),
        }
        node.plugins.calls()
        await node.network.teardown(ID, pod)
        assert node.plugins.calls() == ["DEL bandwidth", "DEL portmap", "DEL calico", "DEL loopback"]
        assert node.plugins.environment("calico", "DEL")["CNI_ARGS"] == _arguments(pod)
        assert "runtimeConfig" in node.plugins.input("portmap", "DEL")  # by which it finds its rules again

    _run(node, work)


def test_cilium(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.install("cilium-cni")
    node.plugins.says("cilium-cni", "ADD", CILIUMS_RESULT)
    (node.conf_dir / "05-cilium.conflist").write_text(json.dumps(CILIUM))
    pod = _with_port()

    async def work() -> None:
        assert await node.network.setup(_sandbox(ID), pod) == ("10.0.1.7", "fd00::7")
        told = node.plugins.input("cilium-cni", "ADD")
        assert told == CILIUM["plugins"][0] | {"name": "cilium", "cniVersion": "0.3.1"}
        assert node.plugins.environment("cilium-cni", "ADD")["CNI_ARGS"] == _arguments(pod)
        await node.network.teardown(ID, pod)
        assert node.plugins.calls()[-2:] == ["DEL cilium-cni", "DEL loopback"] and node.cached() == []

    _run(node, work)
