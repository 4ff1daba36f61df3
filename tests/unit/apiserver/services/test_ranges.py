"""Which addresses and ports there are, and in which order they are tried."""

import ipaddress

import pytest

from pybernetes.apiserver.services import ranges


@pytest.mark.parametrize(
    ("network", "first", "last", "lower"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254", 16),
        ("10.96.0.0/12", "10.96.0.1", "10.111.255.254", 256),
        ("10.0.0.0/29", "10.0.0.1", "10.0.0.6", 0),
        ("10.0.0.0/20", "10.0.0.1", "10.0.15.254", 255),
        ("fd00::/120", "fd00::1", "fd00::ff", 16),
    ],
)
def test_addresses(network: str, first: str, last: str, lower: int) -> None:
    span = ranges.addresses(ipaddress.ip_network(network))
    assert (span.first, span.last) == (int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last)))
    assert span.middle - span.first == lower


@pytest.mark.parametrize(
    ("text", "first", "middle", "last"),
    [
        ("30000-32767", 30000, 30086, 32767),
        ("30000+9", 30000, 30000, 30009),
        ("80", 80, 80, 80),
    ],
)
def test_ports(text: str, first: int, middle: int, last: int) -> None:
    assert ranges.parse_ports(text) == ranges.Span(first, middle, last)


@pytest.mark.parametrize("text", ["", "a-b", "9-1", "0-5", "1-65536"])
def test_bad_ports(text: str) -> None:
    with pytest.raises(ValueError):
        ranges.parse_ports(text)


@pytest.mark.parametrize("text", ["", "10.0.0.1/24", "10.0.0.0/24,10.1.0.0/24", "fd00::/48"])
def test_bad_networks(text: str) -> None:
    with pytest.raises(ValueError):
        ranges.parse_networks(text)
