"""Which iptables rules there should be (upstream: pkg/trafficmngr/iptables/iptables.go).

All of flannel's are in a chain of its own, to which one rule of a built-in chain leads; whatever else is in the tables is others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .lease import Network

KUBE_PROXY_MARK = "0x4000/0x4000"  # kube-proxy masquerades these itself; twice is a fault of some kernels
MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}

Rule = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A chain with its rules in order, and the rule in `parent`, at its end, that leads to it."""

    table: str
    chain: str
    parent: str
    jump: Rule
    rules: tuple[Rule, ...]


def masquerade(network: Network, subnet: Network, random_fully: bool) -> RuleSet:
    """Packets that leave the network of pods, or come into it from elsewhere, get this host's address. Pods see each other's own."""
    pods, own = str(network), str(subnet)
    comment = ("-m", "comment", "--comment", "flanneld masq")
    masq = (*comment, "-j", "MASQUERADE", *(("--random-fully",) if random_fully else ()))
    leave = (*comment, "-j", "RETURN")
    rules = (
        ("-m", "mark", "--mark", KUBE_PROXY_MARK, *leave),
        ("-s", own, "-d", pods, *leave),
        ("-s", pods, "-d", own, *leave),
        # What another host sent on to a pod here keeps the client's address.
        ("!", "-s", pods, "-d", own, *leave),
        ("-s", pods, "!", "-d", MULTICAST[network.version], *masq),
        ("!", "-s", pods, "-d", pods, *masq),
    )
    return RuleSet("nat", "FLANNEL-POSTRTG", "POSTROUTING", (*comment, "-j", "FLANNEL-POSTRTG"), rules)


def forward(network: Network) -> RuleSet:
    """Pods' packets may pass, where Docker has made the chain's policy DROP."""
    comment = ("-m", "comment", "--comment", "flanneld forward")
    rules = (
        ("-s", str(network), *comment, "-j", "ACCEPT"),
        ("-d", str(network), *comment, "-j", "ACCEPT"),
    )
    return RuleSet("filter", "FLANNEL-FWD", "FORWARD", (*comment, "-j", "FLANNEL-FWD"), rules)


def restored(rule_set: RuleSet, jump_is_there: bool) -> str:
    """What makes iptables-restore --noflush bring the chain there at once, in order, with the jump at the end of its parent."""
    lines = [f"*{rule_set.table}", f":{rule_set.chain} - [0:0]"]  # declaring a chain of one's own empties it
    lines += [f"-A {rule_set.chain} {_line(rule)}" for rule in rule_set.rules]
    if jump_is_there:
        lines.append(f"-D {rule_set.parent} {_line(rule_set.jump)}")
    lines.append(f"-A {rule_set.parent} {_line(rule_set.jump)}")
    return "\n".join([*lines, "COMMIT", ""])


def _line(rule: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in rule)
