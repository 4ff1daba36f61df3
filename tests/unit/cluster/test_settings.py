from typing import Any

import pytest

from pybernetes.cluster.settings import ClusterConfig, conflicts, merged, problems

HOST = ClusterConfig(node_name="a", addresses=["192.0.2.2"])


def test_addresses_of_the_services_everybody_knows() -> None:
    assert (HOST.service_ip, HOST.dns_ip) == ("10.96.0.1", "10.96.0.10")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"pod_cidr": "10.96.0.0/16"}, ["overlap"]),
        ({"pod_cidr": "192.0.2.0/24"}, ["holds the host's own address 192.0.2.2"]),
        ({"service_cidr": "10.96.0.1/12"}, ["--service-cidr=10.96.0.1/12: 10.96.0.1/12 has host bits set"]),
        ({"service_cidr": "10.96.0.0/30"}, ["too small"]),
        ({"port": 0}, ["--port=0"]),
    ],
)
def test_problems_are_told_in_words(change: dict[str, Any], words: list[str]) -> None:
    found = problems(merged(None, HOST, change))
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


def test_a_later_up_goes_on_with_what_was_chosen() -> None:
    stored = ClusterConfig(node_name="b", addresses=["192.0.2.9"], pod_cidr="10.1.0.0/16")
    settings = merged(stored, HOST, {"port": 7443})
    assert (settings.node_name, settings.pod_cidr, settings.port) == ("b", "10.1.0.0/16", 7443)
    assert settings.addresses == ["192.0.2.2"]  # the host's today


def test_what_objects_depend_on_cannot_change() -> None:
    assert conflicts(HOST, {"port": 1, "pod_cidr": HOST.pod_cidr}) == []
    (text,) = conflicts(HOST, {"pod_cidr": "10.9.0.0/16"})
    assert text.startswith("--pod-cidr=10.9.0.0/16: the cluster was made with 10.244.0.0/16")
