"""What a plugin is told of a pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine.dns import Resolver
from pybernetes.kubelet.network.cni.arguments import (
    BandwidthError,
    RuntimeConf,
    bandwidth,
    environment,
    gc_input,
    plugin_input,
    pod_conf,
)
from pybernetes.kubelet.network.cni.configuration import Network, parse_list
from pybernetes.kubelet.network.cni.results import read

CAPABILITIES = (
    "portMappings",
    "bandwidth",
    "ipRanges",
    "dns",
    "cgroupPath",
    "io.kubernetes.cri.pod-annotations",
    "mac",
)


def _pod(**annotations: str) -> core.Pod:
    ports = [
        core.ContainerPort(container_port=80, host_port=8080),
        core.ContainerPort(container_port=53, host_port=53, protocol="UDP", host_ip="192.0.2.1"),
        core.ContainerPort(container_port=443),
    ]
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "web", "shop", "u1"
    pod.metadata.annotations = {f"kubernetes.io/{name}-bandwidth": value for name, value in annotations.items()}
    pod.spec.containers = [core.Container(name="c", ports=ports)]
    return pod


def _network(*capabilities: str) -> Network:
    plugin = {"type": "x", "name": "own", "capabilities": dict.fromkeys(capabilities, True) | {"off": False}}
    return parse_list(json.dumps({"name": "pods", "cniVersion": "1.0.0", "plugins": [plugin]}).encode())


def _told(network: Network, conf: RuntimeConf, previous: Any = None) -> dict[str, Any]:
    result = read(previous, "1.0.0") if previous else None
    told: dict[str, Any] = json.loads(plugin_input(network, network.plugins[0], conf, result))
    return told


def test_capabilities() -> None:
    """Of what there is to tell a plugin is told what it says it understands."""
    conf = pod_conf(
        _pod(ingress="10M"), "abc", "/proc/1/ns/net", "10.1.0.0/24", Resolver(("10.96.0.10",), ("a", "b"), ("ndots:5",))
    )
    assert _told(_network(*CAPABILITIES), conf)["runtimeConfig"] == {
        "portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""},
            {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "192.0.2.1"},
        ],
        "bandwidth": {"ingressRate": 10_000_000, "ingressBurst": 2147483647},
        "ipRanges": [[{"subnet": "10.1.0.0/24"}]],
        "dns": {"servers": ["10.96.0.10"], "searches": ["a", "b"], "options": ["ndots:5"]},
        "cgroupPath": "/kubepods/besteffort/podu1",
        "io.kubernetes.cri.pod-annotations": {"kubernetes.io/ingress-bandwidth": "10M"},
    }
    assert "runtimeConfig" not in _told(_network("off", "mac"), conf)
    assert _told(_network("ipRanges", "bandwidth"), pod_conf(_pod(), "abc", "")).get("runtimeConfig") is None


def test_the_input_has_the_networks_name_and_version() -> None:
    previous = {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/8"}]}
    told = _told(_network(), RuntimeConf("abc", "", "eth0"), previous)
    assert (told["name"], told["cniVersion"], told["type"], told["prevResult"]) == ("pods", "1.0.0", "x", previous)


def test_the_environment() -> None:
    conf = pod_conf(_pod(), "abc", "/proc/1/ns/net")
    assert environment("ADD", conf, ["/opt/cni/bin", "/usr/lib/cni"]) == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "abc",
        "CNI_NETNS": "/proc/1/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u1",
    }
    assert environment("STATUS", None, ["/x"])["CNI_CONTAINERID"] == ""


def test_garbage_collection_names_what_stays() -> None:
    network = _network()
    told = json.loads(gc_input(network, network.plugins[0], [("abc", "eth0")]))
    assert (
        told["cni.dev/valid-attachments"] == [{"containerID": "abc", "ifname": "eth0"}] == told["cni.dev/attachments"]
    )


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, {}),
        ({"kubernetes.io/egress-bandwidth": "1k"}, {"egressRate": 1000, "egressBurst": 2147483647}),
        ({"kubernetes.io/ingress-bandwidth": "999"}, "resource is unreasonably small (< 1kbit)"),
        ({"kubernetes.io/ingress-bandwidth": "2P"}, "resource is unreasonably large (> 1Pbit)"),
        ({"kubernetes.io/ingress-bandwidth": "much"}, "quantities must match the regular expression"),
    ],
)
def test_bandwidth(annotations: dict[str, str], expected: Any) -> None:
    if isinstance(expected, dict):
        assert bandwidth(annotations) == expected
    else:
        with pytest.raises(BandwidthError) as error:
            bandwidth(annotations)
        assert str(error.value).startswith("failed to get pod bandwidth from annotations: ") and expected in str(
            error.value
        )
