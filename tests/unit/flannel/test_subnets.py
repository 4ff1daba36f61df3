"""Subnets that hosts take for themselves: bounds, keys, what is free."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from pybernetes.flannel.config import ConfigError, NetworkConfig
from pybernetes.flannel.subnets import MOST_CANDIDATES, Range, allotted, candidates, key, parse_key


def config(network: str, length: int = 0, first: str = "", last: str = "") -> NetworkConfig:
    bounds = [IPv4Address(text) if text else None for text in (first, last)]
    return NetworkConfig(IPv4Network(network), subnet_len=length, subnet_min=bounds[0], subnet_max=bounds[1])


@pytest.mark.parametrize(
    ("given", "length", "first", "last"),
    [
        (config("10.3.0.0/16"), 24, "10.3.1.0", "10.3.255.0"),
        (config("10.3.0.0/22"), 24, "10.3.1.0", "10.3.3.0"),
        (config("10.3.0.0/23"), 25, "10.3.0.128", "10.3.1.128"),
        (config("10.3.0.0/28"), 30, "10.3.0.4", "10.3.0.12"),
        (config("10.0.0.0/8", 20, "10.10.0.0", "10.99.0.0"), 20, "10.10.0.0", "10.99.0.0"),
        (config("10.3.0.0/16", 28), 28, "10.3.0.16", "10.3.255.240"),
        (config("10.3.0.0/16", 0, "0.0.0.0"), 24, "10.3.1.0", "10.3.255.0"),
    ],
)
def test_ranges(given: NetworkConfig, length: int, first: str, last: str) -> None:
    assert allotted(given) == Range(length, IPv4Address(first), IPv4Address(last))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (NetworkConfig(), "please define a correct Network parameter in the flannel config"),
        (config("10.3.0.0/16", 31), "SubnetLen must be less than /31"),
        (config("10.3.0.0/16", 17), "network must be able to accommodate at least four subnets"),
        (config("10.3.0.0/29"), "network is too small. Minimum useful network prefix is /28"),
        (config("10.3.0.0/16", 0, "10.4.0.0"), "SubnetMin is not in the range of the Network"),
        (config("10.3.0.0/16", 0, "", "10.2.0.0"), "SubnetMax is not in the range of the Network"),
        (config("10.3.0.0/16", 0, "10.3.1.1"), "SubnetMin is not on a SubnetLen boundary: 10.3.1.1"),
        (config("10.3.0.0/16", 0, "", "10.3.9.9"), "SubnetMax is not on a SubnetLen boundary: 10.3.9.9"),
    ],
)
def test_refusals(given: NetworkConfig, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        allotted(given)
    assert str(refused.value) == words


RANGE = Range(24, IPv4Address("10.3.1.0"), IPv4Address("10.3.6.0"))


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["10.3.1.0/24", "10.3.4.0/24"], [2, 3, 5, 6]),
        (["10.3.2.0/23"], [1, 4, 5, 6]),  # of an earlier SubnetLen
        (["10.3.2.128/25", "10.3.2.0/28"], [1, 3, 4, 5, 6]),
        (["10.0.0.0/8"], []),
        (["10.3.0.0/16", "10.3.1.0/24"], []),
        (["10.9.0.0/24", "10.2.0.0/24"], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_is_free(taken: list[str], free: list[int]) -> None:
    subnets = [IPv4Network(text) for text in taken]
    assert candidates(RANGE, subnets) == [IPv4Network(f"10.3.{number}.0/24") for number in free]


def test_a_large_network_is_not_counted_out() -> None:
    wide = replace(RANGE, length=30, last=IPv4Address("10.255.255.252"))
    taken = [IPv4Network((int(wide.first) + 4 * n, 30)) for n in range(0, 4000, 2)]
    free = candidates(wide, taken)
    assert len(free) == MOST_CANDIDATES and free[0] == IPv4Network("10.3.1.4/30")
    assert len(candidates(wide, [IPv4Network("10.0.0.0/9")])) == MOST_CANDIDATES  # skipped in one step


@pytest.mark.parametrize(
    ("text", "subnet"),
    [
        ("/coreos.com/network/subnets/10.5.34.0-24", "10.5.34.0/24"),
        ("10.5.34.0-24", "10.5.34.0/24"),
        ("10.5.34.0", None),
        ("10.5.34.0-33", None),
        ("300.5.34.0-24", None),
        ("/subnets/config", None),
    ],
)
def test_keys(text: str, subnet: str | None) -> None:
    assert parse_key(text) == (IPv4Network(subnet) if subnet else None)
    assert subnet is None or key(IPv4Network(subnet)) == text.rpartition("/")[2]
