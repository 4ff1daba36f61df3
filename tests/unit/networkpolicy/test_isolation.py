"""The table as objects come and go: as much is written as changes, and nothing is left."""

from __future__ import annotations

from typing import Any

from pybernetes.networkpolicy.isolation import Isolation
from pybernetes.networkpolicy.pod import PolicyPod
from pybernetes.networkpolicy.policy import policy

from .nft import Kernel
from .world import as_policy


def pod(name: str, address: str, node: str = "here", **labels: str) -> PolicyPod:
    return PolicyPod("x", name, node, labels, (address,), {})


def told(*pods: PolicyPod, **policies: Any) -> Isolation:
    isolation = Isolation("here")
    for each in pods:
        isolation.set_pod((each.namespace, each.name), each)
    for name, spec in policies.items():
        tell(isolation, name, **spec)
    return isolation


def tell(isolation: Isolation, name: str, **spec: Any) -> None:
    document = {"metadata": {"namespace": "x", "name": name}, "spec": spec}
    isolation.set_policy(("x", name), policy(as_policy(document)))


def test_one_pod_more_is_some_lines_however_many_there_are() -> None:
    pods = [pod(f"p{n}", f"10.0.{n // 250}.{n % 250}", "elsewhere") for n in range(2000)]
    isolation = told(pod("own", "10.1.0.1"), *pods, all={"ingress": [{"from": [{"podSelector": {}}]}]})
    assert len(isolation.table.whole()) > 20_000
    isolation.set_pod(("x", "new"), pod("new", "10.2.0.1", "elsewhere"))
    (line,) = isolation.table.transaction().splitlines()
    assert line.startswith("add element inet kube-network-policies pods-") and line.endswith("{ 10.2.0.1 }")
    isolation.set_pod(("x", "other"), pod("other", "10.2.0.2"))
    assert len(isolation.table.transaction().splitlines()) == 3  # as a peer, in the map of isolated pods, and to itself


def test_policies_of_other_nodes_pods_are_not_in_the_table() -> None:
    isolation = told(pod("a", "10.0.0.1", "elsewhere"), deny={"podSelector": {}})
    assert isolation.needed and isolation.policies == isolation.isolated_pods == 0
    assert [name for name in isolation.table.chains if "/" in name] == []
    isolation.set_pod(("x", "b"), pod("b", "10.0.0.2"))
    assert isolation.policies == isolation.isolated_pods == 1
    assert "ingress/x/deny" in isolation.table.chains


def test_nothing_is_left_of_a_policy_that_goes() -> None:
    empty = Isolation("here").table
    peers = [{"podSelector": {}}, {"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    ports = [{"port": 80}, {"port": 90}, {"port": "http"}]
    isolation = told(pod("a", "10.0.0.1"), p={"ingress": [{"from": peers, "ports": ports}], "egress": [{"to": peers}]})
    isolation.set_policy(("x", "p"), None)
    assert not isolation.needed
    assert (isolation.table.sets, isolation.table.chains) == (empty.sets, empty.chains)


def test_pods_that_the_same_policies_isolate_share_a_chain() -> None:
    isolation = told(pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), p={"podSelector": {}}, q={"podSelector": {}})
    verdicts = isolation.table.sets["ingress-v4"].elements
    assert set(verdicts) == {"10.0.0.1", "10.0.0.2"} and len(set(verdicts.values())) == 1
    (chain,) = {verdict.removeprefix("goto ") for verdict in verdicts.values()}
    assert isolation.table.chains[chain].rules == ("jump ingress/x/p", "jump ingress/x/q", "drop")


def test_an_address_is_that_of_the_last_pod_that_has_it() -> None:
    """A pod that ends may be known for a while beside the one that got its address."""
    kernel = Kernel()
    deny = {"podSelector": {"matchLabels": {"closed": "yes"}}}
    isolation = told(pod("old", "10.0.0.1", closed="yes"), pod("else", "10.0.0.9", closed="yes"), deny=deny)
    kernel.apply(isolation.table.whole())
    isolation.set_pod(("x", "new"), pod("new", "10.0.0.1"))
    kernel.apply(isolation.table.transaction())
    assert set(kernel.sets["ingress-v4"]) == {"10.0.0.9"}
    isolation.set_pod(("x", "new"), None)  # the old one lives on after all
    kernel.apply(isolation.table.transaction())
    assert set(kernel.sets["ingress-v4"]) == {"10.0.0.1", "10.0.0.9"}
    isolation.set_pod(("x", "old"), None)
    kernel.apply(isolation.table.transaction())
    assert set(kernel.sets["ingress-v4"]) == {"10.0.0.9"}


def test_a_change_that_is_taken_back_is_none() -> None:
    isolation = told(pod("a", "10.0.0.1"), p={"podSelector": {}})
    isolation.table.whole()
    tell(isolation, "q", podSelector={})
    isolation.set_policy(("x", "q"), None)
    assert isolation.table.transaction() == ""


def test_long_names_fit_into_the_kernel() -> None:
    isolation = told(pod("a", "10.0.0.1"), **{"n" * 253: {"podSelector": {}}})
    assert max(map(len, isolation.table.chains)) < 128
