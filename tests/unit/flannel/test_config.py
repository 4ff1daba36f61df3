"""net-conf.json: what is read, and what is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest

from pybernetes.flannel.config import BackendConfig, ConfigError, NetworkConfig, contains, parse


@pytest.mark.parametrize(
    ("text", "config"),
    [
        # kube-flannel.yml's
        (
            '{"Network": "10.244.0.0/16", "EnableNFTables": false, "Backend": {"Type": "vxlan"}}',
            NetworkConfig(IPv4Network("10.244.0.0/16"), BackendConfig("vxlan")),
        ),
        ('{"Network": "10.244.3.1/16"}', NetworkConfig(IPv4Network("10.244.0.0/16"), BackendConfig("udp"))),
        ("{}", NetworkConfig()),
        (
            '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:244::/48"}',
            NetworkConfig(IPv4Network("10.244.0.0/16"), ipv6_network=IPv6Network("fd00:244::/48")),
        ),
        ('{"IPv6Network": "fd00:244::/48"}', NetworkConfig()),
        (
            '{"network": "10.0.0.0/8", "SUBNETLEN": 20, "subnetMin": "10.10.0.0", "SubnetMax": "10.99.0.0",'
            ' "backend": {"type": "VXLAN", "VNI": 7, "port": 4789, "Mtu": 9000, "GBP": true, "directrouting": true, "Learning": true}}',
            NetworkConfig(
                IPv4Network("10.0.0.0/8"),
                BackendConfig("vxlan", 7, 4789, 9000, gbp=True, learning=True, direct_routing=True),
                20,
                IPv4Address("10.10.0.0"),
                IPv4Address("10.99.0.0"),
            ),
        ),
        ('{"Network": null, "Backend": null, "Other": [1]}', NetworkConfig()),
    ],
)
def test_configurations(text: str, config: NetworkConfig) -> None:
    assert parse(text) == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        ("[]", "cannot unmarshal array into Go value of type subnet.Config"),
        ('{"Network": 10}', "cannot unmarshal number into Go struct field Config.Network of type string"),
        ('{"Network": "10.244.0.0"}', "invalid CIDR address: 10.244.0.0"),
        ('{"Network": "fd00::/64"}', "invalid CIDR address: fd00::/64"),
        ('{"SubnetLen": "24"}', "cannot unmarshal string into Go struct field Config.SubnetLen of type int"),
        ('{"SubnetLen": 33}', "SubnetLen: 33 is not within 0 and 32"),
        ('{"SubnetMin": "10.1"}', "invalid IP address format"),
        ('{"Backend": "vxlan"}', "error decoding Backend property of config: json: cannot unmarshal string"),
        ('{"Backend": {"VNI": true}}', "cannot unmarshal bool into Go struct field VXLANConfig.VNI of type int"),
        ('{"Backend": {"VNI": 16777216}}', "VNI: 16777216 is not within 0 and 16777215"),
        ('{"Backend": {"Port": -1}}', "Port: -1 is not within 0 and 65535"),
        ('{"Backend": {"DirectRouting": "yes"}}', "VXLANConfig.DirectRouting of type bool"),
        ('{"EnableIPv6": true, "IPv6Network": "10.0.0.0/8"}', "IPv6Network: invalid CIDR address: 10.0.0.0/8"),
        ('{"EnableIPv4": false}', "EnableIPv4 false: there is IPv4, or IPv4 and IPv6"),
        ('{"EnableNFTables": true}', "there is iptables only"),
        ("[" * 100_000, "recursion"),
        ('{"SubnetLen": ' + "1" * 5000 + "}", "digits"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        parse(text)


@pytest.mark.parametrize(
    ("network", "subnet", "inside"),
    [
        ("10.244.0.0/16", "10.244.1.0/24", True),
        ("10.244.0.0/16", "10.244.0.0/16", True),
        ("10.244.0.0/16", "10.0.0.0/8", False),
        ("10.244.0.0/16", "10.245.1.0/24", False),
        ("0.0.0.0/0", "10.244.1.0/24", False),  # as if it were not given
    ],
)
def test_contains(network: str, subnet: str, inside: bool) -> None:
    assert contains(IPv4Network(network), IPv4Network(subnet)) is inside
