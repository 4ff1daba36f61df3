"""The CNI plugin: what it hands on, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.flannel import cni
from pybernetes.net.subnetfile import parse

SUBNETS = parse("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n")
BOTH = parse(
    "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_IPV6_NETWORK=fd00:10::/48\n"
    "FLANNEL_IPV6_SUBNET=fd00:10:0:3::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n"
)
HOST_LOCAL = {
    "type": "host-local",
    "ranges": [[{"subnet": "10.244.3.0/24"}]],
    "routes": [{"dst": "10.244.0.0/16"}],
}
ENVIRONMENT = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c", "CNI_NETNS": "/n", "CNI_IFNAME": "eth0", "CNI_PATH": "/p"}


def test_by_default_a_bridge() -> None:
    assert cni.delegated({"name": "cbr0", "type": "flannel", "cniVersion": "0.3.1"}, SUBNETS) == {
        "name": "cbr0",
        "type": "bridge",
        "cniVersion": "0.3.1",
        "ipMasq": False,
        "mtu": 1450,
        "isGateway": True,
        "ipam": HOST_LOCAL,
    }


def test_what_is_said_is_stronger() -> None:
    delegate = {"type": "ipvlan", "master": "eth0", "mtu": 1400, "ipMasq": False}
    config = {"name": "n", "delegate": delegate, "ipam": {"routes": [{"dst": "0.0.0.0/0"}]}, "runtimeConfig": {"a": 1}}
    made = cni.delegated(config, BOTH)
    assert made | {"ipam": None} == {**delegate, "name": "n", "runtimeConfig": {"a": 1}, "ipam": None}
    assert made["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}], [{"subnet": "fd00:10:0:3::/64"}]]
    assert [route["dst"] for route in made["ipam"]["routes"]] == ["0.0.0.0/0", "10.244.0.0/16", "fd00:10::/48"]
    assert cni.delegated({"name": "n"}, BOTH)["ipMasq"] is True


@pytest.mark.parametrize("delegate", [{"type": 1}, {"name": "n"}, {"ipam": {}}])
def test_delegates_that_are_refused(delegate: dict[str, Any]) -> None:
    with pytest.raises(cni.CNIError, match="'delegate' dictionary"):
        cni.delegated({"delegate": delegate}, SUBNETS)


@pytest.mark.parametrize(
    ("data", "code"),
    [("{", 6), ("[]", 6), ('{"delegate": 1}', 6), ('{"cniVersion": "9"}', 1), ('{"dataDir": []}', 6)],
)
def test_configurations_that_are_refused(data: str, code: int) -> None:
    with pytest.raises(cni.CNIError) as refused:
        cni.parse(data.encode())
    assert refused.value.code == code and json.loads(refused.value.document())["code"] == code


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"CNI_COMMAND": "MEND"}, "unknown CNI_COMMAND: MEND"),
        ({"CNI_NETNS": "", "CNI_PATH": ""}, r"required env variables \[CNI_NETNS,CNI_PATH\] missing"),
        ({"CNI_CONTAINERID": "../../etc/passwd"}, "invalid characters in containerID"),
    ],
)
def test_environments_that_are_refused(changed: dict[str, str], text: str) -> None:
    with pytest.raises(cni.CNIError, match=text) as refused:
        cni.check_environment(ENVIRONMENT | changed)
    assert refused.value.code == 4


def test_del_needs_no_namespace() -> None:
    assert cni.check_environment(ENVIRONMENT | {"CNI_COMMAND": "DEL", "CNI_NETNS": ""}) == "DEL"
