"""Results in each version of CNI, and one as another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.kubelet.network.cni.results import ResultError, convert, parse, pod_addresses, read

NEW: dict[str, Any] = {
    "cniVersion": "1.1.0",
    "interfaces": [
        {"name": "cni0", "mac": "02:00:00:00:00:01"},
        {"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 1450, "sandbox": "/proc/1/ns/net", "pciID": "0000:00"},
    ],
    "ips": [
        {"address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 1},
        {"address": "fd00::5/64", "gateway": "fd00::1", "interface": 1},
        {"address": "10.1.0.6/24", "interface": 1},
    ],
    "routes": [
        {"dst": "0.0.0.0/0", "gw": "10.1.0.1"},
        {"dst": "::/0"},
        {"dst": "10.0.0.0/8", "mtu": 1400, "table": 0, "scope": 253},
    ],
    "dns": {"nameservers": ["10.96.0.10"], "search": ["a"]},
}


def _as(version: str, document: dict[str, Any] = NEW) -> dict[str, Any]:
    return convert(read(document, ""), version).document()


def test_what_each_version_tells() -> None:
    assert _as("1.1.0") == NEW and _as("1.0.0") == NEW | {"cniVersion": "1.0.0"}
    middle = _as("0.4.0")
    assert middle["interfaces"][1] == {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/proc/1/ns/net"}
    assert [entry["version"] for entry in middle["ips"]] == ["4", "6", "4"]
    assert _as("0.3.0") == middle | {"cniVersion": "0.3.0"} and _as("1.0.0", middle)["ips"] == NEW["ips"]
    old = _as("0.2.0")
    assert old == {
        "cniVersion": "0.2.0",
        "ip4": {
            "ip": "10.1.0.5/24",
            "gateway": "10.1.0.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.0.0.0/8"}],
        },
        "ip6": {"ip": "fd00::5/64", "gateway": "fd00::1", "routes": [{"dst": "::/0"}]},
        "dns": NEW["dns"],
    }
    assert _as("0.1.0", old) == old | {"cniVersion": "0.1.0"} and _as("", old)["cniVersion"] == "0.1.0"
    again = _as("1.0.0", old)
    assert [entry["address"] for entry in again["ips"]] == ["10.1.0.5/24", "fd00::5/64"]
    assert [route["dst"] for route in again["routes"]] == ["0.0.0.0/0", "10.0.0.0/8", "::/0"]


def test_without_a_version_it_is_the_configurations() -> None:
    assert parse(b'{"ips": [{"address": "10.0.0.2/8"}]}', "0.3.1").version == "0.3.1"
    assert parse(b"null", "1.0.0").document() == {"cniVersion": "1.0.0"}
    assert parse(b"{}", "").version == "0.1.0"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", "failed to unmarshal raw result"),
        ("[" * 100_000, "failed to unmarshal raw result"),
        ("[]", "it is no object"),
        ('{"cniVersion": "9.0.0"}', 'unsupported CNI result version "9.0.0"'),
        ('{"ips": {}}', "ips is no list"),
        ('{"ips": ["10.0.0.1/8"]}', "address is no object"),
        ('{"ips": [{"address": "10.0.0.1"}]}', "invalid CIDR address: 10.0.0.1"),
        ('{"ips": [{"address": "10.0.0.1/33"}]}', "invalid CIDR address: 10.0.0.1/33"),
        ('{"ips": [{"address": "10.0.0.1/255.0.0.0"}]}', "invalid CIDR address"),
        ('{"ips": [{"address": "10.0.0.1/8", "gateway": "x"}]}', "invalid IP address: x"),
        ('{"ips": [{"address": "10.0.0.1/8", "interface": true}]}', "interface is of another type"),
        ('{"interfaces": [{"name": 5}]}', "name is of another type"),
        ('{"routes": [{"dst": "x"}]}', "invalid CIDR address: x"),
        (json.dumps({"ips": [{"address": "10.0.0.1/8"}] * 1025}), "more than 1024 entries"),
    ],
)
def test_what_is_no_result(data: str, text: str) -> None:
    with pytest.raises(ResultError, match=text.replace("[", r"\[")):
        parse(data.encode(), "1.0.0")


def test_what_cannot_be_converted() -> None:
    with pytest.raises(ResultError, match="cannot convert: no valid IP addresses"):
        convert(read({"cniVersion": "1.0.0"}, ""), "0.2.0")
    with pytest.raises(ResultError, match=r"no converter for CNI result version 1\.1\.0 to 2\.0\.0"):
        convert(read(NEW, ""), "2.0.0")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (NEW, ("10.1.0.5", "10.1.0.6", "fd00::5")),
        (NEW | {"ips": [{"address": "fd00::5/64"}, {"address": "10.1.0.5/32"}]}, ("10.1.0.5", "fd00::5")),
        (NEW | {"ips": [{"address": "10.1.0.1/24", "interface": 0}]}, ()),  # the bridge's own
        (NEW | {"ips": [{"address": "10.1.0.5/24", "interface": 9}]}, ("10.1.0.5",)),
        ({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.9/32"}}, ("10.0.0.9",)),
    ],
)
def test_the_pods_addresses(document: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert pod_addresses(read(document, ""), "eth0") == expected
