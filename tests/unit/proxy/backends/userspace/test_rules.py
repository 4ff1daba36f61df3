"""Rules that lead to local ports, letter by letter as upstream's, and how the kernel is brought to them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.proxy.backends.iptables.tables import State, parse
from pybernetes.proxy.backends.userspace.rules import (
    FIRST,
    LAST,
    OWN_CHAINS,
    Place,
    Rule,
    change,
    has_own,
    not_done,
    portal_rules,
    removal,
    repair,
)

from ...objects import port

EVERYWHERE = Place("", "192.0.2.7")
WEB = replace(port("web", "10.244.0.1"), name="http", port=80)
CLUSTER_IP = '-d 10.96.20.1/32 -p tcp -m comment --comment "px/web:http" -m tcp --dport 80'
NODE_PORT = '-p tcp -m comment --comment "px/web:http" -m tcp --dport 30080'


def shown(rules: Iterable[Rule]) -> list[str]:
    return [f"{rule.table} {rule.chain} {rule.text}" for rule in rules]


def test_a_cluster_ip() -> None:
    assert shown(portal_rules(WEB, 40001, EVERYWHERE)) == [
        f"nat KUBE-PORTALS-CONTAINER {CLUSTER_IP} -j REDIRECT --to-ports 40001",
        f"nat KUBE-PORTALS-HOST {CLUSTER_IP} -j DNAT --to-destination 192.0.2.7:40001",
    ]
    # One address that is listened on cannot be reached by REDIRECT.
    assert shown(portal_rules(WEB, 40001, Place("192.0.2.8", "192.0.2.8"))) == [
        f"nat KUBE-PORTALS-CONTAINER {CLUSTER_IP} -j DNAT --to-destination 192.0.2.8:40001",
        f"nat KUBE-PORTALS-HOST {CLUSTER_IP} -j DNAT --to-destination 192.0.2.8:40001",
    ]
    assert [r.chain for r in portal_rules(WEB, 40001, Place("", ""))] == ["KUBE-PORTALS-CONTAINER"]


def test_other_ways_to_a_service() -> None:
    external = CLUSTER_IP.replace("10.96.20.1", "198.51.100.7")
    balancer = CLUSTER_IP.replace("10.96.20.1", "198.51.100.8")
    everything = replace(WEB, node_port=30080, external_ips=("198.51.100.7",), ingress_ips=("198.51.100.8",))
    assert shown(portal_rules(everything, 40001, EVERYWHERE))[2:] == [
        f"nat KUBE-PORTALS-CONTAINER {balancer} -j REDIRECT --to-ports 40001",
        f"nat KUBE-PORTALS-HOST {balancer} -j DNAT --to-destination 192.0.2.7:40001",
        f"nat KUBE-PORTALS-CONTAINER {external} -m physdev ! --physdev-is-in -j REDIRECT --to-ports 40001",
        f"nat KUBE-PORTALS-CONTAINER {external} -m addrtype --dst-type LOCAL -j REDIRECT --to-ports 40001",
        f"nat KUBE-PORTALS-HOST {external} -m addrtype --dst-type LOCAL -j DNAT --to-destination 192.0.2.7:40001",
        f"nat KUBE-NODEPORT-CONTAINER {NODE_PORT} -j REDIRECT --to-ports 40001",
        f"nat KUBE-NODEPORT-HOST {NODE_PORT} -j DNAT --to-destination 192.0.2.7:40001",
        "filter KUBE-NODEPORT-NON-LOCAL "
        '-p tcp -m comment --comment "px/web:http" -m tcp --dport 40001 -m state --state NEW -j ACCEPT',
    ]
    without = portal_rules(everything, 40001, EVERYWHERE, taken={"", "198.51.100.7", "198.51.100.8"})
    assert without == portal_rules(WEB, 40001, EVERYWHERE)


def test_ipv6_and_udp() -> None:
    six = replace(WEB, protocol="udp", cluster_ip="fd00::10", node_port=30080)
    rules = shown(portal_rules(six, 40001, Place("", "2001:db8::7")))
    assert rules[1] == (
        'nat KUBE-PORTALS-HOST -d fd00::10/128 -p udp -m comment --comment "px/web:http" -m udp --dport 80 '
        "-j DNAT --to-destination [2001:db8::7]:40001"
    )


@pytest.mark.parametrize("bind", ["0.0.0.0", "10.255.77.2"])
def test_upstreams_own_rules(bind: str) -> None:
    """What a kube-proxy of 1.20 wrote for these services (tests/peers/test_proxy.py has both do it), local ports left out."""
    fields = {"namespace": "default", "external_ips": ("198.51.100.7",), "cluster_ip": "10.96.7.7"}
    web = replace(port("web"), **fields)  # type: ignore[arg-type]
    services = (
        (replace(web, name="http", port=80, node_port=30080), 41001),
        (replace(web, name="tls", port=443, node_port=30443), 41002),
        (replace(port("dns"), namespace="default", protocol="udp", cluster_ip="10.96.7.8", port=53), 41003),
    )
    place = Place("" if bind == "0.0.0.0" else bind, "10.255.77.2")
    rules = [rule for each, local in services for rule in portal_rules(each, local, place)]
    written = [f"-A {rule.chain} {rule.text}" for rule in (*FIRST, *LAST, *rules)]
    recorded = Path(__file__).with_name(f"upstream-{bind}.txt").read_text().splitlines()
    assert sorted(re.sub(r"\b4100\d\b", "LOCAL", line) for line in written) == sorted(recorded)


def applied(state: State, text: str) -> State:
    """As iptables-restore --noflush does; a rule to delete that is not there is an error."""
    result = {table: {chain: list(rules) for chain, rules in chains.items()} for table, chains in state.items()}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        verb, _, rest = line.partition(" ")
        if line.startswith("*"):
            chains = result.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[verb[1:]] = []
        elif verb in ("-A", "-D"):
            chain, _, rule = rest.partition(" ")
            if verb == "-A":
                chains[chain].append(rule)
            else:
                chains[chain].remove(rule)
        elif verb == "-I":
            chain, _, rule = rest.partition(" 1 ")
            chains[chain].insert(0, rule)
        elif verb == "-X":
            assert chains.pop(rest) == []
    return result


def held(state: State) -> set[Rule]:
    return {Rule(t, c, text) for t, chains in OWN_CHAINS.items() for c in chains for text in state[t][c]}


BARE = parse("*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n-A OUTPUT -j THEIRS\n:THEIRS -\n*filter\n:INPUT ACCEPT\n")
PORTS = st.builds(
    lambda number, local, node: (replace(WEB, service=f"s{number}", node_port=node), local),
    st.integers(0, 5),
    st.integers(40000, 40003),
    st.sampled_from([0, 30080]),
)
SETS = st.lists(PORTS, max_size=6).map(
    lambda chosen: {rule for port, local in chosen for rule in portal_rules(port, local, EVERYWHERE)}
)


@given(SETS, SETS)
def test_from_any_rules_to_any_others(before: set[Rule], after: set[Rule]) -> None:
    first = applied(BARE, repair(BARE, before))
    assert held(first) == before
    assert repair(first, before) == "", "nothing is written twice"
    for second in (applied(first, repair(first, after)), applied(first, change(before, after))):
        assert held(second) == after
        assert repair(second, after) == ""
    assert change(after, after) == ""


def test_what_is_first_and_what_is_last() -> None:
    state = applied(BARE, repair(BARE, ()))
    assert state["nat"]["OUTPUT"] == [FIRST[1].text, "-j THEIRS", LAST[1].text]
    assert has_own(state) and not has_own(BARE)
    assert applied(state, removal(printed(state))) == BARE
    assert removal(printed(BARE)) == ""


def printed(state: State) -> str:
    """As iptables-save."""
    lines = []
    for table, chains in state.items():
        lines += [f"*{table}", *(f":{chain} -" for chain in chains)]
        lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
    return "\n".join([*lines, ""])


def test_a_rule_twice_or_of_somebody_else_is_mended() -> None:
    rules = portal_rules(WEB, 40001, EVERYWHERE)
    good = applied(BARE, repair(BARE, rules))
    for harm in (
        "*nat\n-A KUBE-PORTALS-HOST -j RETURN\n",
        f"*nat\n-A KUBE-PORTALS-HOST {rules[1].text}\n",
        f"*nat\n-D KUBE-PORTALS-HOST {rules[1].text}\n",
        f"*nat\n-D OUTPUT {FIRST[1].text}\n",
    ):
        bad = applied(good, harm)
        assert bad != good
        mended = applied(bad, repair(bad, rules))
        assert held(mended) == set(rules) and repair(mended, rules) == ""


@pytest.mark.parametrize(
    ("given_port", "lacks"),
    [
        (WEB, ()),
        (replace(WEB, protocol="sctp"), ("protocol SCTP",)),
        (replace(WEB, source_ranges=("10.0.0.0/8",)), ()),
        (replace(WEB, source_ranges=("10.0.0.0/8",), ingress_ips=("192.0.2.1",)), ("loadBalancerSourceRanges",)),
        (
            replace(WEB, local_only=True, internal_local=True),
            ("externalTrafficPolicy: Local", "internalTrafficPolicy: Local"),
        ),
    ],
)
def test_what_it_does_not_do(given_port: object, lacks: tuple[str, ...]) -> None:
    assert not_done(given_port) == lacks  # type: ignore[arg-type]
